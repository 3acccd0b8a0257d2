"""One table, written down in five ways."""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from recretrain.report import render
from recretrain.report.pages.formats import FORMATS, legend, write
from recretrain.report.pages.grids import Cell, Grid, Line

if TYPE_CHECKING:
    from tests.report.folders import RunFolders

LATEX = shutil.which("pdflatex")
GRID = Grid(
    "50% of A_b", "method", ["recall@20"], [Line("full_retrain", [Cell(0.5, extra=(0.25,), bold=True)])], ["a & b"]
)


def test_the_formats_are_known_without_what_writes_them() -> None:
    program = """
import json, sys
from recretrain.report.pages.formats import FORMATS
print(json.dumps([FORMATS, sorted(sys.modules)]))
"""
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    formats, modules = json.loads(output)
    assert formats == ["terminal", "github", "latex", "html", "csv"]
    assert not {"pandas", "numpy", "tabulate", "omegaconf", "rich", "jinja2"} & set(modules)


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_can_be_written(format: str) -> None:
    assert "0.5" in write([GRID], "All", [], format)


def test_github_has_a_heading_a_pipe_table_and_bold() -> None:
    text = write([GRID], "All", ["left out"], "github")

    assert text.startswith("## All\n\n### 50% of A_b\n\n| method ")
    assert "| **0.5000 ± 0.2500** |" in text
    assert text.endswith("a & b\n\nBold: the best of its column; ± the standard deviation over seeds.\n\nleft out\n")


def test_github_is_read_as_tables_by_a_reader_of_markdown() -> None:
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(hostile("github"))

    assert [token.type for token in tokens].count("table_open") == 1
    cells = [token.content for token in tokens if token.type == "inline" and token.content == "0.5000"]
    assert cells == ["0.5000"]
    assert [token.type for token in tokens].count("tr_open") == 3


def test_signs_are_explained_where_they_stand() -> None:
    plain = Grid("title", "method", ["recall@20"], [Line("sml", [Cell(0.5)])])
    beside = replace(plain, lines=[*plain.lines, Line("sml", [Cell(-0.1)], "difference")])
    intervals = replace(plain, lines=[Line("sml", [Cell(0.5, extra=(0.4, 0.6))])], extra=("low", "high"))

    assert list(legend([plain, intervals], "*")) == []
    assert list(legend([beside], "*")) == ["difference: ours minus the published figure."]
    assert list(legend([GRID, plain], "*")) == ["* the best of its column; ± the standard deviation over seeds."]


def test_latex_escapes_what_latex_would_read() -> None:
    text = write([GRID], "50%", [], "latex")

    assert text.startswith("% in the preamble: \\usepackage{booktabs}\n% 50%\n")
    assert (
        r"""
\begin{table}
  \centering
  \caption{50\% of A\_b}
  \label{tab:table}
  \begin{tabular}{lr}
    \toprule
    method & recall@20 \\
    \midrule
    full\_retrain & \textbf{0.5000 $\pm$ 0.2500} \\
    \bottomrule
  \end{tabular}
  \par\footnotesize a \& b
\end{table}
"""
        in text
    )


def test_latex_labels_are_the_tables_own_and_no_row_begins_with_an_option() -> None:
    facts = {"section": "results", "data": "yelp_2019", "group": "all"}
    lines = [Line("[x]", [Cell(-0.5, extra=(-1.0, 2.0), extra_style=" [{:.1f}, {:.1f}]")])]
    grid = Grid("", "method", ["a"], [*lines, Line("x", [Cell(1.0)], "published", "", "[S]")], (), facts)

    text = write([grid, grid], "", [], "latex")

    assert re.findall(r"\\label{(.*)}", text) == ["tab:results-yelp-2019-all", "tab:results-yelp-2019-all-2"]
    assert r"{[}x] & $-$0.5000 [$-$1.0, 2.0] \\" in text
    assert r"\quad published [S] & 1.0000 \\" in text


def test_html_escapes_what_html_would_read() -> None:
    text = write([GRID], "A < B", [], "html")

    assert "<h1>A &lt; B</h1>" in text
    assert "<td><strong>0.5000 ± 0.2500</strong></td>" in text
    assert '<p class="soft">a &amp; b</p>' in text


def test_csv_has_unrounded_figures_and_the_deviation_beside_them(runs: RunFolders, conf_dir: Path) -> None:
    for seed, value in enumerate([0.123456, 0.223456]):
        runs.add("sml", {"recall@20": dict.fromkeys(range(33, 40), (value, 10))}, seed=seed)

    table = pd.read_csv(io.StringIO(render(runs.outputs, conf_dir=conf_dir, table="sml_table1", format="csv")))

    rows = table[(table["section"] == "results") & (table["row"] == "sml")].set_index("kind")
    assert rows.loc["ours", "recall@20"] == pytest.approx(0.173456)
    assert rows.loc["ours", "recall@20 deviation"] == pytest.approx(0.1 / 2**0.5)
    assert rows.loc["published", "recall@20"] == 0.4748
    assert rows.loc["published", "source"].endswith("SIGIR 2020, Table 1 [S]")
    assert rows.loc["difference", "recall@20"] == pytest.approx(0.173456 - 0.4748)
    assert set(table["data_source"]) == {"raw"}
    assert set(table["periods"]) == {"33-39", "33-38"}


