"""Tables of conf/table: which runs make one, and the published figures that may stand beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from recretrain.report.errors import ReportError
from recretrain.report.rows import Questions, Run

EVIDENCE = {"S": "read in the paper", "C": "read in the authors' code or its output"}  # recollections do not count


@dataclass(frozen=True)
class Figure:
    value: float
    source: str  # paper and table
    evidence: str


@dataclass(frozen=True)
class Protocol:
    """The questions that the paper's figures answer."""

    catalogue: str
    candidates: int
    tested: tuple[int, int]  # first and last period


@dataclass(frozen=True, kw_only=True)
class Table:
    name: str
    title: str
    rows: Mapping[str, str]  # method -> its name in the paper, in the order of the table
    columns: tuple[str, ...] = ()  # empty: all that was measured
    reference: str | None = None  # the method that RI and differences refer to
    data: Mapping[str, str]  # data set of the paper -> the paper's name of it
    only: Mapping[str, str]  # facts of the runs that belong here
    runs: tuple[str, ...] = ()
    source: str = ""  # of the published figures: paper and table
    evidence: str = ""  # what their source was read in
    protocol: Mapping[str, Protocol]
    published: Mapping[str, Mapping[str, Mapping[str, Figure]]]  # paper's data -> method -> column
    stand_ins: Mapping[str, str]  # another data set -> the published one that it must not be mistaken for
    without_last: bool = False  # also average without the last tested period
    notes: Mapping[str, Sequence[str]]  # data set -> what to say under its figures

    def about(self, data: str) -> bool:
        return data in self.data or data in self.stand_ins

    def has(self, run: Run) -> bool:
        return self.about(run.questions.data) and run.method in self.rows

    def published_for(self, asked: Questions, changed: Sequence[str] = ()) -> Mapping[str, Mapping[str, Figure]]:
        """Published figures that may stand beside runs with these questions; none unless everything agrees."""
        return {} if self.objection(asked, changed) else self.published.get(self.data.get(asked.data, ""), {})

    def objection(self, asked: Questions, changed: Sequence[str] = ()) -> str | None:
        """Why no published figure may stand beside these runs, or None; `changed` are the overrides of their data."""
        if asked.synthetic:
            return "Synthetic data: no published figure stands beside it."
        if asked.data in self.stand_ins:
            return f"Published figures are for another data set ({self.stand_ins[asked.data]}); none stands beside."
        if changed:
            return f"Not the paper's data ({', '.join(changed)}): no published figure stands beside it."
        protocol = self.protocol.get(self.data.get(asked.data, ""))
        return _difference(protocol, asked) if protocol else None


def load(conf_dir: Path, name: str) -> Table:
    path = conf_dir / "table" / f"{name}.yaml"
    if not path.is_file():
        raise ReportError(f"no table {name!r}; there are: {', '.join(names(conf_dir))}")
    content = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    if not isinstance(content, dict):
        raise ReportError(f"{path}: expected keys such as title, rows and data")
    return parse(name, {str(key): value for key, value in content.items()})


def names(conf_dir: Path) -> list[str]:
    return sorted(path.stem for path in (conf_dir / "table").glob("*.yaml"))


def parse(name: str, content: Mapping[str, Any]) -> Table:
    """A table from the content of its file; anything that does not fit together is an error that names it."""
    unknown = content.keys() - {field.name for field in fields(Table)} - {"paper", "where"}
    if unknown:
        raise ReportError(f"table {name}: unknown key {sorted(unknown)[0]!r}")
    for key in ("title", "rows"):
        if key not in content:
            raise ReportError(f"table {name}: {key!r} is missing")
    table = Table(
        name=name,
        title=content["title"],
        rows=dict(content["rows"]),
        columns=tuple(content.get("columns", ())),
        reference=content.get("reference"),
        data=dict(content.get("data", {})),
        only={key: str(value) for key, value in content.get("only", {}).items()},
        runs=tuple(content.get("runs", ())),
        source=_source(content),
        evidence=content.get("evidence", ""),
        protocol={data: _protocol(asked) for data, asked in content.get("protocol", {}).items()},
        published=_published(name, content),
        stand_ins=dict(content.get("stand_ins", {})),
        without_last=bool(content.get("without_last", False)),
        notes=dict(content.get("notes", {})),
    )
    _check(table)
    return table


def _source(content: Mapping[str, Any]) -> str:
    return ", ".join(content[key] for key in ("paper", "where") if key in content)


def _protocol(asked: Mapping[str, Any]) -> Protocol:
    first, last = asked["tested"]
    return Protocol(asked["catalogue"], asked["candidates"], (first, last))


def _published(name: str, content: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Figure]]]:
    evidence, source = content.get("evidence", ""), _source(content)
    if content.get("published") and (evidence not in EVIDENCE or "paper" not in content or "where" not in content):
        raise ReportError(f"table {name}: published figures need paper, where (the table) and evidence {set(EVIDENCE)}")
    return {
        data: {
            method: {column: Figure(float(value), source, evidence) for column, value in cells.items()}
            for method, cells in methods.items()
        }
        for data, methods in content.get("published", {}).items()
    }


def _check(table: Table) -> None:
    if not table.data and not table.stand_ins:
        raise ReportError(f"table {table.name}: neither data nor stand_ins say which data it is about")
    columns = {*table.columns, *(f"RI {column.partition('@')[0]}" for column in table.columns)}
    for data, methods in table.published.items():
        if data not in table.data.values():
            raise ReportError(f"table {table.name}: published for {data}, which no data set stands for")
        if data not in table.protocol:
            raise ReportError(f"table {table.name}: published for {data} without the protocol that was tested")
        for method, cells in methods.items():
            wrong = [method, *cells][0] if method not in table.rows else next(iter(cells.keys() - columns), None)
            if wrong:
                raise ReportError(f"table {table.name}: published {wrong!r} for {data} is neither a row nor a column")


def _difference(protocol: Protocol, asked: Questions) -> str | None:
    theirs = (protocol.catalogue, protocol.candidates, protocol.tested)
    ours = (asked.catalogue, asked.candidates, (asked.tested[0], asked.tested[-1]) if asked.tested else None)
    if theirs == ours:
        return None
    first, last = protocol.tested
    return (
        f"Published figures rank {protocol.candidates} {protocol.catalogue} candidates on periods {first}-{last}; "
        "these runs answer other questions, so none stands beside."
    )
