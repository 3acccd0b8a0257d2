"""From run folders to tables and plots. Reads files only: nothing here needs torch or the rest of the package."""

from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["plot", "render"]


def render(
    outputs: Path,
    *,
    conf_dir: Path,
    table: str | None = None,
    format: str = "terminal",
    test: str = "test",
    group: str = "all",
    only: Mapping[str, str] | None = None,
    compare: str | None = None,
    by_period: str | None = None,
    columns: Sequence[str] = (),
) -> str:
    """The tables of all finished runs below `outputs`.

    `table` names a file of conf/table; without it every set of comparable runs gets a table of its own.
    `format` is terminal, github, latex, csv or html; `test` is test or choosing; `group` is all, new_user or new_item.
    `only` keeps the runs with these facts (data, method, schedule, eval, data_source, variant, seed).
    `compare` names the method every other one is tested against; `by_period` names a metric, such as recall@20,
    that is shown period by period instead. `columns` are metrics (mrr) or metrics at a k (mrr@20) to show; without it
    the table's own, or all that were measured.
    """
    from recretrain.report.pages import Request, pages

    request = Request(table, test, group, dict(only or {}), compare, by_period, tuple(columns))
    return pages(outputs, conf_dir, request, format)


def plot(
    outputs: Path,
    *,
    into: Path,
    conf_dir: Path | None = None,
    table: str | None = None,
    metric: str | None = None,
    test: str = "test",
    group: str = "all",
    only: Mapping[str, str] | None = None,
) -> list[Path]:
    """Draw metrics period by period, a line per method, as PNG and SVG files in `into`; returns their paths.

    `table` and `only` choose runs as for `render`. With `conf_dir`, published curves are drawn dashed where they may
    stand beside ours. Without a `metric` those with published curves are drawn, a panel each; else recall@20.
    """
    from recretrain.report.plots import Wish, draw

    return draw(outputs, into, conf_dir, Wish(table, metric, test, group, dict(only or {})))
