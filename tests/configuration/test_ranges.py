"""Every number of conf/ has a range: what no run can use is refused, and what looks odd and is not has its reason."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from recretrain.configuration.compose import conf_dir
from recretrain.configuration.hints import fits, misfit
from recretrain.configuration.imports import resolve
from recretrain.configuration.signatures import is_ours, nodes, type_hints
from recretrain.errors import ConfigError

NEGATIVE = {  # keys for which -1 has a sense
    "min_rating": "ratings may begin below 0",
    "new_items_from": "a year before our era leaves no item old",
}
ZERO = {  # and those for which 0 has one
    "no penalty": "weight reg weight_decay l2 item_shrinkage user_shrinkage shrinkage",
    "nothing is kept of before": "decay eta",
    "no noise": "noise dropout share masked random flaws",
    "nothing is dropped": "min_rating min_user_interactions min_item_interactions k_core min_session_clicks "
    "min_item_clicks max_df",
    "nobody, or none": "valid new_items new_users overlap implicit front_page facts choosing again",
    "a period or a year is counted from 0": "start last_test learned until new_items_from",
    "the first seed": "seed new_users_seed",
    "no step, or at once": "steps answer_steps patience_steps least_steps",
    "nothing is to be learned": "taste follows sharpness biases drift talk shared",
    "as many as there are cores": "threads",
    "the formula without its guard": "epsilon",
}
SENSELESS = (math.nan, math.inf, -math.inf, 10**400, 1e39, -1e39)


def numbers() -> dict[str, Any]:
    """The hint of every key of conf/ that takes a number, with the class it is of."""
    return {f"{target}.{key}": hint for target, key, hint in _keys() if any(fits(value, hint) for value in (0, 1, 0.5))}


def _keys() -> Iterator[tuple[str, str, Any]]:
    for file in conf_dir().rglob("*.yaml"):
        for path, node in nodes(yaml.safe_load(file.read_text())):
            try:
                target = resolve(path, node["_target_"])
            except ConfigError:  # a package that is not installed
                continue
            if is_ours(target):
                yield from ((target.__name__, key, hint) for key, hint in type_hints(target).items() if key in node)


NUMBERS = numbers()


def test_numbers_of_every_room_are_found() -> None:
    assert len(NUMBERS) > 150
    assert {"LogLossLearner.learning_rate", "MF.embedding_size", "NextPeriod.start", "Filters.k_core"} <= NUMBERS.keys()


@pytest.mark.parametrize("value", SENSELESS, ids=lambda value: str(value)[:12])
def test_no_number_may_be_what_nothing_can_be(value: float) -> None:
    assert [key for key, hint in NUMBERS.items() if fits(value, hint)] == []


@pytest.mark.parametrize("value", [10**13, -(10**13)])
def test_no_whole_number_may_be_more_than_can_be_counted(value: int) -> None:
    whole = {key: hint for key, hint in NUMBERS.items() if not fits(0.5, hint) and not fits(1.5, hint)}

    assert len(whole) > 80
    assert [key for key, hint in whole.items() if fits(value, hint)] == []


def test_a_number_below_zero_has_a_reason() -> None:
    assert {key.partition(".")[2] for key, hint in NUMBERS.items() if fits(-1, hint)} == NEGATIVE.keys()


def test_a_zero_has_a_reason() -> None:
    reasons = {key for keys in ZERO.values() for key in keys.split()}

    assert {key.partition(".")[2] for key, hint in NUMBERS.items() if fits(0, hint)} == reasons


@pytest.mark.parametrize(
    ("value", "hint", "words"),
    [
        (10**13, "MF.embedding_size", "must be a whole number of no more than 1e+12, at least 1"),
        (1e39, "MF.init_std", "must be a number of no more than 3e+38, greater than 0"),
        (math.nan, "MF.init_std", "must be a finite number, greater than 0"),
    ],
)
def test_what_is_too_large_is_told_the_limit(value: float, hint: str, words: str) -> None:
    assert words in str(misfit("key", value, NUMBERS[hint]))
