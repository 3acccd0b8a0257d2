"""Reads conf/table; anything in a file that does not fit together is an error that names it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from omegaconf import OmegaConf

from recretrain import yaml_files
from recretrain.errors import ReportError
from recretrain.report.papers.card import (
    EVIDENCE,
    Cells,
    Cited,
    Curves,
    Entry,
    Layout,
    Protocol,
    Published,
    Scope,
    TableCard,
    place,
)
from recretrain.report.papers.chart import Chart
from recretrain.report.runs.averages import Weigh

CITATION = {"paper", "where", "evidence"}
KEYS = {  # of a file, where all parts of a table stand side by side
    *("title", "rows", "settings", "figures", "published", "protocol", "curves", "notes"),
    *CITATION,
    *(field.name for part in (Scope, Layout) for field in fields(part)),
}


def load(conf_dir: Path, name: str) -> TableCard:
    path = conf_dir / "table" / f"{name}.yaml"
    if not path.is_file():
        raise ReportError(f"no table {name!r}; there are: {', '.join(names(conf_dir))}")
    read = yaml_files.read(path)
    content = read
    if isinstance(read, dict) and "${" in path.read_text(encoding="utf-8"):
        content = OmegaConf.to_container(OmegaConf.create(read), resolve=True)
    if not isinstance(content, dict):
        raise ReportError(f"{path}: expected keys such as title, rows and data")
    return parse(name, {str(key): value for key, value in content.items()})


def names(conf_dir: Path) -> list[str]:
    return sorted(path.stem for path in (conf_dir / "table").glob("*.yaml"))


def parse(name: str, content: Mapping[str, Any]) -> TableCard:
    """A table from the content of its file."""
    if unknown := sorted(content.keys() - KEYS):
        raise ReportError(f"table {name}: unknown key {unknown[0]!r}")
    for key in ("title", "rows"):
        if key not in content:
            raise ReportError(f"table {name}: {key!r} is missing")
    table = TableCard(
        name=name,
        title=content["title"],
        rows={row: _entry(name, row, entry, content.get("settings", {})) for row, entry in content["rows"].items()},
        scope=_scope(content),
        layout=_layout(content),
        published=_published(name, content),
        charts={chart: _chart(name, chart, axes) for chart, axes in content.get("figures", {}).items()},
    )
    _check(table)
    return table


def _entry(table: str, row: str, entry: str | Mapping[str, Any], shared: Mapping[str, Any]) -> Entry:
    """A title alone: every run of the method of the row's name. `shared` are the settings that all others have."""
    if isinstance(entry, str):
        return Entry(entry, row, {})
    if unknown := sorted(entry.keys() - {"title", "method", "settings"}):
        raise ReportError(f"table {table}: row {row} has an unknown key {unknown[0]!r}")
    return Entry(entry.get("title", row), entry.get("method", row), {**shared, **entry.get("settings", {})})


def _scope(content: Mapping[str, Any]) -> Scope:
    return Scope(
        data=dict(content.get("data", {})),
        stand_ins=dict(content.get("stand_ins", {})),
        only={key: str(value) for key, value in content.get("only", {}).items()},
        runs=tuple(content.get("runs", ())),
        parted_by=tuple(content.get("parted_by", ())),
    )


def _layout(content: Mapping[str, Any]) -> Layout:
    return Layout(
        columns=tuple(content.get("columns", ())),
        reference=content.get("reference"),
        weigh=content.get("weigh", "questions"),
        percent=bool(content.get("percent", False)),
        groups=dict(content.get("groups", {})),
        without_last=bool(content.get("without_last", False)),
        forgetting=bool(content.get("forgetting", False)),
    )


def _chart(table: str, chart: str, axes: Mapping[str, Any]) -> Chart:
    if axes.keys() != {field.name for field in fields(Chart)}:
        raise ReportError(f"table {table}: figure {chart} needs title, x, y and methods, and nothing else")
    return Chart(**{str(key): value for key, value in axes.items()})


def _published(name: str, content: Mapping[str, Any]) -> Published:
    protocol = {data: _protocol(name, data, asked) for data, asked in content.get("protocol", {}).items()}
    return Published(
        protocol=protocol,
        cells=_cells(name, content),
        curves=_curves(name, content, protocol),
        notes=dict(content.get("notes", {})),
    )


