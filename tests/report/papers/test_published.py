"""A published figure stands beside ours only where both answer the same questions on the same data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from recretrain.errors import ReportError
from recretrain.report import render
from recretrain.report.papers import loading
from tests.report.folders import FULL, PREFIXES, SAMPLED

if TYPE_CHECKING:
    from tests.report.folders import RunFolders

YELP = {"recall@20": dict.fromkeys(range(33, 40), (0.4, 10))}
TABLE: Mapping[str, Any] = {
    "title": "T",
    "paper": "P",
    "where": "Table 1",
    "evidence": "S",
    "rows": {"sml": "SML"},
    "columns": ["recall@20"],
    "data": {"yelp": "Yelp"},
    "protocol": {"Yelp": {"asked": {"kind": "interactions", "candidates": 999}, "tested": [33, 39]}},
    "published": {"Yelp": {"sml": {"recall@20": 0.4748}}},
}


def test_on_the_papers_data_the_figure_and_the_difference_stand_under_ours(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", YELP)

    lines = render(runs.outputs, conf_dir=conf_dir, table="sml_table1").splitlines()

    at = next(index for index, line in enumerate(lines) if line.startswith("sml "))
    assert lines[at].split() == ["sml", "1", "0.4000"]
    assert lines[at + 1].split() == ["published", "[S]", "0.4748"]
    assert lines[at + 2].split() == ["difference", "-0.0748"]
    assert any("SIGIR 2020, Table 1 (read in the paper)" in line for line in lines)


def test_every_published_method_has_its_row_though_nobody_ran_it(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", YELP)

    text = render(runs.outputs, conf_dir=conf_dir, table="sml_table1")

    for method in ("full_retrain", "fine_tune", "spmf", "gru4rec", "caser"):
        assert f"{method} (not run)" in text
    assert "0.4565" in text  # Caser's


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"data_source": "synthetic"}, "Synthetic data: no published figure stands beside it."),
        ({"asked": {**SAMPLED, "candidates": 99}}, "answer other questions (candidates: 999, here 99); none stands"),
        ({"asked": FULL}, "(catalogue: sampled, here full; candidates: 999, here none)"),
        ({"asked": PREFIXES}, "(kind: interactions, here prefixes; catalogue: sampled, here full; candidates: 999,"),
        ({"tested": list(range(33, 39))}, "(tested periods: 33-39, here 33-38)"),
        ({"overrides": ["data.filters.k_core=5"]}, "Not the paper's data (data.filters.k_core=5)"),
        ({"overrides": ["data.cut.periods=50"]}, "Not the paper's data (data.cut.periods=50)"),
    ],
)
def test_no_published_figure_beside_other_questions(
    runs: RunFolders, conf_dir: Path, other: dict[str, Any], reason: str
) -> None:
    runs.add("sml", YELP, **other)

    for table in (None, "sml_table1"):
        text = render(runs.outputs, conf_dir=conf_dir, table=table)
        assert reason in text
        assert "published [S]" not in text
        assert "0.4748" not in text


def test_where_the_files_are_does_not_make_other_data_of_them(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", YELP, overrides=["data.source=raw", "data.path=/elsewhere"])

    assert "0.4748" in render(runs.outputs, conf_dir=conf_dir)


@pytest.mark.parametrize(("data", "paper_data"), [("yelp2019", "SML's Yelp"), ("globo", "SML's Adressa")])
def test_a_stand_in_is_not_set_beside_the_published_data(
    runs: RunFolders, conf_dir: Path, data: str, paper_data: str
) -> None:
    runs.add("sml", YELP, data=data)

    text = render(runs.outputs, conf_dir=conf_dir)

    assert f"Published figures are for another data set ({paper_data}); none stands beside." in text
    assert "published [S]" not in text


@pytest.mark.parametrize("format", ["terminal", "github", "latex", "html"])
def test_title_and_table_say_synthetic(runs: RunFolders, conf_dir: Path, format: str) -> None:
    runs.add("sml", YELP, data_source="synthetic")

    text = render(runs.outputs, conf_dir=conf_dir, format=format)

    assert text.count("yelp (synthetic data): ") == 2  # results and costs
    assert text.count("method (synthetic data)") == 2 + (format == "html")  # the figures of the curves too


def test_the_papers_table_is_also_averaged_without_the_last_period(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", {"recall@20": {**YELP["recall@20"], 39: (0.9, 10)}})

    text = render(runs.outputs, conf_dir=conf_dir, table="sml_table1")

    first, second = text.split("yelp: tested periods 33-38")
    assert "0.4714" in first  # (6 x .4 + .9) / 7
    assert "0.4000" in second
    assert "0.4714" not in second


def test_all_cells_of_table_1_are_there_and_only_from_the_paper(conf_dir: Path) -> None:
    published = loading.load(conf_dir, "sml_table1").published.cells

    cells = [cell for methods in published.values() for row in methods.values() for cell in row.values()]
    assert len(cells) == 2 * (6 * 6 + 5 * 2)
    assert {cell.evidence for cell in cells} == {"S"}
    assert {cell.source[-20:] for cell in cells} == {", SIGIR 2020, Table 1"[-20:]}
    assert published["Yelp"]["sml"]["ndcg@20"].value == 0.2194
    assert published["Adressa"]["gru4rec"]["RI ndcg"].value == 1018.4


def test_every_table_of_conf_loads(conf_dir: Path) -> None:
    found = loading.names(conf_dir)

    assert {"sml_table1", "yelp2019", "yelp2019_months", "globo"} <= set(found)
    for name in found:
        table = loading.load(conf_dir, name)
        assert table.scope.runs
        assert table.layout.reference in (None, *table.rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evidence": "MEM"}, "need paper, where"),
        ({"paper": None}, "need paper, where"),
        ({"protocol": {}}, "without the protocol"),
        ({"published": {"Yelp": {"ader": {"recall@20": 0.1}}}}, "published 'ader' for Yelp is neither"),
        ({"published": {"Yelp": {"sml": {"recall@7": 0.1}}}}, "published 'recall@7' for Yelp is neither"),
        ({"published": {"Adressa": {}}}, "published for Adressa, which no data set stands for"),
        ({"colums": []}, "unknown key 'colums'"),
        ({"title": None}, "'title' is missing"),
        ({"data": {}, "published": {}}, "which data it is about"),
        ({"protocol": {"Yelp": {"catalogue": "sampled", "tested": [33, 39]}}}, "the protocol of Yelp needs asked"),
        ({"protocol": {"Yelp": {"asked": {}, "tested": [33]}}}, "the protocol of Yelp needs asked"),
    ],
)
def test_a_table_that_does_not_fit_together_is_refused(change: dict[str, Any], message: str) -> None:
    content = {key: value for key, value in {**TABLE, **change}.items() if value is not None}

    loading.parse("t", TABLE)
    with pytest.raises(ReportError, match=message):
        loading.parse("t", content)
