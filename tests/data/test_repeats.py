"""Questions about items had before are told apart from the others, and may be asked honestly."""

from pathlib import Path

import numpy as np
import pytest
import torch

from recretrain.backbones.item_scores import ItemScores
from recretrain.data.interactions import concatenate
from recretrain.data.questions import Arrivals
from recretrain.data.repeats import again
from recretrain.data.schedule import Task
from recretrain.data.stream import PARTS, Stream
from recretrain.evaluation.base import Evaluator
from recretrain.evaluation.metrics import ndcg, recall
from recretrain.evaluation.rankings import RankEvaluator
from recretrain.methods.base import RetrainMethod
from recretrain.methods.recent import Recent
from recretrain.testing import case, learn
from recretrain.testing.contract import through_a_file
from recretrain.testing.streams import write_stream

USERS, ITEMS, LAST = 30, 80, 4
CPU = torch.device("cpu")


def slices() -> list[tuple[list[int], list[int]]]:
    """Half of the rows take again one of the three last items of the user; all items are taken in the first period."""
    rng, had = np.random.default_rng(1), {user: [user, user + 1] for user in range(USERS)}
    first = list(range(USERS)) * 2 + [0] * ITEMS, [*range(USERS), *range(1, USERS + 1), *range(ITEMS)]
    found = [(list(first[0]), list(first[1]))]
    had[0] += range(ITEMS)
    for _ in range(LAST):
        users, items = [], []
        for _ in range(200):
            user = int(rng.integers(1, USERS))
            item = int(rng.choice(had[user][-3:])) if rng.random() < 0.5 else int(rng.integers(ITEMS))
            had[user].append(item)
            users.append(user)
            items.append(item)
        found.append((users, items))
    return found


def asks(**changes) -> Arrivals:
    given = {"candidates": 10, "catalogue": "sampled", "history": None, "history_space": None, "had": "left_out"}
    return Arrivals(**{**given, "seed": 0, "draws": "stored", **changes})


def stream(folder: Path, **changes) -> Stream:
    return Stream(write_stream(folder, slices(), n_users=USERS, n_items=ITEMS), asks(**changes))


def pairs_before(period: int) -> set[tuple[int, int]]:
    return {pair for users, items in slices()[:period] for pair in zip(users, items, strict=True)}


@pytest.mark.parametrize("catalogue", ["sampled", "full"])
def test_groups_say_which_pairs_came_before_the_period(catalogue, tmp_path):
    test = stream(tmp_path / "s", catalogue=catalogue).questions(2)

    expected = [pair in pairs_before(2) for pair in zip(*slices()[2], strict=True)]
    assert test.groups["again"].tolist() == expected
    assert test.groups["first_time"].tolist() == [not one for one in expected]
    assert 50 < sum(expected) < 150


def test_where_no_pair_comes_twice_there_are_no_such_groups(tmp_path):
    plain = stream(tmp_path / "s")
    plain.card["options"] = {"repeats": "first"}

    assert again(plain, 2, None) is None
    assert plain.questions(2).groups.keys() == {"new_user", "new_item"}
    assert stream(tmp_path / "other", candidates=None, catalogue="full").questions(0).groups.keys() == {
        "new_user",
        "new_item",
    }


def test_what_was_found_is_kept_and_the_same_by_parts(tmp_path):
    kept = stream(tmp_path / "s")
    first = again(kept, 3, None)
    assert first is not None
    assert (kept.folder / "again/period_003.npy").is_file()
    assert torch.equal(again(kept, 3, None), first)

    rows = slices()
    parts = [[PARTS.index("train")] * len(users) for users, _ in rows]
    parts[3] = [PARTS.index("test" if place % 2 else "train") for place in range(len(rows[3][0]))]
    parted = Stream(write_stream(tmp_path / "p", rows, n_users=USERS, n_items=ITEMS, parts=parts), asks())
    train = [pair for place, pair in enumerate(zip(*rows[3], strict=True)) if not place % 2]
    asked = [pair for place, pair in enumerate(zip(*rows[3], strict=True)) if place % 2]
    assert again(parted, 3, "test").tolist() == [pair in {*pairs_before(3), *train} for pair in asked]


def test_offered_candidates_hold_items_had_before_and_never_the_label(tmp_path):
    offered, left_out = (stream(tmp_path / had, had=had).questions(3) for had in ("offered", "left_out"))
    before = pairs_before(3)

    def had(test) -> float:
        found = [(int(u), int(i)) in before for u, row in zip(test.user, test.candidates, strict=True) for i in row]
        return float(np.mean(found))

    assert had(left_out) == 0
    assert had(offered) > 0.05
    assert not bool((offered.candidates == offered.labels.unsqueeze(1)).any())
    assert all(len(set(row.tolist())) == 10 for row in offered.candidates)


