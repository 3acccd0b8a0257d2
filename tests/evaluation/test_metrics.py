import ir_measures
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recretrain.data.interactions import Ragged
from recretrain.data.kinds import Questions, Rankings
from recretrain.data.questions import Arrivals, Episodes
from recretrain.errors import ConfigError
from recretrain.evaluation.metrics import METRICS, expected
from recretrain.evaluation.rankings import RankEvaluator, collapsed, half_ranks
from recretrain.report.runs.answers import TIES, values

CPU = torch.device("cpu")


class Fixed:
    """A scorer that gives every item the score of a table, whoever asks."""

    def __init__(self, scores: torch.Tensor) -> None:
        self.scores = scores

    def score(self, questions: Questions) -> torch.Tensor:
        items = questions.candidates if questions.candidates is not None else questions.catalogue
        return self.scores[items].expand(len(questions.user), -1) if items.dim() == 1 else self.scores[items]


def questions(labels, candidates) -> Rankings:
    user = torch.zeros(len(labels), dtype=torch.long)
    return Rankings(period=3, user=user, labels=torch.tensor(labels), candidates=torch.tensor(candidates))


def arrivals(**changes) -> Arrivals:
    options = {
        "candidates": 3,
        "catalogue": "sampled",
        "history": None,
        "history_space": None,
        "had": "left_out",
        "seed": 0,
        "draws": "stored",
    }
    return Arrivals(**{**options, **changes})


def evaluator(**changes) -> RankEvaluator:
    options = {"questions": arrivals(), "ks": [1, 2], "metrics": ["recall", "ndcg", "mrr"]}
    return RankEvaluator(**{**options, **changes})


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
    test = Rankings(
        period=3,
        user=torch.zeros(2, dtype=torch.long),
        labels=torch.tensor([3, 2]),
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


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 8)), min_size=1, max_size=12), st.integers(1, 10))
def test_a_tie_counts_as_the_mean_over_its_places(found, k):
    wins, ties = torch.tensor(found).T
    half = (2 * wins + ties).to(torch.int32)

    for name, measure in METRICS.items():
        by_hand = [float(measure(torch.arange(w, w + t + 1).double(), k).double().mean()) for w, t in found]
        assert expected(measure, half, ties, k).tolist() == pytest.approx(by_hand)
        kept = {"": half.numpy() / 2, TIES: ties.numpy()}
        assert values(kept, f"{name}@{k}").tolist() == pytest.approx(by_hand)


def test_a_model_whose_scores_are_all_equal_measures_what_guessing_does():
    test = questions([0] * 4, [list(range(1, 10))] * 4)
    rows, kept = evaluator(ks=[1, 5, 10]).answer(Fixed(torch.zeros(10)), 4, "test", test, CPU)

    assert {row.k: row.value for row in rows if row.metric == "recall"} == {1: 0.1, 5: 0.5, 10: 1.0}
    first = {row.metric: row.value for row in rows if row.k == 1}
    assert first == pytest.approx({"recall": 0.1, "ndcg": 0.1, "mrr": 0.1})
    assert {row.k: row.value for row in rows if row.metric == "ndcg"}[5] == pytest.approx(0.2948, abs=5e-5)
    assert kept["3_test_ties"].tolist() == [9] * 4


def test_rows_hold_every_metric_at_every_k_for_all_and_for_each_group_that_has_questions():
    half = torch.tensor([0, 2, 6])  # ranks 0, 1, 3
    groups = {"new_user": torch.tensor([True, False, True]), "new_item": torch.zeros(3, dtype=torch.bool)}
    test = Rankings(period=7, user=torch.arange(3), labels=torch.arange(3), groups=groups)

    rows = {(r.group, r.metric, r.k): (r.value, r.n) for r in evaluator().rows(4, "test", test, half, torch.zeros(3))}

    assert rows[("all", "recall", 1)] == (pytest.approx(1 / 3), 3)
    assert rows[("all", "recall", 2)] == (pytest.approx(2 / 3), 3)
    assert rows[("all", "mrr", 2)] == (pytest.approx((1 + 1 / 2) / 3), 3)
    assert rows[("all", "ndcg", 2)] == (pytest.approx((1 + 0.6309297535714575) / 3), 3)
    assert rows[("new_user", "recall", 1)] == (0.5, 2)
    assert not [key for key in rows if key[0] == "new_item"]


def test_answers_are_kept_as_twice_their_ranks_and_groups_as_their_members():
    test = Rankings(
        period=7,
        user=torch.arange(2),
        labels=torch.tensor([1, 4]),
        candidates=torch.tensor([[0, 2, 3], [0, 1, 2]]),
        groups={"new_user": torch.tensor([True, False])},
    )

    _, kept = evaluator().answer(Fixed(torch.tensor([0.0, 1.0, 1.0, 2.0, 3.0])), 4, "choosing", test, CPU)

    assert {name: values.tolist() for name, values in kept.items()} == {
        "7_choosing": [3, 0],
        "7_choosing_ties": [1, 0],
        "7_choosing_user": [0, 1],
        "7_choosing:new_user": [True, False],
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: arrivals(candidates=None), r"eval\.questions\.catalogue=sampled needs eval\.questions\.candidates"),
        (lambda: evaluator(metrics=["recal"]), "there is no 'recal'; choose from recall"),
        (lambda: evaluator(questions=users()), "Episodes asks for ratings, which are not ranked; use eval=episodes"),
    ],
)
def test_options_that_do_not_fit_together_name_their_keys(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def users() -> Episodes:
    return Episodes(shortest=4, longest=9, queries=2, split="random", users="all", supports=[2], seed=0)


def test_questions_without_candidates_or_a_catalogue_cannot_be_ranked():
    test = Rankings(period=3, user=torch.zeros(1, dtype=torch.long), labels=torch.zeros(1, dtype=torch.long))

    with pytest.raises(ConfigError, match=r"period 3 have neither candidates nor a catalogue; set eval\.questions"):
        half_ranks(Fixed(torch.ones(4)), test, CPU)