def _protocol(table: str, data: str, protocol: Mapping[str, Any]) -> Protocol:
    if protocol.keys() != {"asked", "tested"} or len(protocol["tested"]) != 2:
        raise ReportError(
            f"table {table}: the protocol of {data} needs asked (entries of the card of the questions) and "
            "tested (the first and the last period), and nothing else"
        )
    first, last = protocol["tested"]
    return Protocol(dict(protocol["asked"]), (first, last))


def _cells(name: str, content: Mapping[str, Any]) -> dict[str, Cells]:
    evidence = content.get("evidence", "")
    if content.get("published") and (evidence not in EVIDENCE or not content.keys() >= CITATION):
        raise ReportError(
            f"table {name}: published figures need paper, where (the table) and evidence {sorted(EVIDENCE)}"
        )
    parted = content.get("published", {})
    if content.get("groups"):
        parted = {place(data, group): rows for data, groups in parted.items() for group, rows in groups.items()}
    return {
        where: {
            row: {column: Cited(float(value), _source(content), evidence) for column, value in cells.items()}
            for row, cells in rows.items()
        }
        for where, rows in parted.items()
    }


def _curves(name: str, content: Mapping[str, Any], protocol: Mapping[str, Protocol]) -> dict[str, Curves]:
    curves = content.get("curves")
    if not curves:
        return {}
    if curves.get("evidence") not in EVIDENCE or not {"where", "values"} <= curves.keys() or "paper" not in content:
        raise ReportError(
            f"table {name}: curves need paper, where (the figure), values and evidence {sorted(EVIDENCE)}"
        )
    source = _source({"paper": content["paper"], "where": curves["where"]})

    def curve(data: str, column: str, row: str, values: Sequence[float]) -> dict[str, Cited]:
        if data not in protocol:
            raise ReportError(f"table {name}: published for {data} without the protocol that was tested")
        periods = protocol[data].periods
        if len(values) != len(periods):
            culprit = f"table {name}: the curve {column} of {row} for {data}"
            raise ReportError(f"{culprit} has {len(values)} values for {len(periods)} tested periods")
        cited = (Cited(float(value), source, curves["evidence"]) for value in values)
        return dict(zip(map(str, periods), cited, strict=True))

    return {
        data: {
            column: {row: curve(data, column, row, values) for row, values in rows.items()}
            for column, rows in columns.items()
        }
        for data, columns in curves["values"].items()
    }


def _source(content: Mapping[str, Any]) -> str:
    return f"{content['paper']}, {content['where']}"


def _check(table: TableCard) -> None:
    if not table.scope.data and not table.scope.stand_ins:
        raise ReportError(f"table {table.name}: neither data nor stand_ins say which data it is about")
    if table.layout.forgetting and not table.layout.groups:
        raise ReportError(f"table {table.name}: forgetting needs groups, the tasks that are learned in a row")
    if table.layout.weigh not in get_args(Weigh):
        raise ReportError(f"table {table.name}: weigh={table.layout.weigh}; choose from {', '.join(get_args(Weigh))}")
    known = [place(data, group) for data in table.scope.data.values() for group in ("all", *table.layout.groups)]
    for where, rows in table.published.cells.items():
        if where not in known:
            raise ReportError(f"table {table.name}: published for {where}, which no data set stands for")
        _check_rows(table, where.partition(", ")[0], rows)
    for data, columns in table.published.curves.items():
        for column, curves in columns.items():
            _check_rows(table, data, {row: {column: next(iter(curve.values()))} for row, curve in curves.items()})


def _check_rows(table: TableCard, data: str, rows: Cells) -> None:
    columns = {*table.layout.columns, *(f"RI {column.partition('@')[0]}" for column in table.layout.columns)}
    if data not in table.scope.data.values():
        raise ReportError(f"table {table.name}: published for {data}, which no data set stands for")
    if data not in table.published.protocol:
        raise ReportError(f"table {table.name}: published for {data} without the protocol that was tested")
    for row, cells in rows.items():
        wrong = [row, *cells][0] if row not in table.rows else next(iter(cells.keys() - columns), None)
        if wrong:
            raise ReportError(f"table {table.name}: published {wrong!r} for {data} is neither a row nor a column")
