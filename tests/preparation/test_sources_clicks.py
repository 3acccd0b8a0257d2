"""DIGINETICA and YOOCHOOSE: the raw files, and ADER's period files made of them."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from recretrain.configuration.compose import compose
from recretrain.configuration.signatures import check
from recretrain.data.prefixes import prefixes_of
from recretrain.data.questions import SessionPrefixes
from recretrain.data.stream import Stream
from recretrain.errors import ConfigError, DataError
from recretrain.preparation.cut import ByCount, Cut, FromEnd, FromStart
from recretrain.preparation.prepare import load_source, prepare

CONF = Path(__file__).parents[2] / "conf"
ALL = {"filters": {"min_session_clicks": 0, "min_item_clicks": 0}}  # no filters
HEADER = "sessionId;userId;itemId;timeframe;eventdate"
DAY = 86_400
MAY_9 = 1_462_752_000.0  # 2016-05-09T00:00:00Z
APRIL_1 = 1_396_310_400.0  # 2014-04-01T00:00:00Z


def prepared(tmp: Path, name: str, cut: Cut | None = None, **options: Any) -> Path:
    source = load_source(CONF / f"data/{name}.yaml", path=str(tmp), source="raw", **options)
    return prepare(replace(source, cut=cut or ByCount(periods=1)), data_root=tmp, cache=tmp / "cache")


def views(tmp: Path, *lines: str, header: str = HEADER) -> Path:
    (tmp / "train-item-views.csv").write_text("\n".join([header, *lines]) + "\n")
    return tmp


def clicks(tmp: Path, *lines: str) -> Path:
    (tmp / "yoochoose-clicks.dat").write_text("\n".join(lines) + "\n")
    return tmp


def sessions(tmp: Path, **items: str) -> Path:
    """A file of clicks: s1="abc" is session 1 clicking items a, b, c; a click a minute, session after session."""
    pairs = [(name[1:], ord(item)) for name, of in items.items() for item in of]
    return clicks(tmp, *(f"{s},2014-04-01T10:{n:02}:00.000Z,{item},0" for n, (s, item) in enumerate(pairs)))


def periods(folder: Path) -> list[list[tuple[int, int]]]:
    """Raw session and item of every row of every period."""
    keys = [pq.read_table(folder / f"{kind}s.parquet")["key"].to_pylist() for kind in ("user", "item")]
    tables = [pq.read_table(file) for file in sorted(folder.glob("period_*.parquet"))]
    return [
        [(keys[0][u], keys[1][i]) for u, i in zip(t["user"].to_pylist(), t["item"].to_pylist(), strict=True)]
        for t in tables
    ]


def left(folder: Path) -> str:
    """The items of sessions, as `sessions` takes them, in one text."""
    return "".join(chr(item) for period in periods(folder) for _, item in period)


def times(folder: Path) -> list[float]:
    return [t for file in sorted(folder.glob("period_*.parquet")) for t in pq.read_table(file)["time"].to_pylist()]


def steps(folder: Path) -> list[tuple[str, int]]:
    return [(c["step"], c["rows"]) for c in json.loads((folder / "stream.json").read_text())["counts"]]


def test_the_longest_time_frame_of_diginetica_is_stretched_to_a_day(tmp_path: Path):
    views(tmp_path, "7;NA;70;100;2016-05-09", "7;NA;71;0;2016-05-09", "8;3;70;400;2016-05-09")

    folder = prepared(tmp_path, "diginetica", **ALL)

    assert periods(folder) == [[(7, 71), (7, 70), (8, 70)]]
    assert times(folder) == [MAY_9, MAY_9 + DAY / 4, MAY_9 + DAY]


def test_the_days_of_diginetica_begin_at_midnight_of_the_time_zone(tmp_path: Path):
    # Oslo is an hour ahead of UTC on 26 March 2016 and two on the 28th, after the clocks changed
    views(tmp_path, "1;NA;5;0;2016-03-26", "2;NA;5;0;2016-03-28", "3;NA;5;9;2016-03-28")

    utc = times(prepared(tmp_path, "diginetica", **ALL))
    oslo = times(prepared(tmp_path, "diginetica", **ALL, time_zone="Europe/Oslo"))

    assert [u - o for u, o in zip(utc, oslo, strict=True)] == [3600, 7200, 7200]


def test_views_without_a_date_are_dropped_and_counted_but_their_time_frame_counts_as_the_longest(tmp_path: Path):
    views(tmp_path, "1;NA;5;50;2016-05-09", "2;NA;6;100;", "1;NA;6;25;2016-05-09")

    folder = prepared(tmp_path, "diginetica", **ALL)

    assert steps(folder) == [("read", 3), ("no eventdate", 2)]
    assert times(folder) == [MAY_9 + DAY / 4, MAY_9 + DAY / 2]


def test_both_spellings_of_the_header_are_read(tmp_path: Path):
    views(tmp_path, "1;NA;5;50;2016-05-09", header="session_id;user_id;item_id;timeframe;eventdate")

    assert periods(prepared(tmp_path, "diginetica", **ALL)) == [[(1, 5)]]


def test_clicks_of_one_second_of_yoochoose_stay_in_the_order_of_the_file(tmp_path: Path):
    clicks(
        tmp_path,
        "1,2014-04-01T00:00:09.900Z,30,0",
        "1,2014-04-01T00:00:09.100Z,20,S",
        "2,2014-04-01T00:00:08.999Z,10,BRAND",
    )

    folder = prepared(tmp_path, "yoochoose", **ALL)

    assert periods(folder) == [[(2, 10), (1, 30), (1, 20)]]
    assert times(folder) == [APRIL_1 + 8, APRIL_1 + 9, APRIL_1 + 9]


def test_short_sessions_go_then_rare_items_then_the_sessions_that_became_short(tmp_path: Path):
    # session 1 goes, so that b is left with 2 clicks: b goes, and c; session 3 becomes one click of a and goes; a is
    # left with 2 clicks and stays, as items are looked at once
    sessions(tmp_path, s1="b", s2="aba", s3="ab", s4="cddd")

    folder = prepared(tmp_path, "yoochoose", filters={"min_session_clicks": 2, "min_item_clicks": 3})

    assert steps(folder) == [
        ("read", 10), ("min_session_clicks=2", 9), ("min_item_clicks=3", 6), ("min_session_clicks=2 again", 5)
    ]  # fmt: skip
    assert left(folder) == "aaddd"


@pytest.mark.parametrize(
    ("off", "expected"),
    [
        ("min_session_clicks", [("read", 4), ("min_item_clicks=2", 3)]),
        ("min_item_clicks", [("read", 4), ("min_session_clicks=2", 3)]),
    ],
)
def test_a_filter_of_0_is_off(tmp_path: Path, off: str, expected: list[tuple[str, int]]):
    sessions(tmp_path, s1="a", s2="aab")

    folder = prepared(tmp_path, "yoochoose", filters={"min_session_clicks": 2, "min_item_clicks": 2, off: 0})

    assert steps(folder) == expected


def test_the_published_filters_are_2_clicks_a_session_and_5_an_item():
    for name in ("diginetica", "yoochoose"):
        source = load_source(CONF / f"data/{name}.yaml")

        steps = [deletion.step for deletion in source.after_check([Path("raw")])]

        assert steps == ["min_session_clicks=2", "min_item_clicks=5", "min_session_clicks=2 again"]


def test_weeks_are_cut_back_from_the_last_click_through_sessions_and_a_click_on_a_border_is_early(tmp_path: Path):
    # a time frame of 100 is a day: the last view is the end of 16 May, so that the borders are the ends of 9 and 2 May
    views(
        tmp_path,
        "1;NA;10;50;2016-03-01",
        "1;NA;11;99;2016-05-02",
        "2;NA;12;100;2016-05-02",  # on the border
        "2;NA;13;0;2016-05-03",  # on it too: the end of 2 May
        "2;NA;14;1;2016-05-03",
        "3;NA;15;100;2016-05-09",
        "3;NA;16;1;2016-05-10",
        "3;NA;17;100;2016-05-16",
    )

    folder = prepared(tmp_path, "diginetica", FromEnd(periods=3, days=7), **ALL)

    assert periods(folder) == [[(1, 10), (1, 11), (2, 12), (2, 13)], [(2, 14), (3, 15)], [(3, 16), (3, 17)]]


def test_days_are_counted_from_the_end_of_the_first_session_to_end_and_later_clicks_are_dropped(tmp_path: Path):
    # session 1 begins first but session 2 is over first, on 1 April at noon
    clicks(
        tmp_path,
        "1,2014-04-01T10:00:00.000Z,10,0",
        "2,2014-04-01T11:00:00.000Z,11,0",
        "2,2014-04-01T12:00:00.000Z,12,0",
        "3,2014-04-02T12:00:00.500Z,13,0",  # on the border: half seconds are cut off
        "1,2014-04-02T12:00:01.000Z,14,0",
        "3,2014-04-03T12:00:00.000Z,15,0",  # on the last border
        "3,2014-04-03T12:00:01.000Z,16,0",
        "4,2014-04-05T09:00:00.000Z,10,0",
    )

    folder = prepared(tmp_path, "yoochoose", FromStart(periods=2, days=1), **ALL)

    assert periods(folder) == [[(1, 10), (2, 11), (2, 12), (3, 13)], [(1, 14), (3, 15)]]
    assert steps(folder) == [("read", 8), ("data.cut", 6)]
    card = json.loads((folder / "stream.json").read_text())
    assert (card["n_users"], card["n_items"]) == (3, 6)  # neither session 4 nor item 16


VIEW, CLICK = "1;NA;5;50;2016-05-09", "1,2014-04-01T10:00:00.000Z,5,0"


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("diginetica", [VIEW, "1;NA;5;50"], r"views\.csv, line 3 \(1;NA;5;50\): not 5 fields separated by ';'"),
        ("diginetica", [VIEW, "1;NA;x;5;2016-05-09"], r"views\.csv, line 3 .*: item is missing or of the wrong type"),
        ("diginetica", [VIEW, "1;NA;5;x;2016-05-09"], r"views\.csv, line 3 .*: time is missing or of the wrong type"),
        ("diginetica", [VIEW, "1;NA;5;5;9 May 2016"], r"views\.csv, line 3 .*: time is missing or of the wrong type"),
        ("yoochoose", [CLICK, "1,5"], r"clicks\.dat, line 2 \(1,5\): not 4 fields separated by ','"),
        ("yoochoose", ["x,2014-04-01T10:00:00.000Z,5,0"], r"clicks\.dat, line 1 .*: user is missing or of the wrong"),
        ("yoochoose", [CLICK, "1,yesterday,5,0"], r"clicks\.dat, line 2 .*: time is missing or of the wrong type"),
    ],
)
def test_faults_are_named_by_file_and_line(tmp_path: Path, name: str, lines: Sequence[str], message: str):
    (views if name == "diginetica" else clicks)(tmp_path, *lines)

    with pytest.raises(DataError, match=message):
        prepared(tmp_path, name, **ALL)


def test_another_header_is_an_error(tmp_path: Path):
    views(tmp_path, "5;1;NA;50;2016-05-09", header="itemId;sessionId;userId;timeframe;eventdate")

    with pytest.raises(DataError, match=r"first line is 'itemId;.*' and not 'sessionId;userId;itemId;timeframe;event"):
        prepared(tmp_path, "diginetica")


@pytest.mark.parametrize("name", ["Europe/Olso", "", "Europe", "../UTC"])
def test_a_zone_that_is_none_is_an_error(name: str):
    config, _ = compose(["data=diginetica", f"data.time_zone='{name}'"])

    with pytest.raises(ConfigError, match=f"data.time_zone='{name}' must be text, the name of a time zone, such as"):
        check(config, under=["data"])


def given(tmp: Path, *files: str) -> Path:
    """ADER's files, as sessions of pairs: "1 5" is session 1 clicking item 5."""
    for number, text in enumerate(files):
        (tmp / f"period_{number}.txt").write_text(text)
    return tmp


