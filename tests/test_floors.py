"""The package is rooms and arrows between them: no arrow that is not written here, and none that leads back."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "recretrain"

# every room may import them; they import no room
NAMES = {"errors", "interruption", "once", "outside", "records", "sealed", "values", "visible", "yaml_files"}
SEES: dict[str, set[str]] = {  # what a room imports besides
    "configuration": set(),
    "data": set(),
    "report": set(),
    "preparation": set(),
    "backbones": {"data"},
    "evaluation": {"data"},
    "methods": {"data", "backbones", "evaluation"},
    "engine": {"configuration", "preparation", "data", "backbones", "evaluation", "methods"},
    "arena": {"configuration", "data", "evaluation", "report", "engine"},
    "serving": {"configuration", "report", "data", "evaluation", "engine"},
    "commands": {"configuration", "preparation", "engine", "report", "serving", "arena"},
    "testing": {"configuration", "preparation", "data", "evaluation", "methods", "engine"},
    "__main__": {"commands"},
}
WITHOUT_TORCH = (
    *sorted(NAMES),
    "configuration",
    "report",
    "preparation",
    "commands",
)  # commands: but for `doctor`, which names it


def rooms() -> set[str]:
    """Every file and folder of the package that holds code."""
    found = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    return found | {path.name for path in PACKAGE.iterdir() if list(path.rglob("*.py"))}


def files_of(room: str) -> list[Path]:
    single = PACKAGE / f"{room}.py"
    return [single] if single.is_file() else sorted((PACKAGE / room).rglob("*.py"))


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions; relative ones as absolute."""
    package = ["recretrain", *file.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def rooms_seen_by(file: Path) -> set[str]:
    ours = (name.split(".") for name in imports(file))
    names = {parts[1] for parts in ours if parts[0] == "recretrain" and len(parts) > 1}
    return {name for name in names if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()}


def circle(sees: Mapping[str, set[str]]) -> list[str]:
    """A circle of imports, from its first module back to it; empty if there is none."""
    try:
        TopologicalSorter(sees).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_file_of_the_package_stands_in_a_room() -> None:
    assert rooms() == NAMES | SEES.keys()


@pytest.mark.parametrize("room", sorted(rooms()))
def test_a_room_imports_what_is_written_here(room: str) -> None:
    seen = set().union(*(rooms_seen_by(file) for file in files_of(room))) - {room}

    assert seen - NAMES == SEES.get(room, set())


def test_no_rooms_and_no_modules_import_each_other() -> None:
    """Imports inside functions count: a circle shows a border in the wrong place."""
    modules = {
        ".".join(("recretrain", *f.relative_to(PACKAGE).with_suffix("").parts)): f for f in PACKAGE.rglob("*.py")
    }
    sees = {name: set(imports(file)) & modules.keys() - {name} for name, file in modules.items()}

    assert len(modules) > 100
    assert circle(SEES) == []
    assert circle(sees) == []


def test_a_circle_is_found() -> None:
    found = circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})

    assert set(found) == {"a", "b", "c"}
    assert found[0] == found[-1]


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_a_room_without_torch_does_not_import_it(room: str) -> None:
    files = [file for file in files_of(room) if file.stem != "doctor"]
    heavy = [
        f"{file}: {name}"
        for file in files
        for name in imports(file)
        if name.split(".")[0] in ("torch", "pytorch_lightning")
    ]

    assert files
    assert heavy == []


def test_an_import_of_any_kind_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    file = PACKAGE / "data" / "upward.py"
    source = "def f():\n    from recretrain.engine import runner\n    from ..methods import base\n"
    monkeypatch.setattr(Path, "read_text", lambda self: source)

    assert rooms_seen_by(file) == {"engine", "methods"}
