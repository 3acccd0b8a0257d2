"""How plots look: colours that a colour-blind reader tells apart on light and dark pages, a marker for each line."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# after Okabe and Ito (2008); each has a contrast of 3 to both grounds, so their lightest and darkest are others
COLOURS = ("#1F7DB8", "#D55E00", "#009E73", "#CC6FA3", "#8A6D00", "#7D7D7D", "#8B62C9")
MARKERS = "osD^vP*Xph<>"
INK = "#010203"  # stands for the colour of the page's text
SIZE = (5.4, 4.0)  # inches


def style(place: int, name: str) -> dict[str, Any]:
    """Of the line, or the point, that stands at a place."""
    marker = MARKERS[place % len(MARKERS)]
    return {"color": COLOURS[place % len(COLOURS)], "marker": marker, "markersize": 5, "label": name}


def drawn(draw: Callable[[Axes], None], *, size: tuple[float, float] = SIZE, legend: bool = True) -> str:
    """An SVG element that is as wide as its place on a page, and takes the colour of text from there."""
    from matplotlib.figure import Figure

    with _settings():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        axes.grid(alpha=0.15)
        draw(axes)
        if legend:
            handles, labels = axes.get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        return _svg(figure)


@contextmanager
def _settings() -> Iterator[None]:
    from matplotlib import rc_context

    own: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "recretrain", "font.size": 11, "legend.fontsize": 10}
    own |= {"axes.spines.top": False, "axes.spines.right": False}
    for inked in ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"):
        own[inked] = INK
    with rc_context(own):
        yield


def _svg(figure: Figure) -> str:
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    tag, rest = text[text.index("<svg") :].replace(INK, "currentColor").split(">", 1)
    return re.sub(r' (?:width|height)="[^"]*"', "", tag) + ">" + rest
