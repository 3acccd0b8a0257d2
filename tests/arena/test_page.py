"""The page in a real browser, as wide as a phone and as a desk; skipped where there is none."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recretrain.arena import page
from recretrain.arena.arena import Outcome
from recretrain.arena.learning import falls
from recretrain.arena.repeat import Change, repeated
from recretrain.arena.search import Trial
from recretrain.report.papers.card import Cited
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
LONG = "sml_gate_next_item"  # as long as the names of methods that enter are
ASK = """
window.onload = function () {
  var frame = document.querySelector("iframe"), page = frame.contentDocument;
  var all = function (query) { return Array.from(page.querySelectorAll(query)); };
  var name = function (row) { return row.cells[1].firstChild.textContent; };
  var names = function () { return all("table.sortable tbody tr").map(name); };
  var head = all("table.sortable thead th")[2];
  var press = function () { head.querySelector("button").click(); return names(); };
  var title = JSON.stringify({
    problems: frame.contentWindow.problems,
    wide: page.documentElement.scrollWidth,
    room: frame.contentWindow.innerWidth,
    before: names(), up: press(), down: press(), sorted: head.getAttribute("aria-sort"),
    plots: all(".plot[role=img]").map(function (plot) { return plot.getAttribute("aria-label"); }),
    headers: all("th").every(function (cell) { return cell.hasAttribute("scope"); }),
    rows: all("tbody tr").every(function (row) { return row.querySelector("th[scope=row], td.text"); }),
    named: all("table, .wide").every(function (one) {
      return page.getElementById(one.getAttribute("aria-labelledby"));
    }),
    reached: all(".wide").every(function (one) { return one.tabIndex === 0; }),
    linked: all("nav a").every(function (link) { return page.querySelector(link.getAttribute("href")); }),
    closed: all("details").length,
    opened: (frame.contentWindow.dispatchEvent(new Event("beforeprint")), all("details[open]").length),
    fits: all("table.sortable").every(function (table) {
      table.querySelectorAll("tbody th.name").forEach(function (cell) { cell.firstChild.textContent = "%s"; });
      return table.parentElement.scrollWidth <= table.parentElement.clientWidth;
    }),
    stretched: (all("td").forEach(function (cell) { cell.textContent = "0".repeat(40); }), page.body.scrollWidth)
  });
  document.title = title;
};
"""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("page")
    world(folder / "rows.csv", drifts=True)
    return held(folder, ["frozen", "fine_tune", "popularity"], "schedule.again=2")


@pytest.fixture(scope="module")
def text(outcome: Outcome) -> str:
    return page.page(outcome)


def test_the_page_needs_nothing_beside_it(text: str) -> None:
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)|@import|url[(](?!#)""", text)
    assert text.count("<svg") == 4  # costs, periods, memory, losses of fine_tune
    assert "take fine_tune" in html.unescape(text)


def looked_at(text: str, width: int, folder: Path) -> dict[str, Any]:
    inner = html.escape(text.replace("<head>", "<head>" + LOOK), quote=True)
    file = folder / "look.html"
    frame = f'<iframe style="width:{width}px;height:900px;border:0" srcdoc="{inner}"></iframe>'
    file.write_text(f"<script>{ASK % LONG}</script>{frame}")
    shown = subprocess.run(
        [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", f"file://{file}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    title = re.search(r"<title>(.*?)</title>", shown, re.DOTALL)
    assert title is not None, shown[:500]
    found: dict[str, Any] = json.loads(html.unescape(title[1]))
    return found


@pytest.mark.skipif(BROWSER is None, reason="there is no chromium here")
@pytest.mark.parametrize("width", [390, 1200])
def test_in_a_browser(text: str, width: int, tmp_path: Path) -> None:
    found = looked_at(text, width, tmp_path)

    assert found["problems"] == []
    assert found["room"] == width
    assert found["wide"] <= width
    assert found["up"] == found["before"][::-1]
    assert found["down"] == found["before"]
    assert found["sorted"] == "descending"
    assert all("has the numbers" in label for label in found["plots"])
    assert len(found["plots"]) == 4
    assert found["headers"]
    assert found["rows"]
    assert found["named"]
    assert found["reached"]
    assert found["linked"]
    assert found["fits"] or width < 1200  # a leaderboard is seen whole on a desk
    assert found["stretched"] <= width  # tables scroll by themselves
    assert found["opened"] == found["closed"] > 0  # when it is printed


def test_the_losses_are_those_of_the_files(outcome: Outcome, text: str) -> None:
    run = outcome.finals["fine_tune"][0]

    (fall,) = falls(run)

    tested = sorted({int(task) for task in run.rows.loc[run.rows["test"] == "test", "task"]})
    assert sorted(fall.tasks) == tested
    last = (run.folder / "tasks" / str(tested[-1]) / "losses.csv").read_text().splitlines()
    assert [f"{value:.6f}" for value in fall.tasks[tested[-1]]] == [f"{float(x.split(',')[3]):.6f}" for x in last[1:]]
    first, final = fall.tasks[tested[-1]][0], fall.tasks[tested[-1]][-1]
    assert f"{tested[-1]}: {first:.4f}, {final:.4f} ({len(last) - 1})" in text
    assert falls(outcome.finals["frozen"][0]) == []


def test_what_ran_is_told_beside_the_defaults_and_can_be_repeated(outcome: Outcome, text: str) -> None:
    chosen = replace(
        outcome,
        searched={"fine_tune": [Trial(("method.learner.epochs=3", "pretraining@method.pretraining=regularised"), 0.5)]},
    )

    found = repeated(chosen, "fine_tune")

    assert found.changes == [
        Change("method.learner.epochs", "3", "5"), Change("method.pretraining", "regularised", "mf"),
    ]  # fmt: skip
    assert found.command.endswith(
        "method=fine_tune method.learner.epochs=3 pretraining@method.pretraining=regularised seed=0,1"
    )
    assert found.command.startswith("recretrain run -m data=table")
    assert all(run.card["digest"] in text for runs in outcome.finals.values() for run in runs)
    assert repeated(outcome, "frozen").changes == []


def test_published_figures_stand_beside_ours_with_their_source(
    outcome: Outcome, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cited = {"fine_tune": {outcome.column: Cited(0.4321, "a paper", "S")}}
    monkeypatch.setattr(page, "published", lambda *_: (cited, ["published [S]: a paper."]))

    beside = page.page(outcome)

    row = next(line for line in beside.split("<tr") if 'name" title' in line and "fine_tune" in line)
    assert "<td>0.4321 [S]</td>" in row
    assert "<small>published [S]: a paper.</small>" in beside
    assert ">published</button>" in beside
    assert ">published</button>" not in text
