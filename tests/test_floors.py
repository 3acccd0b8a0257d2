"""Imports go down only, every file stands on a floor, and no two rooms import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "recretrain"

FLOORS = (  # a room may import from itself and from the floors below it
    {"errors", "records", "values"},  # what anybody may name; no torch
    {"configuration", "data", "report"},
    {"preparation", "backbones"},
    {"evaluation"},
    {"methods"},
    {"engine"},
    {"commands", "testing"},
    {"__main__"},
)
MAY_ALSO: dict[str, set[str]] = {}
MAY_NOT = {  # however low the other stands
    "report": {"data", "configuration"},
    "data": {"configuration"},
    "preparation": {"data", "configuration", "report"},
    "backbones": {"configuration", "report", "preparation"},
    "evaluation": {"configuration", "report", "preparation"},
    "methods": {"configuration", "report", "preparation"},
    "engine": {"report"},
}
WITHOUT_TORCH = ("errors", "records", "values", "configuration", "report", "preparation", "commands")


def rooms() -> set[str]:
    """Every file and folder of the package that holds code."""
    found = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    return found | {path.name for path in PACKAGE.iterdir() if list(path.rglob("*.py"))}


def files_of(room: str) -> list[Path]:
    single = PACKAGE / f"{room}.py"
    return [single] if single.is_file() else sorted((PACKAGE / room).rglob("*.py"))


def floor_of(room: str) -> int:
    (floor,) = [place for place, names in enumerate(FLOORS) if room in names]
    return floor


def allowed(room: str) -> set[str]:
    below = set().union(*FLOORS[: floor_of(room)])
    return ({room} | below | MAY_ALSO.get(room, set())) - MAY_NOT.get(room, set())


def imports(file: Path, *, lazy: bool = True) -> Iterator[str]:
    """Every module that a file imports, relative ones as absolute; `lazy`: also inside functions."""
    package = ["recretrain", *file.relative_to(PACKAGE).parent.parts]
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree) if lazy else tree.body:
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


def test_every_file_of_the_package_stands_on_a_floor() -> None:
    assert rooms() <= set().union(*FLOORS)
    assert len(rooms()) > 8
    assert sum(map(len, FLOORS)) == len(set().union(*FLOORS)), "a room stands on two floors"


@pytest.mark.parametrize("room", sorted(rooms()))
def test_imports_go_down_only(room: str) -> None:
    upward = {str(file): rooms_seen_by(file) - allowed(room) for file in files_of(room)}

    assert upward
    assert {file: names for file, names in upward.items() if names} == {}


def test_no_two_modules_import_each_other() -> None:
    """A circle between modules, lazy imports counted, shows a border in the wrong place."""
    modules = {
        ".".join(("recretrain", *f.relative_to(PACKAGE).with_suffix("").parts)): f for f in PACKAGE.rglob("*.py")
    }
    sees = {name: set(imports(file)) & modules.keys() - {name} for name, file in modules.items()}

    assert len(modules) > 100
    assert circles(sees) == []


def circles(sees: dict[str, set[str]]) -> list[list[str]]:
    """Every circle that a walk from a module meets."""
    found: list[list[str]] = []
    finished: set[str] = set()

    def walk(module: str, path: list[str]) -> None:
        if module in path:
            found.append([*path[path.index(module) :], module])
        elif module not in finished:
            for other in sorted(sees[module]):
                walk(other, [*path, module])
            finished.add(module)

    for module in sorted(sees):
        walk(module, [])
    return found


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c", "a"]]


@pytest.mark.parametrize("room", [name for name in WITHOUT_TORCH if files_of(name)])
def test_a_room_without_torch_does_not_import_it(room: str) -> None:
    heavy = [
        f"{file}: {name}"
        for file in files_of(room)
        for name in imports(file, lazy=room != "commands")
        if name.split(".")[0] in ("torch", "pytorch_lightning")
    ]

    assert heavy == []


def test_an_upward_import_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    file = PACKAGE / "data" / "upward.py"
    source = "def f():\n    from recretrain.engine import runner\n    from ..methods import base\n"
    monkeypatch.setattr(Path, "read_text", lambda self: source)

    assert rooms_seen_by(file) == {"engine", "methods"}
