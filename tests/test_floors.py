"""Imports go down only: data <- backbones <- methods, data <- evaluation; engine sees all; report sees none of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "recretrain"

MAY_IMPORT = {
    "data": {"data", "config"},
    "backbones": {"backbones", "data"},
    "evaluation": {"evaluation", "data", "backbones"},
    "methods": {"methods", "evaluation", "backbones", "data"},
    "engine": {"engine", "methods", "backbones", "evaluation", "data", "config", "signatures"},
    "report": {"report"},
}


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


def floors_seen_by(file: Path) -> set[str]:
    ours = (name.split(".") for name in imports(file))
    names = {parts[1] for parts in ours if parts[0] == "recretrain" and len(parts) > 1}
    return {name for name in names if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()}


@pytest.mark.parametrize("floor", MAY_IMPORT)
def test_imports_go_down_only(floor: str) -> None:
    files = sorted((PACKAGE / floor).rglob("*.py"))
    upward = {str(file): floors_seen_by(file) - MAY_IMPORT[floor] for file in files}

    assert files
    assert {file: names for file, names in upward.items() if names} == {}


def test_report_never_imports_torch() -> None:
    files = sorted((PACKAGE / "report").rglob("*.py"))
    heavy = [str(f) for f in files for name in imports(f) if name.split(".")[0] in ("torch", "pytorch_lightning")]

    assert files
    assert heavy == []


def test_every_folder_of_the_package_is_a_floor() -> None:
    folders = {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").is_file()}

    assert folders == set(MAY_IMPORT)


def test_an_upward_import_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = PACKAGE / "data" / "upward.py"
    source = "def f():\n    from recretrain.engine import runner\n    from ..methods import base\n"
    monkeypatch.setattr(Path, "read_text", lambda self: source)

    assert floors_seen_by(file) == {"engine", "methods"}
