"""The site holds every document, its links lead where those of the repository do, and its names can be imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from pydoc import locate
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.scripts import script

ROOT = Path(__file__).parents[1]
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
NAMES = re.findall(r"^::: (\S+)$", (ROOT / "docs/api.md").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    return script("site_hooks")


def pages(nav: list[Any]) -> Iterator[str]:
    """The pages of the navigation, which the site has in its folder."""
    for entry in nav:
        for named in entry.values():
            yield from pages(named) if isinstance(named, list) else [named]


def test_every_document_is_in_the_navigation_once(hooks: ModuleType) -> None:
    written = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    named = [page for page in pages(SITE["nav"]) if not page.startswith("https:")]

    assert len(written) >= 15
    assert sorted(named) == sorted([*written, *hooks.OUTSIDE])


@pytest.mark.parametrize(
    ("page", "link", "led"),
    [
        ("README.md", "docs/data.md", "data.md"),
        ("README.md", "docs/methods/README.md#sml", "methods/README.md#sml"),
        ("REPRODUCTION.md", "docs/plots/melu_support.png", "plots/melu_support.png"),
        ("docs/methods/baselines.md", "../../REPRODUCTION.md", "../REPRODUCTION.md"),
        ("docs/design.md", "methods/", "methods/README.md"),
        ("docs/reliability.md", "../recretrain/outside.py", "{repository}/recretrain/outside.py"),
        ("docs/data.md", "growing.md", "growing.md"),
        ("docs/data.md", "nowhere.md", "nowhere.md"),  # left to the builder, which refuses it
        ("docs/data.md", "https://example.org/docs", "https://example.org/docs"),
    ],
)
def test_a_link_leads_to_the_same_page_on_the_site(hooks: ModuleType, page: str, link: str, led: str) -> None:
    shown = hooks.relinked(f"see [it]({link}).", ROOT / page)

    assert shown == f"see [it]({led.format(repository=hooks.REPOSITORY)})."


def test_headings_have_the_addresses_of_github(hooks: ModuleType) -> None:
    assert hooks.address("(f) ANR and DeepCoNN", "-") == "f-anr-and-deepconn"
    assert hooks.address("SML's Table 1: `not_run`", "-") == "smls-table-1-not_run"


def test_a_list_behind_a_paragraph_stays_a_list(hooks: ModuleType) -> None:
    assert hooks.apart("Not in it:\n- one\n  more\n- two\n") == "Not in it:\n\n- one\n  more\n- two\n"
    assert hooks.apart("`net` is it.\n- one\n") == "`net` is it.\n\n- one\n"
    assert hooks.apart("```yaml\n- one\n```\n") == "```yaml\n- one\n```\n"


@pytest.mark.parametrize(
    "fetched", ['<script src="https://cdn.example/x.js">', "<link href=//fonts.example/a.css rel=stylesheet>"]
)
def test_what_a_page_would_fetch_is_seen(hooks: ModuleType, fetched: str) -> None:
    assert hooks.FETCHED.search(f"<p>{fetched}</p>")
    assert not hooks.FETCHED.search('<a href="https://example.org"><img src="plots/a.png"><script src="b.js">')


def test_the_builder_has_exact_versions() -> None:
    lines = (ROOT / "docs/constraints.txt").read_text().splitlines()
    pinned = [line.partition("==")[0] for line in lines if not line.startswith("#")]

    assert {"mkdocs", "mkdocs-material", "mkdocstrings", "mkdocstrings-python"} <= set(pinned)
    assert all(re.fullmatch(r"[\w-]+==[\w.]+", line) for line in lines if not line.startswith("#"))


def test_make_builds_it_strictly_and_so_does_the_workflow() -> None:
    (recipe,) = re.findall(r"^docs: .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    workflow = yaml.safe_load((ROOT / ".github/workflows/site_and_package.yml").read_text())
    checks = {**SITE["validation"]["nav"], **SITE["validation"]["links"]}

    assert "mkdocs build --strict\n" in recipe
    assert {"run": "make docs"} in workflow["jobs"]["site"]["steps"]
    assert {"omitted_files", "not_found", "anchors"} <= checks.keys()
    assert set(checks.values()) == {"warn"}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_the_api_can_be_imported(name: str) -> None:
    assert locate(name) is not None


@pytest.mark.parametrize("page", ["README.md", "docs/extending.md", "docs/serving.md", "docs/growing.md"])
def test_what_documents_import_is_in_the_api(page: str) -> None:
    imported = set(imports((ROOT / page).read_text()))

    listed = {*NAMES, *(name for name in imported if name.rpartition(".")[0] in NAMES)}
    assert imported - listed == set()


def imports(document: str) -> Iterator[str]:
    """The names of recretrain that the code of a document imports."""
    for block in re.findall(r"^```python\n(.*?)^```", document, re.DOTALL | re.MULTILINE):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recretrain"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_of_documents_are_found() -> None:
    assert {*imports((ROOT / "docs/extending.md").read_text())} >= {
        "recretrain.methods.base.RetrainMethod",
        "recretrain.testing.cases",
        "recretrain.values.Share",
    }
