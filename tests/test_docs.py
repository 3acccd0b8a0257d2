"""The documents and the code point at each other, and every pointer finds something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from recretrain.records import FORMAT, Costs, Row, RunCard

ROOT = Path(__file__).parents[1]
FOLDERS = ("recretrain", "conf", "tests", "benchmarks", "scripts")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in ("docs", *FOLDERS) for page in (ROOT / folder).rglob("*.md"))])
METHODS = {page.name: page for page in (ROOT / "docs/methods").glob("*.md")}
CODE = sorted(
    file
    for folder in FOLDERS
    for file in (ROOT / folder).rglob("*")
    if file.suffix in (".py", ".yaml", ".sh") and file != Path(__file__)
)

_LABEL = r"(?:T\d+|i \d+|[a-z]\d?)"
REFERENCE = re.compile(rf"(\w+\.md)((?:,? \({_LABEL}\))+|(?:, {_LABEL}\b)+)")  # `sml.md (e), (T1)` or `(sml.md, e, T1)`
LINK = re.compile(r"\]\(([^)\s]+)\)")


def labels(page: Path) -> set[str]:
    """The parts of a page that a reference may name: `## (e) Losses`, `**T1. ...**`, `**i 1. ...**`."""
    text = page.read_text()
    headings = re.findall(rf"^#+ \(({_LABEL})\) ", text, re.MULTILINE)
    items = re.findall(rf"^\*\*({_LABEL})\. ", text, re.MULTILINE)
    return {*headings, *items}


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub makes addresses of them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def references(file: Path) -> Iterator[tuple[str, str]]:
    for page, parts in REFERENCE.findall(file.read_text()):
        yield from ((page, label) for label in re.findall(_LABEL, parts))


def links(page: Path) -> list[str]:
    return [link for link in LINK.findall(page.read_text()) if not link.startswith(("http:", "https:"))]


def test_both_forms_of_a_reference_are_read(tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    file.write_text("As sml.md (e), (T1) says; released (ader.md, b2, i 16; periods from 0), and docs/methods/melu.md.")

    assert [*references(file)] == [("sml.md", "e"), ("sml.md", "T1"), ("ader.md", "b2"), ("ader.md", "i 16")]


def name(file: Path) -> str:
    return str(file.relative_to(ROOT))


def test_pages_and_code_were_found() -> None:
    assert {"sml.md", "ader.md", "melu.md", "baselines.md", "README.md"} <= METHODS.keys()
    assert len(PAGES) >= 10
    assert len(CODE) >= 100


@pytest.mark.parametrize(
    ("page", "some"),
    [
        ("sml.md", [*"abcdefghij", *(f"T{n}" for n in range(1, 21))]),
        ("ader.md", [*"abcdefghij", "b1", "b2", "b3", "b4", *(f"i {n}" for n in range(1, 21))]),
        ("melu.md", [*"abcdefghijk", *(f"i {n}" for n in range(1, 14))]),
    ],
)
def test_a_page_has_its_labels_once(page: str, some: list[str]) -> None:
    assert labels(METHODS[page]) == {*some}


def test_a_reference_names_a_part_that_is_there() -> None:
    pages = {page: labels(path) for page, path in METHODS.items()}
    lost = [
        f"{name(file)}: {page} ({label})"
        for file in [*CODE, *PAGES]
        for page, label in references(file)
        if label not in pages.get(page, ())
    ]

    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_link_leads_somewhere(page: Path) -> None:
    lost = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)

    assert lost == []


def test_the_contracts_name_every_record() -> None:
    run_folder = (ROOT / "docs/contracts.md").read_text().partition("## Run folder")[2]
    named = set(re.findall(r"[a-z_]+", run_folder))
    written = [*RunCard.__annotations__, *(field.name for record in (Row, Costs) for field in fields(record))]

    assert [field for field in written if field not in named] == []
    assert f"format {FORMAT};" in run_folder
