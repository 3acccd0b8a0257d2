"""A table of conf/table: its rows, its layout, and the published figures that may stand beside ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from recretrain.report.papers.chart import Chart
from recretrain.report.runs.averages import Weigh
from recretrain.report.runs.run import Asked, Run, key_of, value_of

EVIDENCE = {  # recollections do not count
    "S": "read in the paper",
    "C": "read in the authors' code or its output",
    "P": "read in the authors' poster",
    "I": "quoted from the paper in an issue of the authors' repository",
    "V": "read off the authors' vector figure, to about 0.01",
}


@dataclass(frozen=True)
class Cited:
    """A published figure."""

    value: float
    source: str  # paper and table
    evidence: str  # a key of EVIDENCE


Cells = Mapping[str, Mapping[str, Cited]]  # row -> column
Curves = Mapping[str, Mapping[str, Mapping[str, Cited]]]  # column -> row -> period

T = TypeVar("T")


class Entry(NamedTuple):
    """A row: a method, and the settings that a run of it must have to stand in the row."""

    title: str  # its name in the paper
    method: str
    settings: Mapping[str, Any]  # such as method.distil: false


@dataclass(frozen=True)
class Scope:
    """The data and the runs that a table is about."""

    data: Mapping[str, str] = field(default_factory=dict)  # data set of the paper -> the paper's name of it
    stand_ins: Mapping[str, str] = field(default_factory=dict)  # another data set -> the published one it is not
    only: Mapping[str, str] = field(default_factory=dict)  # facts of the runs that belong here
    runs: tuple[str, ...] = ()  # the commands that make them
    parted_by: tuple[str, ...] = ()  # keys of data, such as data.split.eta, each of whose values is a group

    def has(self, data: str) -> bool:
        return data in self.data or data in self.stand_ins


@dataclass(frozen=True)
class Unit:
    """How the metrics of a table are written."""

    scale: float  # of a share
    style: str
    mark: str  # behind the name of a column


SHARE, PERCENT = Unit(1, "{:.4f}", ""), Unit(100, "{:.2f}", " %")


@dataclass(frozen=True)
class Layout:
    """How the figures of a table are averaged and shown."""

    columns: tuple[str, ...] = ()  # empty: all that was measured
    reference: str | None = None  # the row that RI refers to
    weigh: Weigh = "questions"  # these count the same in a mean over periods
    percent: bool = False  # else shares; published figures are given in the same
    groups: Mapping[str, str] = field(default_factory=dict)  # each shown in a table of its own -> its meaning
    without_last: bool = False  # also average without the last tested period
    forgetting: bool = False  # groups are tasks learned in a row: show what is left of each after the last one

    @property
    def unit(self) -> Unit:
        return PERCENT if self.percent else SHARE


@dataclass(frozen=True)
class Protocol:
    """The questions that published figures answer."""

    asked: Mapping[str, Any]  # entries of the card of the questions
    tested: tuple[int, int]  # first and last period

    @property
    def periods(self) -> range:
        return range(self.tested[0], self.tested[1] + 1)

    def differences(self, asked: Asked) -> list[str]:
        """Each entry in which the questions of a run are others, such as `candidates: 999, here 99`."""
        entries = {**self.asked, "tested periods": list(self.periods)}
        ours = {**asked.card, "tested periods": list(asked.tested)}
        return [
            f"{key}: {_text(value)}, here {_text(ours.get(key))}"
            for key, value in entries.items()
            if ours.get(key) != value
        ]


@dataclass(frozen=True)
class Published:
    """The figures of a paper, and the conditions under which they may stand beside ours."""

    protocol: Mapping[str, Protocol] = field(default_factory=dict)  # by the paper's data, as the others
    cells: Mapping[str, Cells] = field(default_factory=dict)  # also of a group of its questions: see `place`
    curves: Mapping[str, Curves] = field(default_factory=dict)
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)  # data set -> remarks under its figures


@dataclass(frozen=True, kw_only=True)
class TableCard:
    """A file of conf/table; by default the one of data that no file is about."""

    name: str = ""
    title: str = ""
    rows: Mapping[str, Entry] = field(default_factory=dict)  # in the order of the table
    scope: Scope = field(default_factory=Scope)
    layout: Layout = field(default_factory=Layout)
    published: Published = field(default_factory=Published)
    charts: Mapping[str, Chart] = field(default_factory=dict)  # drawn beside the curves over the periods

    def has(self, run: Run) -> bool:
        return self.scope.has(run.asked.data) and self.row_of(run) is not None

    def row_of(self, run: Run) -> str | None:
        return self.row(run.method, run.config)

    def row(self, method: str, config: Mapping[str, Any]) -> str | None:
        """The first row whose method and settings these are."""
        fitting = (name for name, entry in self.rows.items() if entry.method == method and _has(config, entry.settings))
        return next(fitting, None)

    def lists(self, method: str) -> bool:
        return any(entry.method == method for entry in self.rows.values())

    def cells_for(self, asked: Asked, changed: Sequence[str], group: str) -> Cells:
        """Published figures that may stand beside runs with these questions; none unless everything agrees."""
        return self._comparable(self.published.cells, asked, changed, group)

    def curves_for(self, asked: Asked, changed: Sequence[str]) -> Curves:
        """Published figures of single periods, under the same conditions."""
        return self._comparable(self.published.curves, asked, changed, "all")

    def objection(self, asked: Asked, changed: Sequence[str]) -> str | None:
        """Why no published figure may stand beside these runs, or None; `changed` are the overrides of their data."""
        if not self.scope.has(asked.data):
            return None
        if asked.synthetic:
            return "Synthetic data: no published figure stands beside it."
        if asked.data in self.scope.stand_ins:
            paper_data = self.scope.stand_ins[asked.data]
            return f"Published figures are for another data set ({paper_data}); none stands beside."
        if changed := [item for item in changed if key_of(item) not in self.scope.parted_by]:
            return f"Not the paper's data ({', '.join(changed)}): no published figure stands beside it."
        protocol = self.published.protocol.get(self.scope.data.get(asked.data, ""))
        differences = protocol.differences(asked) if protocol else []
        if not differences:
            return None
        return f"Published figures answer other questions ({'; '.join(differences)}); none stands beside."

    def _comparable(
        self, figures: Mapping[str, Mapping[str, T]], asked: Asked, changed: Sequence[str], group: str
    ) -> Mapping[str, T]:
        if self.objection(asked, changed):
            return {}
        return figures.get(place(self.scope.data.get(asked.data, ""), group), {})


PLAIN = TableCard()


def place(data: str, group: str) -> str:
    """The key of a group's figures in `Published.cells`."""
    return data if group == "all" else f"{data}, {group}"


def _has(config: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    return all(value_of(config, key) == value for key, value in settings.items())


def _text(value: Any) -> str:
    if isinstance(value, list) and value and value == list(range(value[0], value[-1] + 1)):
        return f"{value[0]}-{value[-1]}"
    return "none" if value is None or value == [] else str(value)