def test_aders_files_are_taken_as_they_are_sessions_of_one_click_and_rare_items_included(tmp_path: Path):
    given(tmp_path, "1 5\n2 5\n1 6\n", "2 7\n3 8\n")

    assert periods(prepared(tmp_path, "yoochoose")) == [[(1, 5), (2, 5), (1, 6)], [(2, 7), (3, 8)]]


def test_aders_files_come_before_the_raw_one_unless_that_is_named(tmp_path: Path):
    given(tmp_path, "1 5\n")
    clicks(tmp_path, "9,2014-04-01T10:00:00.000Z,6,0")

    source = load_source(CONF / "data/yoochoose.yaml", path=str(tmp_path / "yoochoose-clicks.dat"), **ALL)
    named = prepare(replace(source, cut=ByCount(periods=1)), data_root=tmp_path, cache=tmp_path / "cache")

    assert periods(prepared(tmp_path, "yoochoose")) == [[(1, 5)]]
    assert periods(named) == [[(9, 6)]]


def test_options_of_the_raw_file_make_no_other_folder_of_aders_files(tmp_path: Path):
    given(tmp_path, "1 5\n")
    same = [prepared(tmp_path, "diginetica"), prepared(tmp_path, "diginetica", **ALL, time_zone="Europe/Oslo")]
    (tmp_path / "period_0.txt").unlink()
    views(tmp_path, "1;NA;5;50;2016-05-09")
    other = [prepared(tmp_path, "diginetica", **ALL, time_zone=zone) for zone in ("UTC", "Europe/Oslo")]

    assert same[0] == same[1]
    assert other[0] != other[1]


