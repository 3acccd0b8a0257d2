import ir_measures
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recretrain.data.stream import Questions, Ragged, TestSet
from recretrain.evaluation.evaluator import Evaluator, collapsed, half_ranks
from recretrain.evaluation.metrics import METRICS

CPU = torch.device("cpu")


class Fixed:
    """A scorer that gives every item the score of a table, whoever asks."""

    def __init__(self, scores: torch.Tensor) -> None:
        self.scores = scores

    def score(self, questions: Questions) -> torch.Tensor:
        items = questions.candidates if questions.candidates is not None else questions.catalogue
        return self.scores[items].expand(len(questions.user), -1) if items.dim() == 1 else self.scores[items]


def questions(labels, candidates) -> TestSet:
    return TestSet(3, torch.zeros(len(labels), dtype=torch.long), torch.tensor(labels), torch.tensor(candidates))


def evaluator(**changes) -> Evaluator:
    options = {"questions": "interactions", "history": None, "candidates": 3, "catalogue": "sampled", "seed": 0}
    options |= {"ks": [1, 2], "metrics": ["recall", "ndcg", "mrr"]}
    return Evaluator(**{**options, **changes})


def test_a_rank_counts_the_candidates_that_beat_the_label_and_ties_half():
    scores = torch.tensor([0.0, 1.0, 1.0, 2.0, 3.0])

    half = half_ranks(Fixed(scores), questions([1, 4, 0], [[0, 2, 3], [0, 1, 2], [1, 2, 3]]), CPU)

    assert half.tolist() == [2 * 1 + 1, 0, 2 * 3]


def test_a_collapsed_model_ranks_in_the_middle():
    test = questions([0] * 4, [[1, 2, 3, 4, 5, 6]] * 4)

    half = half_ranks(Fixed(torch.zeros(7)), test, CPU)

    assert half.tolist() == [6] * 4
    assert collapsed(half)
    assert not collapsed(torch.tensor([6, 5]))


def test_nan_scores_are_an_error():
    for broken in (0, 1):
        scores = torch.ones(4)
        scores[broken] = torch.nan
        with pytest.raises(ValueError, match=r"period 3 hold NaN.*lower the learning rate"):
            half_ranks(Fixed(scores), questions([0], [[1, 2]]), CPU)


def test_the_whole_catalogue_leaves_out_what_the_user_had_but_never_the_label():
    scores = torch.tensor([9.0, 8.0, 7.0, 6.0, 5.0])
    test = TestSet(
        3,
        torch.zeros(2, dtype=torch.long),
        torch.tensor([3, 2]),
        catalogue=torch.tensor([0, 1, 2, 3]),  # item 4 is not known yet
        seen=Ragged(torch.tensor([0, 2, 4]), torch.tensor([0, 1, 0, 2])),
    )

    half = half_ranks(Fixed(scores), test, CPU, chunk=1)

    assert (half / 2).tolist() == [1, 1]  # beaten by item 2 alone; by item 1 alone


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 40), st.integers(1, 30))
def test_every_metric_equals_an_independent_library(seed, candidates, k):
    torch.manual_seed(seed)
    scores = torch.randperm(candidates + 1).double()  # no ties: libraries disagree about those
    label = int(torch.randint(candidates + 1, ()))
    others = [item for item in range(candidates + 1) if item != label]
    rank = half_ranks(Fixed(scores), questions([label], [others]), CPU) / 2
    run = [ir_measures.ScoredDoc("q", str(item), float(score)) for item, score in enumerate(scores)]
    oracle = {
        "recall": ir_measures.R @ k,
        "hit": ir_measures.Success @ k,
        "ndcg": ir_measures.nDCG @ k,
        "mrr": ir_measures.RR @ k,
    }

    expected = ir_measures.calc_aggregate(oracle.values(), [ir_measures.Qrel("q", str(label), 1)], run)

    for name, measure in oracle.items():
        assert float(METRICS[name](rank, k)) == pytest.approx(expected[measure], abs=1e-12)


def test_rows_hold_every_metric_at_every_k_for_all_and_for_each_group_that_has_questions():
    half = torch.tensor([0, 2, 6])  # ranks 0, 1, 3
    groups = {"new_user": torch.tensor([True, False, True]), "new_item": torch.zeros(3, dtype=torch.bool)}
    test = TestSet(7, torch.arange(3), torch.arange(3), groups=groups)

    rows = {(r.group, r.metric, r.k): (r.value, r.n) for r in evaluator().rows(4, "test", test, half)}

    assert rows[("all", "recall", 1)] == (pytest.approx(1 / 3), 3)
    assert rows[("all", "recall", 2)] == (pytest.approx(2 / 3), 3)
    assert rows[("all", "mrr", 2)] == (pytest.approx((1 + 1 / 2) / 3), 3)
    assert rows[("all", "ndcg", 2)] == (pytest.approx((1 + 0.6309297535714575) / 3), 3)
    assert rows[("new_user", "recall", 1)] == (0.5, 2)
    assert not [key for key in rows if key[0] == "new_item"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"catalogue": "some"}, "eval.catalogue=some: give sampled or full"),
        ({"candidates": None}, "needs eval.candidates"),
        ({"questions": "sessions"}, "eval.questions=sessions: give interactions or prefixes"),
        ({"questions": "prefixes", "history": 5}, "eval.questions=prefixes needs eval.catalogue=full"),
        ({"questions": "prefixes", "catalogue": "full"}, "needs eval.catalogue=full and eval.history"),
        ({"history": 0}, "eval.history=0: give a number of items, or null"),
        ({"ks": [0]}, "every cut-off must be 1 or more"),
        ({"metrics": ["recal"]}, "there is no 'recal'; choose from recall"),
    ],
)
def test_a_wrong_option_names_its_key(changes, message):
    with pytest.raises(ValueError, match=message):
        evaluator(**changes)
