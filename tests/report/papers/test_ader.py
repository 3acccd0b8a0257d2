"""ADER's tables: its rows are settings of one method, its means weigh periods, its curves are published too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from recretrain.errors import ReportError
from recretrain.report import plot, render
from recretrain.report.papers import loading
from recretrain.report.plots.look import COLOURS
from recretrain.report.runs.cohorts import cohorts
from recretrain.report.runs.reading import read_runs
from tests.report.folders import FULL, PREFIXES

if TYPE_CHECKING:
    from tests.report.folders import RunFolders

CYCLES = range(1, 17)
RELEASED = {
    "distil": True,
    "memory.selection": "herding",
    "memory.quotas": "proportional",
    "weight_adapts": True,
    "memory.size": 30000,
    "weight": 0.8,
}
COLUMNS = ("recall@10", "recall@20", "mrr@10", "mrr@20")


def add(runs: RunFolders, method: str, value: float, **changes: Any) -> None:
    """A run of the 16 cycles in which every metric has this value."""
    figures = {column: dict.fromkeys(CYCLES, (value, 10)) for column in COLUMNS}
    asked: dict[str, Any] = {
        "data": "diginetica",
        "choosing": (),
        "tested": tuple(CYCLES),
        "asked": PREFIXES,
    }
    runs.add(method, figures, **{**asked, **changes})


def add_ader(runs: RunFolders, value: float, settings: Mapping[str, Any] | None = None, **changes: Any) -> None:
    add(runs, "ader", value, settings={**RELEASED, **(settings or {})}, **changes)


def line(text: str, start: str) -> list[str]:
    """The cells of the first line that starts so."""
    return next(row for row in text.splitlines() if row.startswith(start)).split()


def under(text: str, start: str) -> list[list[str]]:
    """The cells of the two lines below it."""
    lines = text.splitlines()
    at = next(index for index, row in enumerate(lines) if row.startswith(start))
    return [row.split() for row in lines[at + 1 : at + 3]]


@pytest.mark.parametrize(
    ("data", "row", "printed"),
    [  # recall@10, recall@20, mrr@10, mrr@20, copied from the poster's table once more
        ("DIGINETICA", "session_fine_tune", (35.00, 47.28, 15.16, 16.01)),
        ("DIGINETICA", "ewc", (35.48, 47.66, 15.44, 16.28)),
        ("DIGINETICA", "ader", (37.52, 50.21, 16.45, 17.32)),
        ("YOOCHOOSE", "session_dropout", (64.15, 72.20, 36.03, 36.60)),
        ("YOOCHOOSE", "session_joint", (64.16, 72.22, 36.08, 36.65)),
        ("YOOCHOOSE", "ader", (64.41, 72.38, 36.14, 36.71)),
    ],
)
def test_the_main_tables_cells_are_those_of_the_poster(
    conf_dir: Path, data: str, row: str, printed: tuple[float, ...]
) -> None:
    cells = loading.load(conf_dir, "ader_table").published.cells[data][row]

    assert tuple(cells[column].value for column in COLUMNS) == printed
    assert {cell.evidence for cell in cells.values()} == {"P"}


def test_the_ablations_cells_are_those_of_the_poster(conf_dir: Path) -> None:
    cells = loading.load(conf_dir, "ader_ablation").published.cells["DIGINETICA"]

    printed = {row: tuple(figures[column].value for column in COLUMNS) for row, figures in cells.items()}
    assert printed["er_random"] == (36.61, 49.14, 15.92, 16.79)
    assert printed["er_loss"] == printed["er_loss_as_released"] == (36.65, 49.31, 16.02, 16.90)
    assert printed["ader_fix"] == (37.41, 50.09, 16.41, 17.29)
    assert not {"ader_10k", "ader_20k"} & printed.keys()


def test_the_published_curves_have_the_published_means(conf_dir: Path) -> None:
    """Read off the figure and printed in the table: two sources, which agree to what both were rounded to."""
    table = loading.load(conf_dir, "ader_table")
    compared = 0

    for data, columns in table.published.curves.items():
        for column, curves in columns.items():
            for row, curve in curves.items():
                mean = sum(figure.value for figure in curve.values()) / len(curve)
                assert list(curve) == [str(cycle) for cycle in CYCLES]
                assert mean == pytest.approx(table.published.cells[data][row][column].value, abs=0.01)
                compared += 1

    assert compared == 2 * 2 * 5
    ader = table.published.curves["DIGINETICA"]["recall@20"]["ader"]
    assert (ader["1"].value, ader["16"].value, ader["1"].evidence) == (49.45, 51.71, "V")


def test_ours_and_theirs_are_in_percent(runs: RunFolders, conf_dir: Path) -> None:
    add_ader(runs, 0.5)

    text = render(runs.outputs, conf_dir=conf_dir, table="ader_table")

    assert line(text, "method")[2:] == ["recall@10", "%", "recall@20", "%", "mrr@10", "%", "mrr@20", "%"]
    assert line(text, "ader ") == ["ader", "1", *["50.00"] * 4]
    published, difference = under(text, "ader ")
    assert published == ["published", "[P]", "37.52", "50.21", "16.45", "17.32"]
    assert difference == ["difference", "+12.48", "-0.21", "+33.55", "+32.68"]
    assert "RecSys 2020, main table (read in the authors' poster)." in text


def test_cycles_weigh_the_same_and_the_table_says_so(runs: RunFolders, conf_dir: Path) -> None:
    values = {"recall@20": {**dict.fromkeys(CYCLES, (0.4, 10)), 16: (0.8, 10_000)}}
    runs.add("session_fine_tune", values, data="diginetica", choosing=(), tested=tuple(CYCLES))

    text = render(runs.outputs, conf_dir=conf_dir, table="ader_table")

    assert line(text, "session_fine_tune") == ["session_fine_tune", "1", "42.50"]  # (15 x .4 + .8) / 16
    assert "plain mean of the periods' values, whatever their numbers of questions" in text


def test_each_run_stands_in_the_row_of_its_settings(runs: RunFolders, conf_dir: Path) -> None:
    add_ader(runs, 0.50)
    add_ader(runs, 0.41, {"distil": False})
    add_ader(runs, 0.40, {"distil": False, "weight": 0.2})
    add_ader(runs, 0.42, {"distil": False, "memory.selection": "random"})
    add_ader(runs, 0.43, {"distil": False, "memory.selection": "loss_as_released"})
    add_ader(runs, 0.44, {"memory.quotas": "equal"})
    add_ader(runs, 0.45, {"weight_adapts": False})
    add_ader(runs, 0.46, {"memory.size": 10000})
    add_ader(runs, 0.47, {"memory.size": 10000, "memory.quotas": "equal"})  # no row
    add(runs, "session_fine_tune", 0.48)  # a row of the other table

    text = render(runs.outputs, conf_dir=conf_dir, table="ader_ablation")

    rows = {row.split()[0]: row.split()[1:3] for row in text.split("cost of")[0].splitlines() if " 1 " in row}
    assert rows == {
        "er_herding": ["1", "41.00"],
        "er_herding_light": ["1", "40.00"],
        "er_random": ["1", "42.00"],
        "er_loss_as_released": ["1", "43.00"],
        "ader_equal": ["1", "44.00"],
        "ader_fix": ["1", "45.00"],
        "ader": ["1", "50.00*"],
        "ader_10k": ["1", "46.00"],
    }
    assert under(text, "er_loss_as_released ")[0][2:] == ["36.65", "49.31", "16.02", "16.90"]
    assert "er_loss (not run)" in text
    assert under(text, "ader_10k ")[0][0] != "published"


def test_the_main_table_has_aders_released_settings_only(runs: RunFolders, conf_dir: Path) -> None:
    add_ader(runs, 0.5, {"distil": False}, overrides=["method.distil=False"])

    text = render(runs.outputs, conf_dir=conf_dir, table="ader_table")

    assert "No finished run" in text


def test_a_variant_without_a_row_is_named_by_its_overrides_and_has_no_published_figure(
    runs: RunFolders, conf_dir: Path
) -> None:
    add(runs, "session_fine_tune", 0.3)
    add(runs, "ewc", 0.3)
    add_ader(runs, 0.5, {"distil": False}, overrides=["method.distil=False"])

    text = render(runs.outputs, conf_dir=conf_dir)

    assert line(text, "ader, ") == ["ader,", "distil=False", "1", *["50.00*"] * 4]
    assert "17.32" not in text
    assert "16.01" in text  # session_fine_tune's


def test_ablations_alone_are_shown_by_the_table_that_knows_them(runs: RunFolders, conf_dir: Path) -> None:
    add_ader(runs, 0.5, {"distil": False})

    text = render(runs.outputs, conf_dir=conf_dir)

    assert line(text, "er_herding")[:2] == ["er_herding", "1"]
    assert "49.44" in text
    assert "50.21" not in text


def test_runs_of_the_tables_commands_stand_for_their_row_and_for_no_other(runs: RunFolders, conf_dir: Path) -> None:
    preset = "experiment=ader_diginetica"
    add_ader(runs, 0.5, overrides=[preset], variant="preset")
    add_ader(runs, 0.6, overrides=["method.learner.patience=1"], variant="impatient")
    add_ader(runs, 0.4, {"distil": False}, overrides=["method.distil=false"], variant="er")

    text = render(runs.outputs, conf_dir=conf_dir, table="ader_ablation")

    assert line(text, "ader ")[:3] == ["ader", "1", "50.00*"]
    assert line(text, "er_herding ")[:3] == ["er_herding", "1", "40.00"]
    assert "60.00" not in text


def test_a_run_that_a_command_would_find_done_is_of_the_command(runs: RunFolders, conf_dir: Path) -> None:
    add_ader(runs, 0.5, overrides=["experiment=ader_diginetica"], variant="same", seed=1)
    add_ader(runs, 0.3, variant="same", seed=0)

    text = render(runs.outputs, conf_dir=conf_dir, table="ader_table")

    assert line(text, "ader ")[:3] == ["ader", "2", "40.00"]


OTHER_QUESTIONS: list[tuple[dict[str, Any], str]] = [
    ({"data_source": "synthetic"}, "Synthetic data: no published figure stands beside it."),
    ({"asked": FULL}, "Published figures answer other questions (kind: prefixes, here interactions); none stands"),
    ({"tested": tuple(range(1, 16))}, "answer other questions (tested periods: 1-16, here 1-15); none stands beside."),
    ({"overrides": ["data.cut.days=6"]}, "Not the paper's data (data.cut.days=6)"),
]


@pytest.mark.parametrize(("other", "reason"), OTHER_QUESTIONS)
def test_no_published_figure_or_curve_beside_other_questions(
    runs: RunFolders, conf_dir: Path, tmp_path: Path, other: dict[str, Any], reason: str
) -> None:
    add_ader(runs, 0.5, **other)

    for table in (None, "ader_table", "ader_ablation"):
        text = render(runs.outputs, conf_dir=conf_dir, table=table)
        assert reason in text
        assert "published [" not in text
        by_period = render(runs.outputs, conf_dir=conf_dir, table=table, by_period="recall@20")
        assert "published [" not in by_period
        drawn = plot(runs.outputs, into=tmp_path / "plots", conf_dir=conf_dir, table=table)
        assert dashed(drawn) == []


def test_published_curves_stand_period_by_period_under_ours(runs: RunFolders, conf_dir: Path) -> None:
    add_ader(runs, 0.5)

    text = render(runs.outputs, conf_dir=conf_dir, table="ader_table", by_period="mrr@20")
    other = render(runs.outputs, conf_dir=conf_dir, table="ader_table", by_period="mrr@10")

    assert line(text, "ader ") == ["ader", *["50.00"] * 16]
    published = under(text, "ader ")[0]
    assert published[:4] == ["published", "[V]", "17.71", "18.18"]
    assert published[-1] == "17.26"
    assert "session_joint (not run)" in text
    assert "(read off the authors' vector figure, to about 0.01)" in text
    assert "published" not in other  # no curve of it was printed


def colours(paths: list[Path], *, of_dashed: bool) -> list[str]:
    (svg,) = [path.read_text() for path in paths if path.suffix == ".svg"]
    styles = re.findall(r'<g id="line2d_\d+">\s*<path d="[^"]*"[^>]*style="(fill: none;[^"]*)"', svg)
    drawn = [style for style in styles if "#b0b0b0" not in style]  # of the grid
    found = [style for style in drawn if ("stroke-dasharray" in style) == of_dashed]
    return [match.group() for style in found if (match := re.search(r"#\w{6}", style))]


def dashed(paths: list[Path]) -> list[str]:
    return colours(paths, of_dashed=True)


def test_published_curves_are_dashed_in_the_colour_of_ours_a_panel_a_metric(
    runs: RunFolders, conf_dir: Path, tmp_path: Path
) -> None:
    add_ader(runs, 0.5)
    add(runs, "session_fine_tune", 0.4)

    paths = plot(runs.outputs, into=tmp_path / "plots", conf_dir=conf_dir)

    assert [path.suffix for path in paths] == [".png", ".svg"]
    ours = colours(paths, of_dashed=False)
    blue, orange = (colour.lower() for colour in COLOURS[:2])  # ader is better and comes first
    assert [colour for colour in ours if colour in (blue, orange)][:4] == [blue, orange, blue, orange]
    assert dashed(paths)[:4] == [orange, blue, orange, blue]  # in the order of the table
    svg = next(path for path in paths if path.suffix == ".svg").read_text()
    assert "<!-- recall@20 % -->" in svg
    assert "<!-- mrr@20 % -->" in svg
    assert "<!-- 0 -->" not in svg  # of an axis: ours are drawn at 40 and 50, not as shares


def test_a_plot_of_the_table_also_has_the_curves_of_methods_that_nobody_ran(
    runs: RunFolders, conf_dir: Path, tmp_path: Path
) -> None:
    add_ader(runs, 0.5)

    paths = plot(runs.outputs, into=tmp_path, conf_dir=conf_dir, table="ader_table", metric="mrr@20")

    assert len(set(dashed(paths))) == 5
    assert "<!-- session_joint, published (not run) -->" in next(p for p in paths if p.suffix == ".svg").read_text()


def test_prefixes_and_interactions_are_other_questions(runs: RunFolders) -> None:
    add(runs, "ewc", 0.5)
    add(runs, "session_dropout", 0.5, asked=FULL)

    assert [[run.method for run in cohort.runs] for cohort in cohorts(read_runs(runs.outputs))] == [
        ["session_dropout"],
        ["ewc"],
    ]


CURVES: Mapping[str, Any] = {
    "title": "T",
    "paper": "P",
    "rows": {"ader": "ADER"},
    "columns": ["mrr@20"],
    "data": {"diginetica": "D"},
    "protocol": {"D": {"asked": {"kind": "prefixes"}, "tested": [1, 2]}},
    "curves": {"where": "figure", "evidence": "V", "values": {"D": {"mrr@20": {"ader": [17.0, 18.0]}}}},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"curves": {**CURVES["curves"], "evidence": "MEM"}}, "curves need paper, where"),
        ({"curves": {**CURVES["curves"], "values": {"D": {"mrr@20": {"ader": [17.0]}}}}}, "has 1 values for 2 tested"),
        ({"curves": {**CURVES["curves"], "values": {"D": {"mrr@20": {"ewc": [1, 2]}}}}}, "published 'ewc' for D is"),
        ({"curves": {**CURVES["curves"], "values": {"D": {"mrr@9": {"ader": [1, 2]}}}}}, "published 'mrr@9' for D is"),
        ({"protocol": {}}, "without the protocol"),
        ({"weigh": "users"}, "weigh=users; choose from questions, periods"),
        ({"rows": {"ader": {"methods": "ader"}}}, "row ader has an unknown key 'methods'"),
    ],
)
def test_curves_and_rows_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    loading.parse("t", CURVES)

    with pytest.raises(ReportError, match=message):
        loading.parse("t", {**CURVES, **change})
