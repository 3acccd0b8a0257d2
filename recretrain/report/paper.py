"""Reads conf/table; anything in a file that does not fit together is an error that names it."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from omegaconf import OmegaConf

from recretrain.errors import ReportError
from recretrain.report.lines import Lines
from recretrain.report.published import EVIDENCE, Cells, Curves, Entry, Figure, Protocol, Table, place
from recretrain.report.tables import Weigh

KEYS = {field.name for field in fields(Table)} - {"name", "source"} | {"paper", "where", "settings"}


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
    """A table from the content of its file."""
    if unknown := sorted(content.keys() - KEYS):
        raise ReportError(f"table {name}: unknown key {unknown[0]!r}")
    for key in ("title", "rows"):
        if key not in content:
            raise ReportError(f"table {name}: {key!r} is missing")
    table = Table(
        name=name,
        title=content["title"],
        rows={row: _entry(name, row, entry, content.get("settings", {})) for row, entry in content["rows"].items()},
        columns=tuple(content.get("columns", ())),
        reference=content.get("reference"),
        weigh=content.get("weigh", "questions"),
        percent=bool(content.get("percent", False)),
        data=dict(content.get("data", {})),
        only={key: str(value) for key, value in content.get("only", {}).items()},
        runs=tuple(content.get("runs", ())),
        source=_source(content),
        evidence=content.get("evidence", ""),
        protocol={data: _protocol(asked) for data, asked in content.get("protocol", {}).items()},
        published=_published(name, content),
        curves=_curves(name, content),
        stand_ins=dict(content.get("stand_ins", {})),
        figures={figure: _lines(name, figure, told) for figure, told in content.get("figures", {}).items()},
        groups=dict(content.get("groups", {})),
        without_last=bool(content.get("without_last", False)),
        notes=dict(content.get("notes", {})),
    )
    _check(table)
    return table


def _entry(table: str, row: str, entry: str | Mapping[str, Any], shared: Mapping[str, Any]) -> Entry:
    """A title alone: every run of the method of the row's name. `shared` are what the others have in common."""
    if isinstance(entry, str):
        return Entry(entry, row, {})
    if unknown := sorted(entry.keys() - {"title", "method", "settings"}):
        raise ReportError(f"table {table}: row {row} has an unknown key {unknown[0]!r}")
    return Entry(entry.get("title", row), entry.get("method", row), {**shared, **entry.get("settings", {})})


def _lines(table: str, figure: str, told: Mapping[str, Any]) -> Lines:
    if told.keys() != {"title", "x", "y", "methods"}:
        raise ReportError(f"table {table}: figure {figure} needs title, x, y and methods, and nothing else")
    return Lines(**{str(key): value for key, value in told.items()})


def _source(content: Mapping[str, Any]) -> str:
    return ", ".join(content[key] for key in ("paper", "where") if key in content)


def _protocol(asked: Mapping[str, Any]) -> Protocol:
    first, last = asked["tested"]
    kind = asked.get("questions", "interactions")
    return Protocol(kind, asked["catalogue"], asked.get("candidates"), (first, last))


def _published(name: str, content: Mapping[str, Any]) -> dict[str, Cells]:
    evidence, source = content.get("evidence", ""), _source(content)
    if content.get("published") and (evidence not in EVIDENCE or "paper" not in content or "where" not in content):
        raise ReportError(
            f"table {name}: published figures need paper, where (the table) and evidence {sorted(EVIDENCE)}"
        )
    parted = content.get("published", {})
    if content.get("groups"):
        parted = {place(data, group): rows for data, groups in parted.items() for group, rows in groups.items()}
    return {
        where: {
            row: {column: Figure(float(value), source, evidence) for column, value in cells.items()}
            for row, cells in rows.items()
        }
        for where, rows in parted.items()
    }


def _curves(name: str, content: Mapping[str, Any]) -> dict[str, Curves]:
    curves = content.get("curves")
    if not curves:
        return {}
    if curves.get("evidence") not in EVIDENCE or not {"where", "values"} <= curves.keys() or "paper" not in content:
        raise ReportError(
            f"table {name}: curves need paper, where (the figure), values and evidence {sorted(EVIDENCE)}"
        )
    source = _source({"paper": content["paper"], "where": curves["where"]})

    def curve(data: str, column: str, row: str, values: Sequence[float]) -> dict[str, Figure]:
        periods = _tested(name, content, data)
        if len(values) != len(periods):
            what = f"table {name}: the curve {column} of {row} for {data}"
            raise ReportError(f"{what} has {len(values)} values for {len(periods)} tested periods")
        figures = (Figure(float(value), source, curves["evidence"]) for value in values)
        return dict(zip(map(str, periods), figures, strict=True))

    return {
        data: {
            column: {row: curve(data, column, row, values) for row, values in rows.items()}
            for column, rows in columns.items()
        }
        for data, columns in curves["values"].items()
    }


def _tested(name: str, content: Mapping[str, Any], data: str) -> Sequence[int]:
    if data not in content.get("protocol", {}):
        raise ReportError(f"table {name}: published for {data} without the protocol that was tested")
    return _protocol(content["protocol"][data]).periods


def _check(table: Table) -> None:
    if not table.data and not table.stand_ins:
        raise ReportError(f"table {table.name}: neither data nor stand_ins say which data it is about")
    if table.weigh not in get_args(Weigh):
        raise ReportError(f"table {table.name}: weigh={table.weigh}; choose from {', '.join(get_args(Weigh))}")
    known = [place(data, group) for data in table.data.values() for group in ("all", *table.groups)]
    for where, rows in table.published.items():
        if where not in known:
            raise ReportError(f"table {table.name}: published for {where}, which no data set stands for")
        _check_rows(table, where.partition(", ")[0], rows)
    for data, columns in table.curves.items():
        for column, curves in columns.items():
            _check_rows(table, data, {row: {column: next(iter(curve.values()))} for row, curve in curves.items()})


def _check_rows(table: Table, data: str, rows: Cells) -> None:
    columns = {*table.columns, *(f"RI {column.partition('@')[0]}" for column in table.columns)}
    if data not in table.data.values():
        raise ReportError(f"table {table.name}: published for {data}, which no data set stands for")
    if data not in table.protocol:
        raise ReportError(f"table {table.name}: published for {data} without the protocol that was tested")
    for row, cells in rows.items():
        wrong = [row, *cells][0] if row not in table.rows else next(iter(cells.keys() - columns), None)
        if wrong:
            raise ReportError(f"table {table.name}: published {wrong!r} for {data} is neither a row nor a column")
