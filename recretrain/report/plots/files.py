"""A figure is written twice: as a picture, and as lines that can be enlarged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = ("png", "svg")


def save(figure: Figure, into: Path, stem: str) -> list[Path]:
    """The paths of the files; makes the folder."""
    into.mkdir(parents=True, exist_ok=True)
    paths = [into / f"{stem}.{ending}" for ending in ENDINGS]
    for path in paths:
        figure.savefig(path, dpi=150)
    return paths
