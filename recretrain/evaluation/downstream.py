"""Downstream tasks are measured by what their labels are: few are classes, many are items to be ranked.

The label loses ties, as in PeterRec's released code (peterrec.md, h): a model that scores all the same gets nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from recretrain.data.kinds import Rankings, TestSet
from recretrain.data.stream import Asks
from recretrain.errors import ConfigError, Mistake, Unfit
from recretrain.evaluation.base import Answer, Arrays, Scorer, groups_of, owners_of
from recretrain.evaluation.metrics import mrr, recall
from recretrain.evaluation.rankings import chunk_of, fail_on_nan
from recretrain.records import Row, ranks_key
from recretrain.values import AtLeast1, NotEmpty

_SEED = 0  # of the classes drawn for sampled_accuracy: the same for all runs

Figure = tuple[str, int, Callable[[Tensor], float | None]]  # a metric, its k, and its value for some questions


@dataclass(frozen=True)
class Scored:
    """The answers to a test set."""

    rank: Tensor  # [Q] int32, 0-based in the catalogue: the others whose score is at least the label's
    sampled: Tensor | None  # [Q] int32, the same among the stored candidates, each as often as it was drawn
    label: Tensor  # [Q] int64, its place in the catalogue
    scores: Tensor | None  # [Q, C] float32 over the catalogue, kept of classes alone


class DownstreamEvaluator:
    """Accuracy, NLL and AUC of classes; hit rate and MRR of items, among the candidates and in the whole catalogue."""

    def __init__(
        self,
        *,
        questions: Asks,
        ks: Annotated[Sequence[AtLeast1], NotEmpty()],
        classes: AtLeast1,
    ) -> None:
        """`classes`: labels of a task that are classes at most."""
        if not issubclass(questions.kind, Rankings):
            raise Unfit(
                f"eval: {type(questions).__name__} asks for ratings, which have no labels to choose from; use "
                "eval=episodes or another of the rating evaluator's"
            )
        self.questions = questions
        self.ks = list(ks)
        self.classes = classes

    def answer(self, scorer: Scorer, task: int, name: str, test: TestSet, device: torch.device) -> Answer:
        assert isinstance(test, Rankings)
        found = scored(scorer, test, device, keep=_catalogue(test).numel() <= self.classes)
        return Answer(list(self._rows(task, name, test, found)), {**_kept(name, test, found), **owners_of(test, name)})

    def _rows(self, task: int, name: str, test: Rankings, found: Scored) -> Iterator[Row]:
        figures = list(self._of_items(found) if found.scores is None else self._of_classes(found, test.period))
        for group, members in groups_of(test):
            n = int(members.sum())
            for metric, k, measure in figures if n else ():
                if (value := measure(members)) is not None:
                    yield Row(task, test.period, name, group, metric, k, value, n)

    def _of_items(self, found: Scored) -> Iterator[Figure]:
        ranks = {"": found.sampled, "_all": found.rank}
        for where, rank in ranks.items():
            for metric, measure in (("hit", recall), ("mrr", mrr)):
                for k in self.ks if rank is not None else ():
                    yield f"{metric}{where}", k, _mean(measure(rank, k))  # type: ignore[arg-type]

    def _of_classes(self, found: Scored, period: int) -> Iterator[Figure]:
        scores, label = found.scores, found.label
        assert scores is not None
        yield "accuracy", 0, _mean(found.rank == 0)
        yield "nll", 0, _mean(nll(scores, label, period))
        if scores.shape[1] == 2:
            score = scores[:, 1] - scores[:, 0]
            yield "auc", 0, lambda members: auc(score[members], label[members] == 1)
        else:
            drawn = other_classes(label, scores.shape[1], np.random.default_rng([_SEED, period]))
            yield "sampled_accuracy", 0, _mean(scores.gather(1, drawn).amax(1) < _own(scores, label))


@torch.no_grad()
def scored(scorer: Scorer, test: Rankings, device: torch.device, *, keep: bool) -> Scored:
    """Ask the scorer once for the whole catalogue, some questions at a time; `keep` the scores.

    Raises Mistake on a NaN score.
    """
    catalogue = _catalogue(test)
    label = _places(catalogue, test.labels, test.period)
    count = len(test)
    rank, sampled = torch.empty(count, dtype=torch.int32), torch.empty(count, dtype=torch.int32)
    scores = torch.empty(count, len(catalogue)) if keep else None
    chunk = chunk_of(test, device)
    for start in range(0, count, chunk):
        rows = slice(start, min(start + chunk, count))
        found = scorer.score(test.asked(rows, device, catalogue=catalogue.to(device)))
        if bool(torch.isnan(found).any()):
            fail_on_nan(test.period)
        own = _own(found, label[rows].to(device)).unsqueeze(1)
        rank[rows] = ((found >= own).sum(1) - 1).to(torch.int32).cpu()
        if test.candidates is not None:
            drawn = _places(catalogue, test.candidates[rows].long(), test.period).to(device)
            sampled[rows] = (found.gather(1, drawn) >= own).sum(1).to(torch.int32).cpu()
        if scores is not None:
            scores[rows] = found.float().cpu()
    return Scored(rank, None if test.candidates is None else sampled, label, scores)


def nll(scores: Tensor, label: Tensor, period: int = -1) -> Tensor:
    """-log softmax(scores) at the label.  # [Q, C], [Q] -> [Q]"""
    found = -_own(torch.log_softmax(scores.double(), 1), label)
    if bool(torch.isnan(found).any()):
        raise Mistake(f"the scores of period {period} are infinite, so they have no soft-max; lower the learning rate")
    return found


