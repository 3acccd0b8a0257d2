"""A hint is the schema of a value: what fits, and the allowed values in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest

from recretrain.configuration.hints import fits, in_words, in_yaml, misfit
from recretrain.values import AtLeast0, AtLeast1, Name, NotEmpty, Part, Positive, Share, Within


class Learner: ...


NODE = {"_target_": "somewhere.Learner"}
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (int, [0, -3], [1.0, True, "1", None, NAN]),
        (float, [0, 0.5, -1e30], [True, "1", None, NAN, INF, -INF]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["", "1"], [1, None, True]),
        (int | None, [1, None], ["", 1.5]),
        (AtLeast0, [0, 7], [-1, 0.5, True]),
        (AtLeast1 | None, [1, None], [0, "null"]),
        (Positive, [0.1, 3], [0, -1, NAN, INF]),
        (Share, [0, 1, 0.5], [-0.1, 1.1, NAN]),
        (Part, [0.5], [0, 1]),
        (Annotated[int, Within(2, 5)], [2, 5], [1, 6]),
        (Annotated[int, "of the documentation"], [-1], ["x"]),
        (Name, ["yelp", "a.b-c_1"], ["", "../x", "/x", ".x", "a/b", "x" * 81, 5]),
        (Literal["first", "last"], ["first"], ["firts", None, 1]),
        (Literal[1, 2] | None, [1, None], [True, 3, "1"]),
        (Literal[True, "some"], [True, "some"], [1, False]),
        (Sequence[AtLeast1], [[], [1, 2]], [[0], ["x"], 5, "12", None, {}]),
        (Annotated[Sequence[int], NotEmpty()], [[1]], [[], 1]),
        (Sequence[Sequence[int]], [[[1], []]], [[1], [["x"]]]),
        (tuple[int, ...], [[1, 2]], [["x"]]),
        (Mapping[str, str | None], [{"a": "b", "c": None}, {}], [{"a": 1}, [], "a"]),
        (Mapping, [{"a": 1}], [[]]),
        (Learner, [NODE], [5, {}, {"a": 1}, None, [NODE]]),
        (Learner | None, [NODE, None], [5, "x"]),
        (Any, [1, "x", None, NAN], []),
    ],
    ids=str,
)
def test_what_fits(hint: Any, good: Sequence[Any], bad: Sequence[Any]) -> None:
    assert [value for value in good if not fits(value, hint)] == []
    assert [value for value in bad if fits(value, hint)] == []


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int | None, "a whole number or null"),
        (AtLeast0, "a whole number, at least 0"),
        (AtLeast0 | None, "a whole number, at least 0, or null"),
        (Positive, "a number, greater than 0"),
        (Share, "a number, between 0 and 1"),
        (Literal["keep", "first"], "one of keep, first"),
        (Literal["a", "b"] | None, "one of a, b, or null"),
        (Literal[True, None], "one of true, null"),
        (Annotated[Sequence[int], NotEmpty()], "a list, not empty"),
        (Mapping[str, int], "a mapping {key: value}"),
        (Learner, "keys with a _target_ (a Learner)"),
    ],
    ids=str,
)
def test_hints_in_words(hint: Any, words: str) -> None:
    assert in_words(hint) == words


@pytest.mark.parametrize(
    ("value", "hint", "message"),
    [
        (-1, AtLeast0, "x=-1 must be a whole number, at least 0; change x"),
        (NAN, float, "x=nan must be a finite number; change x"),
        (-INF, Positive, "x=-inf must be a finite number, greater than 0; change x"),
        (None, float, "x=null must be a number; change x"),
        (True, int, "x=true must be a whole number; change x"),
        (
            "firts",
            Literal["keep", "first", "error"],
            "x='firts' must be one of keep, first, error; did you mean first?",
        ),
        ("nothing", Literal["keep", "first"], "x='nothing' must be one of keep, first; change x"),
        ("keeep", Literal["keep"] | None, "x='keeep' must be one of keep or null; did you mean keep?"),
        ([5, 0], Sequence[AtLeast1], "x[1]=0 must be a whole number, at least 1; change x[1]"),
        (["recal"], Sequence[Literal["recall"]] | None, "x[0]='recal' must be one of recall; did you mean recall?"),
        ({"user": 1}, Mapping[str, str | None], "x.user=1 must be text or null; change x.user"),
        ([[1]], Sequence[int], "x[0]=[1] must be a whole number; change x[0]"),
        (5, Sequence[int], "x=5 must be a list; change x"),
        (5, Learner, "x=5 must be keys with a _target_ (a Learner); set its keys one by one, x.<key>=..."),
        (
            5,
            Learner | None,
            "x=5 must be keys with a _target_ (a Learner) or null; set its keys one by one, x.<key>=...",
        ),
    ],
    ids=str,
)
def test_a_misfit_names_culprit_allowed_values_and_cure(value: Any, hint: Any, message: str) -> None:
    assert str(misfit("x", value, hint)) == message


def test_values_are_written_as_on_the_command_line() -> None:
    assert in_yaml({"a": [None, True, 1.5, "b"]}) == "{a: [null, true, 1.5, 'b']}"
