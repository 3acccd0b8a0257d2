"""The plots of the page, as SVG: colours that a colour-blind reader tells apart, and a marker for each method."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from recretrain.arena.forgetting import Matrix
from recretrain.arena.standings import Standing, pareto

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8A6D00", "#000000")
MARKERS = "osD^vP*Xph<>"
LEAST = 0.01  # CPU seconds: what learns nothing has no place on a logarithmic axis


def costs(found: Sequence[Standing], column: str) -> str:
    """The figure of each method over what an update costs; a line joins those that no other passes."""
    figure, axes = _figure()
    front = pareto(found)
    axes.plot([_cost(one) for one in front], [one.figure.mean for one in front], "-", color="#777777", linewidth=1)
    for place, one in enumerate(found):
        error = None
        if one.interval is not None:
            low, high = one.interval
            error = [[max(0.0, one.figure.mean - low)], [max(0.0, high - one.figure.mean)]]
        axes.errorbar(_cost(one), one.figure.mean, yerr=error, capsize=2, elinewidth=0.8, **_style(place, one.method))
    axes.set_xscale("log")
    axes.set(xlabel="CPU seconds of an update (logarithmic)", ylabel=column)
    _legend(figure, axes)
    return _svg(figure)


def periods(found: Sequence[Standing], column: str) -> str:
    """The figure of each method in each tested period, with the deviation over seeds as a band."""
    figure, axes = _figure()
    for place, one in enumerate(found):
        known = sorted(one.by_period.items())
        means = [average.mean for _, average in known]
        deviations = [average.deviation or 0.0 for _, average in known]
        style = _style(place, one.method)
        axes.plot([period for period, _ in known], means, linewidth=1, **style)
        ends = (
            [m - d for m, d in zip(means, deviations, strict=True)],
            [m + d for m, d in zip(means, deviations, strict=True)],
        )
        axes.fill_between([period for period, _ in known], *ends, color=style["color"], alpha=0.12, linewidth=0)
    axes.set(xlabel="period", ylabel=column)
    axes.locator_params(axis="x", integer=True)
    _legend(figure, axes)
    return _svg(figure)


def memory(matrix: Matrix, column: str) -> str:
    """The figure of each period, down, after each last learned one, across."""
    import numpy as np

    asked, learned = sorted(matrix), sorted({after for row in matrix.values() for after in row})
    values = np.array([[matrix[period].get(after, np.nan) for after in learned] for period in asked])
    figure, axes = _figure()
    axes.grid(False)
    shown = axes.imshow(values, cmap="cividis", aspect="auto")
    axes.set_xticks(range(len(learned)), [str(period) for period in learned])
    axes.set_yticks(range(len(asked)), [str(period) for period in asked])
    axes.set(xlabel="last period learned", ylabel="period asked about")
    figure.colorbar(shown, ax=axes, label=column)
    return _svg(figure)


def _figure() -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.25)
    return figure, axes


def _style(place: int, name: str) -> dict[str, Any]:
    marker = MARKERS[place % len(MARKERS)]
    return {"color": COLOURS[place % len(COLOURS)], "marker": marker, "markersize": 5, "label": name}


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small", frameon=False)


def _cost(one: Standing) -> float:
    return max(LEAST, one.seconds)


def _svg(figure: Figure) -> str:
    """The element alone, which scales with the page."""
    from matplotlib import rc_context

    file = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "recretrain"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    return re.sub(
        r'(<svg[^>]*?) height="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text[text.index("<svg") :])
    )