def auc(score: Tensor, positive: Tensor) -> float | None:
    """The share of pairs of a positive and a negative that are in order, ties half; None without both.  # [Q], [Q]"""
    _, place, count = torch.unique(score, return_inverse=True, return_counts=True)
    rank = (count.cumsum(0) - (count - 1) / 2)[place]  # 1-based, the mean of those that tie
    ones = int(positive.sum())
    pairs = ones * (len(score) - ones)
    return float((rank[positive].double().sum() - ones * (ones + 1) / 2) / pairs) if pairs else None


def other_classes(label: Tensor, classes: int, random: np.random.Generator) -> Tensor:
    """As many draws with replacement as there are other classes: some miss (peterrec.md, j 7).  # [Q] -> [Q, C - 1]"""
    drawn = torch.from_numpy(random.integers(classes - 1, size=(len(label), classes - 1)))
    return drawn + (drawn >= label.unsqueeze(1)).long()


def _mean(values: Tensor) -> Callable[[Tensor], float]:
    return lambda members: float(values[members].double().mean())


def _own(scores: Tensor, label: Tensor) -> Tensor:
    return scores.gather(1, label.unsqueeze(1)).squeeze(1)


def _catalogue(test: Rankings) -> Tensor:
    if test.catalogue is None:
        raise ConfigError(
            f"the questions of period {test.period} have no catalogue of all labels; choose the questions of "
            "eval=downstream, or eval=sampled"
        )
    return test.catalogue


def _places(catalogue: Tensor, items: Tensor, period: int) -> Tensor:
    """Where the items stand in the catalogue, which ascends."""
    place = torch.searchsorted(catalogue, items.contiguous()).clamp(max=len(catalogue) - 1)
    if not torch.equal(catalogue[place], items):
        raise ConfigError(f"labels or candidates of period {period} are not in its catalogue, so they have no score")
    return place


def _kept(name: str, test: Rankings, found: Scored) -> Arrays:
    """Ranks are kept doubled, as all ranks are."""
    arrays: dict[str, Any] = {"": 2 * found.rank}
    if found.scores is not None:
        arrays |= {"_scores": found.scores, "_label": found.label.to(torch.int32)}
    elif found.sampled is not None:
        arrays["_sampled"] = 2 * found.sampled
    return {ranks_key(test.period, name, what): array.numpy() for what, array in arrays.items()}
