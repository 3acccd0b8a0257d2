"""Ratings are predicted, a user's few at a time: errors, and how well their order is foreseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from recretrain.data.questions import Episodes
from recretrain.data.stream import Asked, TestSet
from recretrain.evaluation.evaluator import Answer, Row, Scorer, groups_of, members_of, questions_of

_CHUNK = 256  # users asked together

Error = Callable[[Tensor, Tensor], Tensor]  # predicted [U, n], rated [U, n] -> a value a user
Gain = Callable[[Tensor], Tensor]


def absolute_error(predicted: Tensor, rated: Tensor) -> Tensor:
    return (predicted - rated).abs().mean(1)


def squared_error(predicted: Tensor, rated: Tensor) -> Tensor:
    return (predicted - rated).pow(2).mean(1)


def ndcg(predicted: Tensor, rated: Tensor, k: int, gain: Gain) -> Tensor:
    """DCG of the first k by prediction over that of the best order (MeLU, section 4.2).  # [U, n], [U, n] -> [U]

    Equal predictions share the discounts of the places they take, so a constant prediction scores chance.
    """
    return _dcg(predicted, gain(rated), k) / _dcg(rated, gain(rated), k)


def linear(rated: Tensor) -> Tensor:
    """The rating itself: what meets MeLU's printed figures (spec i, 1)."""
    return rated


def exponential(rated: Tensor) -> Tensor:
    """2^R - 1, as MeLU prints it."""
    return 2**rated - 1


def _dcg(score: Tensor, gain: Tensor, k: int) -> Tensor:
    places = torch.arange(score.shape[1], dtype=torch.float64, device=score.device)
    discount = torch.where(places < k, 1 / torch.log2(places + 2), 0.0)
    until = torch.cat([discount.new_zeros(1), discount.cumsum(0)])  # discounts of all places before this one
    first = (score.unsqueeze(1) > score.unsqueeze(2)).sum(2)
    ties = (score.unsqueeze(1) == score.unsqueeze(2)).sum(2)
    return (gain.double() * (until[first + ties] - until[first]) / ties).sum(1)


ERRORS: dict[str, Error] = {"mae": absolute_error, "mse": squared_error, "rmse": squared_error}
GAINS: dict[str, Gain] = {"ndcg_lin": linear, "ndcg_exp": exponential}


class RatingEvaluator:
    """Each question is a user with a support set and `queries` items to rate (MeLU, spec a and g)."""

    def __init__(
        self,
        *,
        questions: str,
        shortest: int,
        longest: int,
        queries: int,
        split: str,
        users: str,
        supports: Sequence[int],
        seed: int,
        ks: Sequence[int],
        metrics: Sequence[str],
    ) -> None:
        if questions != "episodes":
            raise ValueError(f"eval.questions={questions}: ratings are asked as episodes")
        unknown = [name for name in metrics if name not in ERRORS and name not in GAINS]
        if unknown:
            raise ValueError(f"eval.metrics: there is no {unknown[0]!r}; choose from {', '.join([*ERRORS, *GAINS])}")
        self.asked: Asked = Episodes(
            shortest=shortest,
            longest=longest,
            queries=queries,
            split=split,
            users=users,
            supports=tuple(supports),
            seed=seed,
        )
        self.ks = list(ks)
        self.metrics = list(metrics)

    def answer(self, scorer: Scorer, task: int, name: str, test: TestSet, device: torch.device) -> Answer:
        predicted = predictions(scorer, test, device)
        kept = {f"{test.period}_predicted": predicted.float().numpy(), f"{test.period}_rated": test.labels.numpy()}
        return list(self.rows(task, name, test, predicted)), {**kept, **members_of(test)}

    def rows(self, task: int, name: str, test: TestSet, predicted: Tensor) -> Iterator[Row]:
        """Mean over users of each user's figure; rmse is the root of the mean of squares. Errors have k = 0."""
        rated = test.labels.double()
        for group, members in groups_of(test):
            if not bool(members.any()):
                continue
            for metric, k, values in self._values(predicted[members], rated[members]):
                value = float(values.mean())
                yield Row(
                    task, test.period, name, group, metric, k, value**0.5 if metric == "rmse" else value, len(values)
                )

    def _values(self, predicted: Tensor, rated: Tensor) -> Iterator[tuple[str, int, Tensor]]:
        for metric in self.metrics:
            if metric in ERRORS:
                yield metric, 0, ERRORS[metric](predicted, rated)
            else:
                yield from ((metric, k, ndcg(predicted, rated, k, GAINS[metric])) for k in self.ks)


@torch.no_grad()
def predictions(scorer: Scorer, test: TestSet, device: torch.device) -> Tensor:
    """Ratings as predicted, not clipped.  # [U, queries] float64

    Raises ValueError on a NaN.
    """
    assert test.candidates is not None
    predicted = torch.empty(test.candidates.shape, dtype=torch.float64)
    for start in range(0, len(test), _CHUNK):
        rows = slice(start, min(start + _CHUNK, len(test)))
        asked = questions_of(test, rows, device, candidates=test.candidates[rows].to(device).long())
        predicted[rows] = scorer.score(asked).double().cpu()
    if bool(torch.isnan(predicted).any()):
        raise ValueError(
            f"the model's ratings for period {test.period} hold NaN; lower the learning rates of the method"
        )
    return predicted