def test_a_missing_period_file_is_an_error(tmp_path: Path):
    given(tmp_path, "1 5\n", "2 5\n", "3 5\n")
    (tmp_path / "period_1.txt").unlink()

    with pytest.raises(DataError, match=r"period_1\.txt is missing; get all files from the same place"):
        prepared(tmp_path, "diginetica")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2", "not 2 fields separated by ' '"),
        ("2 5 6", "not 2 fields separated by ' '"),
        ("2 x", "item is missing or of the wrong type"),
    ],
)
def test_faults_in_aders_files_are_named_by_file_and_line(tmp_path: Path, line: str, message: str):
    given(tmp_path, "1 5\n", f"1 5\n{line}\n")

    with pytest.raises(DataError, match=rf"period_1\.txt, line 2 \({line}\): {message}"):
        prepared(tmp_path, "diginetica")


# ader.md (b), Sizes: file, clicks, sessions, prefixes with those of length 1, items met so far; as a test: sessions
# kept, clicks dropped (on items not met before, and the last of a session if that leaves one), scored prefixes
SHIPPED = """
0 70739 15076 55668 18569 - - -
1 37586 7896 29777 22692 6847 7634 23105
2 31089 6453 24687 25306 5863 4567 20659
3 32687 6870 25861 27636 6357 4111 22219
4 30419 6379 24091 29619 5960 3428 21031
5 57913 11996 45973 32585 11237 5859 40817
6 52225 11043 41262 34596 10533 3884 37808
7 57100 12113 45090 36691 11568 4078 41454
8 69042 14301 54746 38501 13853 4133 51056
9 82834 16885 65950 40135 16404 4691 61739
10 82935 16613 66323 41197 16349 2732 63854
11 50037 9999 40042 41868 9841 1634 38562
12 63133 12639 50498 42369 12508 1240 49385
13 70050 14091 55960 42826 13965 1386 54699
14 71670 15166 56506 43023 15091 614 55965
15 56959 11835 45125 43105 11802 283 44874
16 77065 15982 61087 43136 15965 222 60878
"""


