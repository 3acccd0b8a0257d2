"""Malformed input of every kind: one message of at most three lines that names the culprit, and nothing left behind."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Content = str | bytes | Callable[[Path], object]


class Case(NamedTuple):
    """A command, the files that it meets, and what its message must name."""

    words: str
    culprit: str
    files: Mapping[str, Content] = {}
    slow: bool = False


LONG = "x" * 300
ROWS = "\n".join(["user,item,timestamp", *(f"u{row % 9},i{row % 7},{1600000000 + row}" for row in range(100)), ""])
RUN = "run data=table data.path=rows.csv data.name=own method=popularity hydra.searchpath=[file://conf]"
PREPARE = "data prepare data=table data.name=own data.cut.periods=4"
RECOMMEND = "recommend nowhere --out out.csv"
BOMB = "".join(
    f"{'abcdefgh'[n]}: &{'abcdefgh'[n]} [{','.join(['*' + 'abcdefgh'[n - 1]] * 9 if n else 'x')}]\n" for n in range(8)
)
JSON_ROWS = [
    json.dumps({"user": f"u{row % 9}", "item": f"i{row % 7}", "timestamp": 1600000000 + row}) for row in range(99)
]


def folder(path: Path) -> None:
    path.mkdir(parents=True)


def circle(path: Path) -> None:
    path.symlink_to(path)


def with_line(line: str, after: Sequence[str] = tuple(ROWS.splitlines())) -> str:
    """A good file with a bad line in its middle."""
    return "\n".join([*after[:50], line, *after[50:], ""])


def packed(line: str) -> Callable[[Path], object]:
    """A small file that is a line of 40 MB once it is unpacked."""
    return lambda path: path.write_bytes(gzip.compress((line + "x" * 40 * 2**20).encode(), 1))


def parquet(**columns: Any) -> Callable[[Path], object]:
    base = {"user": ["u"] * 20, "item": ["i"] * 20, "timestamp": list(range(1600000000, 1600000020))}
    return lambda path: pq.write_table(pa.table(base | columns), path)


PATHS = [  # what every verb that takes a run or a folder says of a path that cannot be one
    Case(f"{verb} {path}{more}", culprit, files)
    for verb, more in {
        "recommend": " --users all --out out.csv",
        "export": " --out out",
        "evidence": "",
        "aspects": "",
        "verify": "",
        "report": "",
        "advance": "",
    }.items()
    for path, culprit, files in [
        ("nowhere", "nowhere", {}),
        (LONG, "the name is too long", {}),
        ("round", "round", {"round": circle}),
        ("file", "file", {"file": "x"}),
    ]
]
LISTS = [  # files of raw ids
    Case(f"{RECOMMEND} --users nowhere.txt", "there is no file nowhere.txt"),
    Case(f"{RECOMMEND} --users ids.txt", "ids.txt is no text in UTF-8", {"ids.txt": b"\xff\xfe"}),
    Case(f"{RECOMMEND} --users ids.csv", "ids.csv cannot be read", {"ids.csv": b"user\n\xe9\n"}),
    Case(f"{RECOMMEND} --users ids.csv", "ids.csv is empty", {"ids.csv": ""}),
    Case(f"{RECOMMEND} --users ids.csv", "ids.csv has no column 'user'; it has a, b", {"ids.csv": "a,b\n1,2\n"}),
    Case(f"{RECOMMEND} --users ids.csv", "ids.csv, line 3: 3 fields", {"ids.csv": "user\na\n1,2,3\n"}),
    Case(f"{RECOMMEND} --users ids.csv", "2 columns are called 'user'", {"ids.csv": "user,user\na,b\n"}),
    Case(f"{RECOMMEND} --users ids.csv", "ids.csv, line 2: ", {"ids.csv": 'user\n"a\n'}),
    Case(f"{RECOMMEND} --users ids.csv", "there is no file ids.csv", {"ids.csv": folder}),
    Case(f"{RECOMMEND} --users ids.parquet", "ids.parquet cannot be read", {"ids.parquet": b"PAR1xxxxPAR1"}),
    Case(f"{RECOMMEND} --support rates.txt", "rates.txt must be a .csv or .parquet", {"rates.txt": "x"}),
    Case(f"{RECOMMEND} --users all --k 0", "--k: 0 must be a whole number, at least 1"),
    Case(f"{RECOMMEND} --users all --k 1e20", "--k: 1e20 must be"),
    Case("recommend nowhere --users all --out out.txt", "out.txt"),
    Case("evidence nowhere --least-error 1e300", "--least-error: 1e300 must be"),
    Case("reproduce sml_table1 --dry-run --seeds 0,x", "--seeds: 0,x must be"),
    Case("reproduce sml_table1 --dry-run --seeds 1e300", "--seeds: 1e300 must be"),
    Case("reproduce ../method/sml", "there is no table '../method/sml'"),
    Case("list nothing", "nothing"),
    Case("run --", "there is no option --"),
    Case("run --cfg", "--cfg"),
]
CARDS = [  # prepared folders
    Case("data describe kept", "kept/stream.json is damaged", {"kept/stream.json": content})
    for content in (
        "",
        b"\xff\xfe",
        "[]",
        "5",
        '{"name": ',
        "[" * 100_000,
        '{"name": "x", "columns": [], "periods": []}',
    )
]
FILES = [  # of a user's own folder on hydra.searchpath
    Case(f"{RUN} method=own", culprit, {"conf/method/own.yaml": content, "rows.csv": ROWS})
    for content, culprit in [
        (BOMB, "own.yaml stands for more than 50,000 values"),
        ("a: &a [*a]", "own.yaml stands for more than 50,000 values"),
        ("a: [" + "1," * 60_000 + "]", "own.yaml stands for more than 50,000 values"),
        ("a: " + "x" * 2**20, "own.yaml holds more than 1 MB"),
        (b"a: \xe9", "own.yaml is not UTF-8 text"),
        ("a: 1\n---\nb: 2", "own.yaml, line 2"),
        ('_target_: "a\\nb\\nc\\nd"', "method._target_=a\\nb\\nc\\nd is not there"),
        ('_target_: "\\e[31mred"', "\\x1b[31mred"),
        ("_target_: subprocess.Popen\nargs: [touch, here]", "subprocess.Popen is not a RetrainMethod"),
        ("_target_: recretrain.backbones.mf.MF", "MF is not a RetrainMethod"),
    ]
]
SETTINGS = [
    Case("run hydra.searchpath=[file:///nowhere]", "there is no folder /nowhere"),
    Case("run paths.outputs=${x}", "Interpolation key 'x' not found"),
    Case("run paths.outputs=", "paths.outputs='' must be text, not empty"),
    Case("run seed=99999999999999999999", "seed=99999999999999999999 must be a whole number of no more than 1e+12"),
    Case("run backbone.init_std=1e300", "backbone.init_std=1e+300 must be a number of no more than 3e+38"),
    Case("run eval.ks=[1000] eval.questions.candidates=50", "eval.ks=[1000]"),
    Case("run method=fine_tune method.learner._target_=os.system", "os.system is not a Learner"),
    Case("run hydra.run.dir=file/x", "file/x", {"file": "x"}),
]
RAW = [  # raw files of readers
    Case(f"{PREPARE} data.path=rows.jsonl", "rows.jsonl, line 51: nested too deep",
         {"rows.jsonl": with_line("[" * 100_000, JSON_ROWS)}),
    Case(f"{PREPARE} data.path=rows.jsonl", "rows.jsonl, line 51: not a JSON object",
         {"rows.jsonl": with_line("5", JSON_ROWS)}),
    Case(f"{PREPARE} data.path=rows.csv.gz", "line 1: the line is longer than 16 MB", {"rows.csv.gz": packed("")}),
    Case(f"{PREPARE} data.path=rows.jsonl.gz", "is longer than 16 MB", {"rows.jsonl.gz": packed('{"user": "')}),
    Case(f"{PREPARE} data.path=rows.csv", "rows.csv, line 51", {"rows.csv": with_line("u1,i1,1e300")}),
    Case(f"{PREPARE} data.path=rows.csv", "rows.csv, line 51", {"rows.csv": with_line("u1,i1,nan")}),
    Case(f"{PREPARE} data.path=rows.csv", "rows.csv, line 51", {"rows.csv": with_line("u1,i1")}),
    Case(f"{PREPARE} data.path=rows.csv", "rows.csv: the file is empty", {"rows.csv": ""}),
    Case(f"{PREPARE} data.path=rows.csv", "rows.csv", {"rows.csv": circle}),
    Case(f"{PREPARE} data.path=rows.parquet", "data.columns.user=user is a column of type BIGINT[]",
         {"rows.parquet": parquet(user=[[1]] * 20)}),
    Case(f"{PREPARE} data.path=rows.parquet", "rows.parquet, row 1: user is missing",
         {"rows.parquet": parquet(user=[float("nan")] * 20)}),
    Case(f"{PREPARE} data.path=rows.parquet", "rows.parquet", {"rows.parquet": b"PAR1xxxxPAR1"}),
    Case("data prepare data=table data.name=own cut@data.cut=months data.path=rows.csv", "these data have no calendar",
         {"rows.csv": ROWS.replace(",16000000", ",")}),
    Case("data prepare data=yelp data.path=review.json", "review.json: there are no rows", {"data/review.json": ""}),
    Case("data prepare data=yelp data.path=review.json", "review.json: there are no rows", {"data/review.json": "\n"}),
    Case("data prepare data=yoochoose data.path=clicks.dat", "clicks.dat, line 1 (1,2xxx",
         {"data/clicks.dat": "1,2" + "x" * 2**22}),
    Case("data prepare data=bookcrossing data.path=books data.source=raw", "BX-Books.csv, line 2: field larger",
         {"data/books/BX-Book-Ratings.csv": '"User-ID";"ISBN";"Book-Rating"\n"1";"a";"5"\n',
          "data/books/BX-Books.csv": "ISBN;Book-Title;Book-Author;Year-Of-Publication;Publisher\n" + "x" * 200_000,
          "data/books/BX-Users.csv": '"User-ID";"Location";"Age"\n"1";"x";"30"\n'}),
    Case("data synth file data=yelp", "file: a file stands where a folder is needed", {"file": "x"}),
    Case("data synth out data=yelp data.generator.reviews=100000000000", "there is not enough memory"),
    Case(f"data synth {LONG} data=yelp", "the name is too long"),
]  # fmt: skip
CASES = [*PATHS, *LISTS, *CARDS, *FILES, *SETTINGS, *RAW]


def test_there_are_many_of_every_kind() -> None:
    assert len(CASES) > 60
    assert all([PATHS, LISTS, CARDS, FILES, SETTINGS, RAW])


@pytest.mark.parametrize("case", CASES, ids=[f"{n}-{case.words[:60]}" for n, case in enumerate(CASES)])
def test_malformed_input_gets_one_message_and_leaves_nothing(recretrain: Any, tmp_path: Path, case: Case) -> None:
    for name, content in case.files.items():
        _put(tmp_path / name, content)
    before = sorted(tmp_path.rglob("*"))

    result = recretrain(*case.words.split())

    said = [line for line in result.err.splitlines() if " | " not in line]
    assert result.code in (1, 2), result.err
    assert "Traceback" not in result.err
    assert said[0].startswith("recretrain: ")
    assert len(said) <= 3
    assert case.culprit in " ".join(said)
    assert "\x1b" not in result.err
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and not _is_kept(path, tmp_path)] == []


def _put(path: Path, content: Content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if callable(content):
        content(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def _is_kept(path: Path, root: Path) -> bool:
    """Whether a path belongs to the cache: its folder, locks, and what is remembered of raw files."""
    inside = path.relative_to(root).parts
    return inside == ("data",) or (inside[:2] == ("data", "prepared") and (len(inside) == 2 or inside[2][0] == "."))
