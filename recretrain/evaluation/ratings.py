"""Ratings are predicted, a user's few at a time: errors, and how well their order is foreseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal

import torch
from torch import Tensor

from recretrain.data.kinds import Ratings, TestSet
from recretrain.data.stream import Asks
from recretrain.errors import Mistake, Unfit
from recretrain.evaluation.base import Answer, Scorer, groups_of, owners_of
from recretrain.evaluation.metrics import name_of
from recretrain.records import Row, ranks_key, values_key
from recretrain.values import AtLeast1, NotEmpty

_CHUNK, _GPU_CHUNK = 256, 2048  # questions asked together
_BATCH = 1024  # of the released evaluation of CATN

Error = Callable[[Tensor, Tensor], Tensor]  # predicted [U, n], rated [U, n] -> a value a user
Gain = Callable[[Tensor], Tensor]


def absolute_error(predicted: Tensor, rated: Tensor) -> Tensor:
    return (predicted - rated).abs().mean(1)


def squared_error(predicted: Tensor, rated: Tensor) -> Tensor:
    return (predicted - rated).pow(2).mean(1)


def squared_error_by_batch(predicted: Tensor, rated: Tensor) -> Tensor:
    """Squared errors whose mean is CATN's released figure: the mean of the means of batches of 1,024 (catn.md, g)."""
    weight = torch.cat([torch.full((len(part),), 1 / len(part)) for part in torch.split(rated[:, 0], _BATCH)])
    return squared_error(predicted, rated) * (weight.double() * len(rated) / weight.sum())


def ndcg(predicted: Tensor, rated: Tensor, k: int, gain: Gain) -> Tensor:
    """DCG of the first k by prediction over that of the best order (MeLU, section 4.2).  # [U, n], [U, n] -> [U]

    Equal predictions share the discounts of the places they take, so a constant prediction scores chance.
    """
    return _dcg(predicted, gain(rated), k) / _dcg(rated, gain(rated), k)


def linear(rated: Tensor) -> Tensor:
    """The rating itself: what meets MeLU's printed figures (melu.md, i 1)."""
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


ERRORS: dict[str, Error] = {
    "mae": absolute_error,
    "mse": squared_error,
    "rmse": squared_error,
    "mse_by_batch": squared_error_by_batch,
}
GAINS: dict[str, Gain] = {"ndcg_lin": linear, "ndcg_exp": exponential}


class RatingEvaluator:
    """Measures each question's predictions, errors and order, and averages over questions (melu.md, g)."""

    def __init__(
        self,
        *,
        questions: Asks,
        ks: Annotated[Sequence[AtLeast1], NotEmpty()],
        metrics: Annotated[
            Sequence[Literal["mae", "mse", "rmse", "mse_by_batch", "ndcg_lin", "ndcg_exp"] | Error], NotEmpty()
        ],
    ) -> None:
        """`metrics`: names, or functions of predicted and rated, [Q, n] both, that give a value a question."""
        if not issubclass(questions.kind, Ratings):
            raise Unfit(
                f"eval: {type(questions).__name__} asks for rankings, which are no ratings; use eval=sampled, "
                "eval=full or another of the rank evaluator's"
            )
        self.questions = questions
        self.ks = list(ks)
        self.metrics = list(metrics)

    def answer(self, scorer: Scorer, task: int, name: str, test: TestSet, device: torch.device) -> Answer:
        assert isinstance(test, Ratings)
        predicted = predictions(scorer, test, device)
        kept = {
            ranks_key(test.period, name, "_predicted"): predicted.float().numpy(),
            ranks_key(test.period, name, "_rated"): test.labels.numpy(),
            **{
                ranks_key(test.period, name, values_key(name_of(own), 0)): own(predicted, test.labels.double()).numpy()
                for own in self.metrics
                if not isinstance(own, str)
            },
        }
        return Answer(list(self.rows(task, name, test, predicted)), {**kept, **owners_of(test, name)})

    def rows(self, task: int, name: str, test: TestSet, predicted: Tensor) -> Iterator[Row]:
        """Mean over questions of each one's figure; rmse is the root of the mean of squares. Errors have k = 0."""
        rated = test.labels.double()
        for group, members in groups_of(test):
            if not bool(members.any()):
                continue
            for metric, k, values in self._values(predicted[members], rated[members]):
                value = float(values.mean())
                value = value**0.5 if metric == "rmse" else value
                yield Row(task, test.period, name, group, metric, k, value, len(values))

    def _values(self, predicted: Tensor, rated: Tensor) -> Iterator[tuple[str, int, Tensor]]:
        for metric in self.metrics:
            if not isinstance(metric, str):
                yield name_of(metric), 0, metric(predicted, rated)
            elif metric in ERRORS:
                yield metric, 0, ERRORS[metric](predicted, rated)
            else:
                yield from ((metric, k, ndcg(predicted, rated, k, GAINS[metric])) for k in self.ks)


@torch.no_grad()
def predictions(scorer: Scorer, test: Ratings, device: torch.device) -> Tensor:
    """Ratings as predicted, not clipped.  # [Q, n] float64

    Raises Mistake on a NaN.
    """
    predicted = torch.empty(test.items.shape, dtype=torch.float64)
    chunk = _CHUNK if device.type == "cpu" else _GPU_CHUNK
    for start in range(0, len(test), chunk):
        rows = slice(start, min(start + chunk, len(test)))
        asked = test.asked(rows, device, candidates=test.items[rows].to(device).long())
        predicted[rows] = scorer.score(asked).double().cpu()
    if bool(torch.isnan(predicted).any()):
        raise Mistake(f"the model's ratings for period {test.period} hold NaN; lower the learning rates of the method")
    return predicted
