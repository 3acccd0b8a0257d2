"""What stands around the figures: titles, costs and differences."""

from collections.abc import Sequence

import pandas as pd

from recretrain.errors import ReportError
from recretrain.report import compare, tables
from recretrain.report.blocks import Block
from recretrain.report.grids import Cell, Grid, Row, Unit
from recretrain.report.results import corner
from recretrain.report.tables import Averages

COSTS = {
    "cpu_seconds": ("CPU s / period", "{:,.2f}"),
    "rows_read": ("rows read / period", "{:,.0f}"),
    "peak_memory_mb": ("peak MB", "{:,.0f}"),
    "trained_parameters": ("trained parameters", "{:,.0f}"),
}
TESTS = {"test": "tested periods", "choosing": "choosing periods (for hyper-parameters, not a result)"}
KINDS = {"prefixes": " (prefixes of sessions)", "episodes": " (users)"}
GROUPS = {"all": "", "new_user": "questions of new users, ", "new_item": "questions about new items, "}


def title(block: Block, rows: pd.DataFrame, test: str, group: str) -> str:
    asked = block.questions
    ranked = "whole catalogue" if asked.catalogue == "full" else f"1 + {asked.candidates or 'sampled'} candidates"
    ranked = asked.catalogue if asked.kind == "episodes" else ranked
    asks = f"{tables.questions(rows):,} questions{KINDS.get(asked.kind, '')}"
    return f"{named(block)}: {TESTS[test]} {span(rows)}, {ranked}, {GROUPS.get(group, f'{group}: ')}{asks}"


def named(block: Block) -> str:
    data = block.questions.data
    return f"{data} (synthetic data)" if block.questions.synthetic else data


def facts(block: Block, rows: pd.DataFrame, test: str, group: str, section: str) -> dict[str, str]:
    """What a line of CSV needs beside its figures."""
    asked = block.questions
    return {
        "section": section,
        "data": asked.data,
        "data_source": asked.source,
        "data_digest": asked.digest,
        "questions": asked.kind,
        "catalogue": asked.catalogue,
        "candidates": str(asked.candidates or ""),
        "test": test,
        "periods": span(rows),
        "group": group,
    }


def costs(block: Block, labels: Sequence[str], test: str) -> Grid:
    spent = tables.costs(block, test)
    body = [Row(label, [_cost(spent, label, name) for name in COSTS]) for label in labels]
    return Grid(f"{named(block)}: cost of a period", corner(block), [name for name, _ in COSTS.values()], body)


def comparison(
    block: Block, rows: pd.DataFrame, labels: Sequence[str], base: str, test: str, group: str, unit: Unit
) -> Grid:
    """Each other setting minus the one that `base` names."""
    settings, against = block.settings(), block.label_of(base)
    if against is None:
        raise ReportError(f"no finished run of {base!r} to compare with; there are: {', '.join(settings)}")
    columns = tables.in_order(rows["column"])
    body = [
        Row(label, _differences(compare.paired(settings[label], settings[against], columns, test, group), unit))
        for label in labels
        if label != against
    ]
    title = f"{named(block)}: difference to {against}, question by question"
    note = f"p: share of {compare.FLIPS:,} random sign flips of the differences whose mean is as far from 0."
    return Grid(title, corner(block), [f"{name}{unit.mark}" for name in columns], body, [note], extra="p")


def span(rows: pd.DataFrame) -> str:
    """`33-39`, or the periods one by one where some are missing between."""
    periods = sorted({int(period) for period in rows["period"]})
    if len(periods) > 1 and periods == list(range(periods[0], periods[-1] + 1)):
        return f"{periods[0]}-{periods[-1]}"
    return ", ".join(map(str, periods))


def _cost(spent: Averages, label: str, name: str) -> Cell:
    style = COSTS[name][1]
    figure = spent.get((label, name))
    if figure is None:
        return Cell()
    return Cell(figure.mean, style, figure.deviation or None, f" ± {style}")  # counts do not vary between seeds


def _differences(found: Sequence[compare.Difference], unit: Unit) -> list[Cell]:
    style = unit.style.replace(":", ":+")
    return [Cell(one.mean * unit.scale, style, one.p_value, " (p={:.4f})") for one in found]
