"""The documents and the code point at each other, and every pointer finds something."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.utils import get_class, instantiate
from test_floors import SEES

from recretrain.configuration.compose import compose
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

_LABEL = r"(?:T\d+|i \d+|[a-z]\d{0,2})"
REFERENCE = re.compile(rf"(\w+\.md)((?:,? \({_LABEL}\))+|(?:, {_LABEL}\b)+)")  # `sml.md (e), (T1)` or `(sml.md, e, T1)`
LINK = re.compile(r"\]\(([^)\s]+)\)")
GROUPS = ("method", "backbone", "eval", "data", "schedule", "trainer", "needs")
KEY = re.compile(rf"(?:{'|'.join(GROUPS)})(?:\.[a-z_]+)+")
PATHS = re.compile(
    r"[\w*{},-]+(?:/[\w.*{},-]+)+\.(?:py|yaml|sh|md|npz)|(?:recretrain|conf|docs|tests|scripts)(?:/[\w-]+)+/?"
)


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
        ("sml.md", [*"abcdefghijklm", *(f"T{n}" for n in range(1, 21))]),
        ("ader.md", [*"abcdefghij", "b1", "b2", "b3", "b4", *(f"i {n}" for n in range(1, 21))]),
        ("melu.md", [*"abcdefghijk", *(f"i {n}" for n in range(1, 14))]),
        ("peterrec.md", [*"abcdefghijklm", *(f"j{n}" for n in range(1, 22))]),
    ],
)
def test_a_page_has_its_labels_once(page: str, some: list[str]) -> None:
    assert labels(METHODS[page]) == {*some}


def test_no_reference_lacks_its_comma() -> None:
    """`(sml.md T1)` would not be read as one."""
    bare = re.compile(rf"\b(?:{'|'.join(METHODS)}) {_LABEL}[,;)-]")
    lost = [f"{name(file)}: {found}" for file in [*CODE, *PAGES] for found in bare.findall(file.read_text())]

    assert lost == []


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


def code_spans(page: Path) -> list[str]:
    """The words set as code inside lines, blocks left out."""
    lines = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"`([^`\n]+)`", lines)


@cache
def keys_of(group: str, option: str) -> frozenset[str]:
    """The dotted keys that one file of conf/ gives values, those of the files in its defaults list too."""
    text = (ROOT / "conf" / group / f"{option}.yaml").read_text()
    values: dict[str, Any] = yaml.safe_load(text) or {}
    top = "" if "@package _global_" in text else f"{group}."
    found = set()
    for default in values.pop("defaults", []):
        for name, chosen in default.items() if isinstance(default, dict) else [(f"/{group}", default)]:
            if chosen in (None, "_self_") or name.startswith("override"):
                continue
            other, _, place = name.strip("/").partition("@")
            below = f"{top}{place}." if place not in ("", "_here_") else top
            found |= {below + key.removeprefix(f"{other}.") for key in keys_of(other, chosen)}
    return frozenset(found | {top + key for key in dotted(values)})


def dotted(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from dotted(value, f"{prefix}{key}.")


def all_keys() -> set[str]:
    options = [(group, file.stem) for group in GROUPS for file in (ROOT / "conf" / group).glob("*.yaml")]
    cuts = {f"data.{key}" for file in (ROOT / "conf/cut").glob("*.yaml") for key in keys_of("cut", file.stem)}
    top = yaml.safe_load((ROOT / "conf/config.yaml").read_text())
    return cuts.union(dotted(top), *(keys_of(group, option) for group, option in options))


def unknown(named: Sequence[str]) -> list[str]:
    known = all_keys()
    return sorted({key for key in named if key not in known})


def test_keys_are_read_through_defaults() -> None:
    known = all_keys()

    assert {"method.learner.epochs", "method.memory.size", "method.pretraining.reg", "needs.warm_up"} <= known
    assert {"eval.questions.candidates", "data.cut.periods", "method.transfer.network.hidden"} <= known
    assert unknown(["method.epochs", "method.transfer_epochs", "method.learner.epochs"]) == [
        "method.epochs",
        "method.transfer_epochs",
    ]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_key_that_a_page_names_is_in_conf(page: Path) -> None:
    spans = [span.partition("=")[0] for span in code_spans(page)]
    if page.name == "CHANGELOG.md":
        old = " ".join(re.findall(r"^\| (.+?) \| .* \|$", page.read_text(), re.MULTILINE))
        spans = [span for span in spans if f"`{span}" not in old]

    assert unknown([span for span in spans if KEY.fullmatch(span)]) == []


@pytest.mark.parametrize("script", [*(ROOT / "scripts").glob("*.sh"), *(ROOT / "conf/table").glob("*.yaml")], ids=name)
def test_a_key_that_a_script_or_table_sets_is_in_conf(script: Path) -> None:
    named = [word for word in re.findall(r"[^\s{,\"]+(?=[=:])", script.read_text()) if KEY.fullmatch(word)]

    assert unknown(named) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_file_that_a_page_names_exists(page: Path) -> None:
    if page.name in ("README.md", "extending.md") and page.parent in (ROOT, ROOT / "docs"):
        shown = set(re.findall(r"^# ([\w/]+\.\w+)$", page.read_text(), re.MULTILINE))  # files of a user's own
    else:
        shown = set()
    named = [span for span in code_spans(page) if PATHS.fullmatch(span)]

    assert [path for path in named if path not in shown and not found(path)] == []


def found(path: str) -> bool:
    """Whether a path, perhaps with `*`, names something in the repository or below the package."""
    return any(any(root.glob(path.rstrip("/"))) for root in (ROOT, ROOT / "recretrain"))


def test_nothing_refers_to_a_spec_that_readers_do_not_have() -> None:
    lost = [
        f"{name(file)}:{number}"
        for file in [*CODE, *PAGES]
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if re.search(r"\bspec\b", line, re.IGNORECASE)
    ]

    assert lost == []


def braces(text: str) -> list[str]:
    """`a.{b,c}` as `a.b`, `a.c`."""
    opened = re.fullmatch(r"(.*)\{(.*)\}", text)
    return [opened[1] + inner for inner in opened[2].split(",")] if opened else [text]


def renamed_in_changelog() -> set[tuple[str, str]]:
    text = (ROOT / "CHANGELOG.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| [^|]+ \|$", text, re.MULTILINE)
    return {pair for old, new in rows for pair in zip(braces(old), braces(new), strict=True)}


def test_the_changelog_lists_every_key_that_was_renamed() -> None:
    from recretrain.configuration.renamed import RENAMED

    listed = renamed_in_changelog()

    assert {*RENAMED} - listed == set()
    assert listed - {*RENAMED} == set()


def test_new_names_of_the_changelog_are_in_conf() -> None:
    listed = renamed_in_changelog()

    assert len(listed) > 40
    assert unknown([new for _, new in listed if new != "data.cut"]) == []


def test_the_contracts_show_the_cards_that_makers_give() -> None:
    """Those of conf/eval as they are, but for the whole catalogue."""
    page = (ROOT / "docs/contracts.md").read_text()
    shown = [json.loads(card) for card in re.findall(r"^    (\{.*?\})$", page, re.DOTALL | re.MULTILINE)]
    makers = [compose([f"eval={file.stem}", "data=yelp"])[0].eval.questions for file in (ROOT / "conf/eval").glob("*")]
    given = [instantiate(node).card() for node in makers]

    assert [card for card in shown if card not in given] == []
    assert {card["kind"] for card in shown} == {card["kind"] for card in given}


def test_the_design_names_every_room_and_what_it_sees() -> None:
    table = (ROOT / "docs/design.md").read_text().partition("## Rooms and floors")[2].partition("\n\n`prep")[0]
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]*)\|$", table, re.MULTILINE)
    seen = {room: set(re.findall(r"`(\w+)`", cell)) for room, cell in rows}

    assert seen == {room: sees for room, sees in SEES.items() if room != "__main__"}


def test_the_class_of_every_method_links_its_page() -> None:
    targets = {compose([f"method={file.stem}"])[0].method._target_ for file in (ROOT / "conf/method").glob("*.yaml")}
    pages = {target: re.findall(r"docs/methods/(\w+\.md)", get_class(target).__doc__ or "") for target in targets}

    assert len(pages) >= 8
    assert {target: page for target, page in pages.items() if len(page) != 1 or page[0] not in METHODS} == {}