def test_the_whole_catalogue_may_hold_items_had_before(tmp_path):
    left_out, offered = (stream(tmp_path / had, had=had, catalogue="full") for had in ("left_out", "offered"))

    assert left_out.questions(3).seen is not None
    assert offered.questions(3).seen is None
    assert offered.asks.card() == left_out.asks.card() | {
        "text": "whole catalogue, items had before too",
        "had": "offered",
    }


def test_cards_of_the_released_questions_are_as_they_were():
    card = asks().card()

    assert card == {
        "kind": "interactions",
        "text": "1 + 10 candidates",
        "unit": "questions",
        "catalogue": "sampled",
        "candidates": 10,
        "seed": 0,
    }


class Had(Recent):
    """Nothing but whether the user had it."""

    def score(self, questions):
        return (super().score(questions) >= 1).double()


def learned(method: type[Recent], of: Stream) -> RetrainMethod:
    made = method(backbone=ItemScores(vocabulary=of.vocabulary))
    plain = case("popularity")
    for task in [make() for make in plain.schedule.tasks(of, lambda what, rows: None)]:
        learn(made, task)
    return made


def recalls(method: RetrainMethod, of: Stream) -> dict[str, tuple[float, float]]:
    """Recall at 3 by group, and that of a blind guess."""
    evaluator: Evaluator = RankEvaluator(questions=of.asks, ks=[3], metrics=[recall, ndcg])
    test = of.questions(LAST)
    answer = evaluator.answer(method, 0, "test", test, CPU)
    found = {row.group: row.value for row in answer.rows if row.metric == "recall"}
    width = len(test.catalogue) if test.catalogue is not None else test.candidates.shape[1] + 1
    return {group: (value, 3 / width) for group, value in found.items()}


@pytest.mark.parametrize("had", ["left_out", "offered"])
def test_whoever_knows_only_what_was_had_is_at_chance_on_first_times(had: str, tmp_path):
    of = stream(tmp_path / "s", had=had, catalogue="full")
    found = recalls(learned(Had, of), of)

    value, chance = found["first_time"]
    assert value == pytest.approx(chance, abs=0.03) if had == "left_out" else value < chance
    assert found["all"][0] > 0.2 or had == "offered", "and yet it looks good over all questions"


def test_left_out_candidates_give_a_label_had_before_away_and_offered_ones_do_not(tmp_path):
    given_away, honest = (stream(tmp_path / had, had=had, catalogue="full") for had in ("left_out", "offered"))

    assert recalls(learned(Had, given_away), given_away)["again"][0] == 1.0
    value, chance = recalls(learned(Recent, honest), honest)["again"]
    assert recalls(learned(Had, honest), honest)["again"][0] < 0.5 < value < 1.0
    assert chance < 0.1


def test_recent_by_hand(tmp_path):
    rows = [([0, 0, 1, 0], [3, 5, 5, 3]), ([0, 1], [2, 4]), ([0, 1], [2, 4])]
    of = Stream(write_stream(tmp_path / "s", rows, n_users=3, n_items=7), asks(candidates=None, catalogue="full"))
    method = Recent(backbone=ItemScores(vocabulary=of.vocabulary))
    for index in (0, 1):
        learn(method, Task(index, of[index], [], dict))

    questions = of.questions(2).asked(slice(0, 2), CPU, catalogue=torch.arange(7))
    counts = torch.tensor([0, 0, 1, 2, 1, 2, 0]) / 3
    expected = counts.repeat(2, 1)
    for user, item, row in [(0, 5, 1), (0, 3, 3), (0, 2, 4), (1, 5, 2), (1, 4, 5)]:
        expected[user, item] = 1 + row / 6
    torch.testing.assert_close(method.score(questions).float(), expected)


def test_recent_comes_back_from_a_file(tmp_path):
    of = stream(tmp_path / "s")
    method = learned(Recent, of)
    other = Recent(backbone=ItemScores(vocabulary=of.vocabulary))
    other.load_state_dict(through_a_file(method.state_dict()))

    every = concatenate([of.interactions(period) for period in range(LAST)])
    assert len(other.when) == len(torch.unique(every.user * ITEMS + every.item))
    assert torch.equal(other.when, method.when)
