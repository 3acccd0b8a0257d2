"""Which runs are shown, and which table of conf/table each set of comparable ones belongs to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recretrain.errors import ReportError
from recretrain.report import paper
from recretrain.report.blocks import Block, blocks
from recretrain.report.published import Table
from recretrain.report.recipes import chosen
from recretrain.report.rows import Run, read_runs

Beside = Literal["none", "run", "all"]  # published figures of no row, of those that were run, or of all


@dataclass(frozen=True)
class Selection:
    table: Table | None  # the one that was asked for
    runs: Sequence[Run]  # unfinished ones too
    blocks: Sequence[tuple[Block, Table | None]]  # the finished ones, and a table about their data


def select(outputs: Path, conf_dir: Path | None, name: str | None, only: Mapping[str, str]) -> Selection:
    """Those of table `name`; without it every run, each set with the table of `conf_dir` that knows most of it."""
    table = _load(conf_dir, name) if name else None
    runs = read_runs(outputs, {**(table.only if table else {}), **only})
    if table:
        runs = chosen([run for run in runs if table.has(run)], table.runs, table.row_of)
    known = [table] if table else _all(conf_dir)
    return Selection(table, runs, [_named(block, _fitting(block, known)) for block in blocks(runs)])


def beside(table: str | None, test: str, group: str) -> Beside:
    """Published figures are about all questions of the tested periods."""
    if test != "test" or group != "all":
        return "none"
    return "all" if table else "run"


def _load(conf_dir: Path | None, name: str) -> Table:
    if conf_dir is None:
        raise ReportError(f"table {name} was asked for without conf_dir, the folder of the configuration")
    return paper.load(conf_dir, name)


def _all(conf_dir: Path | None) -> list[Table]:
    return [paper.load(conf_dir, name) for name in paper.names(conf_dir)] if conf_dir else []


def _fitting(block: Block, known: Sequence[Table]) -> Table | None:
    """It gives the order of rows, the unit and, where comparable, published figures; of equal ones the shortest."""
    about = [table for table in known if table.about(block.questions.data)]
    return max(about, key=lambda table: (sum(map(table.has, block.runs)), -len(table.rows)), default=None)


def _named(block: Block, table: Table | None) -> tuple[Block, Table | None]:
    """A method that the table does not list keeps its own name."""
    if table is None:
        return block, None
    return block.named(lambda run: table.row_of(run) if table.lists(run.method) else run.method), table