@pytest.fixture(scope="module")
def diginetica(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    root = Path(os.environ.get("RECRETRAIN_DATA", "nowhere"))
    if not (root / "DIGINETICA/period_16.txt").exists():
        pytest.skip("RECRETRAIN_DATA holds no DIGINETICA")
    source = load_source(CONF / "data/diginetica.yaml", source="raw")
    folder = prepare(replace(source, cut=ByCount(periods=1)), data_root=root, cache=tmp_path_factory.mktemp("cache"))
    return Stream(folder, SessionPrefixes(history=50))


@pytest.mark.slow
def test_diginetica_as_shipped_has_the_published_counts(diginetica: Stream):
    for line in SHIPPED.split("\n")[1:-1]:
        index, *expected = line.split()
        rows = diginetica.interactions(int(index))
        counts = [
            len(rows),
            len(torch.unique(rows.user)),
            len(prefixes_of(rows)),
            len(diginetica.known_items(int(index))),
        ]
        assert counts == [int(n) for n in expected[:4]], f"period {index}"


@pytest.mark.slow
def test_diginetica_as_shipped_asks_the_published_questions(diginetica: Stream):
    for line in SHIPPED.split("\n")[2:-1]:
        index, clicks, *_, kept, dropped, scored = map(int, line.split())

        asked = diginetica.questions(index)

        sessions = len(torch.unique(asked.user))  # a click in each is the input of the first question only
        assert (sessions, clicks - len(asked) - sessions, len(asked)) == (kept, dropped, scored), f"period {index}"