def test_csv_has_the_same_columns_in_the_same_order(runs: RunFolders, conf_dir: Path) -> None:
    for seed in (0, 1):
        runs.add("sml", {"recall@20": dict.fromkeys(range(33, 40), (0.1, 10))}, seed=seed)

    text = render(runs.outputs, conf_dir=conf_dir, table="sml_table1", format="csv")

    facts = "section,data,data_source,data_digest,questions,unit,card,test,periods,group,row,kind,source"
    assert text.splitlines()[0].startswith(f"{facts},seeds,recall@20,recall@20 deviation,")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert {line["section"] for line in lines} == {"results", "results without last", "costs"}
    assert {line["kind"] for line in lines} == {"ours", "published", "difference", "not run"}
    costs = next(line for line in lines if line["section"] == "costs")
    assert (costs["recall@20"], costs["CPU s / period"], costs["rows read / period"]) == ("", "1.0", "10.0")
    assert (costs["peak MB"], costs["trained parameters"]) == ("100.0", "7.0")


def test_csv_logs_what_it_has_no_room_for(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        write([GRID], "", ["left out: one run"], "csv")

    assert caplog.messages == ["left out: one run"]


HOSTILE = "=HYPERLINK(1)|<script>x</script>\n# [a](b) **c** `d` &amp; \x1b[31m\u202e$\\write18{x}%"


def hostile(format: str) -> str:
    """A report in which everything that lay in a file is hostile."""
    lines = [Line(HOSTILE, [Cell(0.5)]), Line(HOSTILE, [Cell(0.25)], "published", HOSTILE, HOSTILE)]
    grid = Grid(HOSTILE, HOSTILE, [HOSTILE], lines, [HOSTILE], {"data": HOSTILE})
    return write([grid], HOSTILE, [HOSTILE], format)


@pytest.mark.parametrize("format", FORMATS)
def test_no_format_passes_control_characters_on(format: str) -> None:
    assert not set(hostile(format)) & {"\x1b", "\u202e", "\r"}


def test_github_shows_markup_and_keeps_a_row_on_its_line() -> None:
    text = hostile("github")

    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert r"\[a\](b) \*\*c\*\* \`d\` &amp;amp;" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert [line.replace(r"\|", "").count("|") for line in rows] == [3, 3, 3, 3]
    assert [line for line in text.splitlines() if line.startswith("# ")] == []


def test_html_shows_tags_as_text() -> None:
    text = hostile("html")

    assert text.count("<script>") == 1  # the page's own
    assert "&lt;script&gt;x&lt;/script&gt;" in text


def test_latex_obeys_nothing() -> None:
    text = hostile("latex")

    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert all(r"\write18" not in line for line in body)
    assert any(r"\$\textbackslash{}write18\{x\}\%" in line for line in body)
    assert [line for line in text.splitlines() if line.startswith("#")] == []


@pytest.mark.skipif(LATEX is None, reason="no pdflatex here, such as that of texlive-latex-recommended")
def test_latex_is_compiled_by_latex(tmp_path: Path) -> None:
    figure = Cell(-0.5, extra=(-1.0, 2.0), extra_style=" [{:.1f}, {:.1f}]")
    letters = Line(r"[x] a_b ^~\{}|<>&%$# é ü ß, 5 * 10, ± 1", [figure])
    grid = Grid("Änderung 50 % of A_b", "*", ["recall@20"], [letters], ("a & b #1",), {"section": "results"})
    body = write([GRID, grid], "50 %", ["left_out"], "latex") + hostile("latex")
    paper = tmp_path / "paper.tex"
    paper.write_text(
        "\n".join([r"\documentclass{article}\usepackage{booktabs}\begin{document}", body, r"\end{document}"]),
        encoding="utf-8",
    )

    command = [str(LATEX), "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", paper.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)

    assert done.returncode == 0, done.stdout[-2000:]
    assert "Output written on paper.pdf" in done.stdout


@pytest.mark.parametrize("begins", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n-1"])
def test_no_cell_of_a_csv_is_a_formula_and_numbers_stay_numbers(begins: str) -> None:
    grid = Grid(begins, begins, [begins], [Line(begins, [Cell(-0.5)])], (), {"data": begins})

    read = pd.read_csv(io.StringIO(write([grid], "", [], "csv")), header=None, dtype=str, keep_default_na=False)

    texts = [text for row in read.to_numpy().tolist() for text in row]
    assert [text for text in texts if text.startswith(("=", "+", "-", "@", "\t", "\r")) and text != "-0.5"] == []
    assert "-0.5" in texts
