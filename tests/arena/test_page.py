"""The page in a real browser, as wide as a phone and as a desk; skipped where there is none."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from recretrain.arena import page
from tests.arena.test_planted import held, world

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--virtual-time-budget=4000"),
]
LOOK = """
<script>window.problems = []; window.onerror = function (message) { problems.push(message); };
console.error = console.warn = function (message) { problems.push(String(message)); };</script>
"""
ASK = """
window.onload = function () {
  var frame = document.querySelector("iframe"), page = frame.contentDocument;
  var all = function (query) { return Array.from(page.querySelectorAll(query)); };
  var name = function (row) { return row.cells[1].textContent; };
  var names = function () { return all("table.sortable tbody tr").map(name); };
  var head = all("table.sortable thead th")[2];
  var press = function () { head.querySelector("button").click(); return names(); };
  document.title = JSON.stringify({
    problems: frame.contentWindow.problems,
    wide: page.documentElement.scrollWidth,
    room: frame.contentWindow.innerWidth,
    before: names(), up: press(), down: press(), sorted: head.getAttribute("aria-sort"),
    plots: all("figure > div[role=img]").map(function (plot) { return plot.getAttribute("aria-label"); }),
    headers: all("th").every(function (cell) { return cell.hasAttribute("scope"); })
  });
};
"""


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    world(folder / "rows.csv", drifts=True)
    return page.page(held(folder, ["frozen", "fine_tune", "popularity"], "schedule.again=2"))


def test_the_page_needs_nothing_beside_it(text: str) -> None:
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)|@import|url[(](?!#)""", text)
    assert text.count("<svg") == 3
    assert "take fine_tune" in html.unescape(text)


@pytest.mark.skipif(BROWSER is None, reason="there is no chromium here")
@pytest.mark.parametrize("width", [390, 1200])
def test_in_a_browser(text: str, width: int, tmp_path: Path) -> None:
    inner = html.escape(text.replace("<head>", "<head>" + LOOK), quote=True)
    file = tmp_path / "look.html"
    frame = f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{inner}"></iframe>'
    file.write_text(f"<script>{ASK}</script>{frame}")
    shown = subprocess.run(
        [str(BROWSER), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", f"file://{file}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout

    title = re.search(r"<title>(.*?)</title>", shown, re.DOTALL)
    assert title is not None, shown[:500]
    found = json.loads(html.unescape(title[1]))
    assert found["problems"] == []
    assert found["room"] == width
    assert found["wide"] <= width
    assert found["up"] == found["before"][::-1]
    assert found["down"] == found["before"]
    assert found["sorted"] == "descending"
    assert all("has the numbers" in label for label in found["plots"])
    assert len(found["plots"]) == 3
    assert found["headers"]
