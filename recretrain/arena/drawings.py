"""The plots of the page, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recretrain.arena.forgetting import Matrix
from recretrain.arena.learning import Fall
from recretrain.arena.standings import Standing, pareto
from recretrain.report.plots.look import COLOURS, drawn, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST = 0.01  # CPU seconds: what learns nothing has no place on a logarithmic axis
FEW = 8  # periods, whose figures can be written into a heat map
SMALL = (3.2, 2.4)  # inches, of one plot among many


def costs(found: Sequence[Standing], column: str) -> str:
    """The figure of each method over what an update costs; a line joins those that no other passes."""

    def draw(axes: Axes) -> None:
        front = pareto(found)
        axes.plot([_cost(one) for one in front], [one.figure.mean for one in front], "-", color="#7D7D7D", linewidth=1)
        for place, one in enumerate(found):
            looks = style(place, one.method)
            axes.errorbar(_cost(one), one.figure.mean, yerr=_error(one), capsize=2, elinewidth=0.8, **looks)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set(xlabel="CPU seconds of an update (logarithmic)", ylabel=column)

    return drawn(draw)


def periods(found: Sequence[Standing], column: str) -> str:
    """The figure of each method in each tested period, with the deviation over seeds as a band."""

    def draw(axes: Axes) -> None:
        for place, one in enumerate(found):
            known = sorted(one.by_period.items())
            means = [average.mean for _, average in known]
            spread = [average.deviation or 0.0 for _, average in known]
            looks = style(place, one.method)
            axes.plot([period for period, _ in known], means, linewidth=1, **looks)
            axes.fill_between(
                [period for period, _ in known],
                [mean - one for mean, one in zip(means, spread, strict=True)],
                [mean + one for mean, one in zip(means, spread, strict=True)],
                color=looks["color"], alpha=0.2, linewidth=0,
            )  # fmt: skip
        axes.set(xlabel="period", ylabel=column)
        axes.locator_params(axis="x", integer=True)

    return drawn(draw)


def memory(matrix: Matrix, column: str) -> str:
    """The figure of each period, down, after each last learned one, across."""
    import numpy as np

    asked, learned = sorted(matrix), sorted({after for row in matrix.values() for after in row})
    values = np.array([[matrix[period].get(after, np.nan) for after in learned] for period in asked])

    def draw(axes: Axes) -> None:
        axes.grid(False)
        shown = axes.imshow(values, cmap="cividis", aspect="auto")
        axes.set_xticks(range(len(learned)), [str(period) for period in learned])
        axes.set_yticks(range(len(asked)), [str(period) for period in asked])
        axes.set(xlabel="last period learned", ylabel="period asked about")
        axes.figure.colorbar(shown, ax=axes, label=column)
        middle = (np.nanmin(values) + np.nanmax(values)) / 2
        for (row, place), value in np.ndenumerate(values) if len(learned) <= FEW else ():
            if not np.isnan(value):
                colour = "#000000" if value > middle else "#ffffff"
                axes.text(place, row, f"{value:.3f}", ha="center", va="center", color=colour)

    return drawn(draw, legend=False)


def losses(fall: Fall) -> str:
    """The loss over the epochs of each task, from blue for the first to orange for the last."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("tasks", COLOURS[:2])

    def draw(axes: Axes) -> None:
        for place, (_, values) in enumerate(sorted(fall.tasks.items())):
            shade = shades(place / max(1, len(fall.tasks) - 1))
            marker = "." if len(values) <= FEW * 2 else ""
            axes.plot(range(1, len(values) + 1), values, linewidth=1, marker=marker, color=shade)
        axes.set(xlabel="epoch", ylabel="loss")
        axes.locator_params(axis="x", integer=True, nbins=6)
        axes.locator_params(axis="y", nbins=5)

    return drawn(draw, size=SMALL, legend=False)


def _error(one: Standing) -> Sequence[Sequence[float]] | None:
    if one.interval is None:
        return None
    low, high = one.interval
    return [[max(0.0, one.figure.mean - low)], [max(0.0, high - one.figure.mean)]]


def _cost(one: Standing) -> float:
    return max(LEAST, one.seconds)
