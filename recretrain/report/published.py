"""A table of conf/table: its rows, and the published figures that may stand beside ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from recretrain.report.grids import PERCENT, SHARE, Unit
from recretrain.report.lines import Lines, value_of
from recretrain.report.rows import Questions, Run
from recretrain.report.tables import Weigh

EVIDENCE = {  # recollections do not count
    "S": "read in the paper",
    "C": "read in the authors' code or its output",
    "P": "read in the authors' poster",
    "V": "read off the authors' vector figure, to about 0.01",
}


@dataclass(frozen=True)
class Figure:
    value: float
    source: str  # paper and table
    evidence: str


Cells = Mapping[str, Mapping[str, Figure]]  # row -> column
Curves = Mapping[str, Mapping[str, Mapping[str, Figure]]]  # column -> row -> period

T = TypeVar("T")


@dataclass(frozen=True)
class Protocol:
    """The questions that the paper's figures answer."""

    questions: str  # interactions | prefixes
    catalogue: str
    candidates: int | None  # None: the whole catalogue
    tested: tuple[int, int]  # first and last period

    def __str__(self) -> str:
        if self.questions == "episodes":
            return f"are of {self.catalogue}"
        ranked = "the whole catalogue" if self.catalogue == "full" else f"{self.candidates} {self.catalogue} candidates"
        asked = " for prefixes of sessions" if self.questions == "prefixes" else ""
        first, last = self.tested
        return f"rank {ranked}{asked} on periods {first}-{last}"

    @property
    def periods(self) -> range:
        return range(self.tested[0], self.tested[1] + 1)


class Entry(NamedTuple):
    """A row: a method, and the settings that a run of it must have to stand there."""

    title: str  # its name in the paper
    method: str
    settings: Mapping[str, Any]  # such as method.distil: false


@dataclass(frozen=True, kw_only=True)
class Table:
    name: str
    title: str
    rows: Mapping[str, Entry]  # in the order of the table
    columns: tuple[str, ...] = ()  # empty: all that was measured
    reference: str | None = None  # the row that RI refers to
    weigh: Weigh = "questions"  # what counts the same in a mean over periods
    percent: bool = False  # else shares; published figures are given in the same
    data: Mapping[str, str]  # data set of the paper -> the paper's name of it
    only: Mapping[str, str]  # facts of the runs that belong here
    runs: tuple[str, ...] = ()
    source: str = ""  # of the published figures: paper and table
    evidence: str = ""  # what their source was read in
    protocol: Mapping[str, Protocol]
    published: Mapping[str, Cells]  # paper's data (and group: `place`) -> row -> column
    curves: Mapping[str, Curves] = field(default_factory=dict)  # paper's data -> column -> row -> period
    stand_ins: Mapping[str, str]  # another data set -> the published one that it must not be mistaken for
    groups: Mapping[str, str] = field(default_factory=dict)  # each shown in a table of its own -> what it is
    figures: Mapping[str, Lines] = field(default_factory=dict)  # drawn beside the curves over the periods
    without_last: bool = False  # also average without the last tested period
    notes: Mapping[str, Sequence[str]]  # data set -> what to say under its figures

    @property
    def unit(self) -> Unit:
        return PERCENT if self.percent else SHARE

    def about(self, data: str) -> bool:
        return data in self.data or data in self.stand_ins

    def has(self, run: Run) -> bool:
        return self.about(run.questions.data) and self.row_of(run) is not None

    def row_of(self, run: Run) -> str | None:
        return self.row(run.method, run.config)

    def row(self, method: str, config: Mapping[str, Any]) -> str | None:
        """The first row whose method and settings these are."""
        fitting = (name for name, entry in self.rows.items() if entry.method == method and _has(config, entry.settings))
        return next(fitting, None)

    def lists(self, method: str) -> bool:
        return any(entry.method == method for entry in self.rows.values())

    def published_for(self, asked: Questions, changed: Sequence[str] = (), group: str = "all") -> Cells:
        """Published figures that may stand beside runs with these questions; none unless everything agrees."""
        return self._comparable(self.published, asked, changed, group)

    def curves_for(self, asked: Questions, changed: Sequence[str] = ()) -> Curves:
        """Published figures of single periods, under the same conditions."""
        return self._comparable(self.curves, asked, changed)

    def objection(self, asked: Questions, changed: Sequence[str] = ()) -> str | None:
        """Why no published figure may stand beside these runs, or None; `changed` are the overrides of their data."""
        if asked.synthetic:
            return "Synthetic data: no published figure stands beside it."
        if asked.data in self.stand_ins:
            return f"Published figures are for another data set ({self.stand_ins[asked.data]}); none stands beside."
        if changed:
            return f"Not the paper's data ({', '.join(changed)}): no published figure stands beside it."
        protocol = self.protocol.get(self.data.get(asked.data, ""))
        if protocol is None or protocol == _protocol(asked):
            return None
        return f"Published figures {protocol}; these runs answer other questions, so none stands beside."

    def _comparable(
        self, figures: Mapping[str, Mapping[str, T]], asked: Questions, changed: Sequence[str], group: str = "all"
    ) -> Mapping[str, T]:
        return {} if self.objection(asked, changed) else figures.get(place(self.data.get(asked.data, ""), group), {})


def place(data: str, group: str) -> str:
    """Where the figures of a group stand in `published`."""
    return data if group == "all" else f"{data}, {group}"


def _protocol(asked: Questions) -> Protocol | None:
    if not asked.tested:
        return None
    candidates = None if asked.catalogue == "full" else asked.candidates
    return Protocol(asked.kind, asked.catalogue, candidates, (asked.tested[0], asked.tested[-1]))


def _has(config: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    return all(value_of(config, key) == value for key, value in settings.items())
