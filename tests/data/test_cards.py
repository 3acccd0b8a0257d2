"""The card of the questions: runs may be compared if and only if theirs are equal, and reports print it unread."""

from __future__ import annotations

import json

import pytest

from recretrain.configuration.build import build
from recretrain.configuration.compose import compose
from recretrain.data.kinds import Histories, Rankings, Ratings, SupportedRatings

EPISODES = {
    "kind": "episodes",
    "text": "10 of 13-100 ratings of users, split random",
    "unit": "questions (users)",
    "shortest": 13,
    "longest": 100,
    "queries": 10,
    "split": "random",
    "users": "all",
    "seed": 0,
}
SAMPLED = {
    "kind": "interactions",
    "text": "1 + 999 candidates",
    "unit": "questions",
    "catalogue": "sampled",
    "candidates": 999,
    "seed": 0,
}
WHOLE = {"kind": "interactions", "text": "whole catalogue", "unit": "questions", "catalogue": "full"}


def questions(*words: str):
    config, _ = compose(list(words))
    return build(config.eval, "eval").questions


@pytest.mark.parametrize(
    ("words", "kind", "card"),
    [
        (["eval=sampled"], Rankings, SAMPLED),
        (["eval=full"], Rankings, WHOLE),
        (["eval=full", "eval.questions.history=5"], Histories, WHOLE),
        (
            ["eval=prefixes"],
            Histories,
            {
                "kind": "prefixes",
                "text": "whole catalogue",
                "unit": "questions (prefixes of sessions)",
                "catalogue": "full",
            },
        ),
        (["eval=episodes"], SupportedRatings, EPISODES),
        (
            ["eval=episodes_in_time"],
            SupportedRatings,
            {
                **EPISODES,
                "text": "10 of 13-100 ratings of new users, split in time",
                "split": "in_time",
                "users": "new",
            },
        ),
        (["eval=cold_ratings"], Ratings, {"kind": "ratings", "text": "every rating", "unit": "ratings"}),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_a_card_says_what_is_asked(words, kind, card):
    made = questions(*words)

    assert made.kind is kind
    assert made.card() == card
    assert json.loads(json.dumps(made.card())) == card


@pytest.mark.parametrize(
    "words",
    [
        ["eval.questions.candidates=99"],
        ["eval.questions.seed=1"],
        ["eval=full"],
        ["eval=episodes", "eval.questions.longest=50"],
        ["eval=episodes", "eval.questions.seed=1"],
    ],
    ids=" ".join,
)
def test_other_questions_have_another_card(words):
    option = next((word for word in words if word.startswith("eval=")), "eval=sampled")
    base = questions(*([option] if len(words) > 1 else []))

    assert questions(*words).card() != base.card()
