"""The evaluator asks a method a chunk of questions at a time and keeps one rank per question."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt
import torch
from torch import Tensor

from recretrain.data.questions import Arrivals, SessionPrefixes
from recretrain.data.stream import Asked, Questions, TestSet
from recretrain.evaluation.metrics import metric

log = logging.getLogger("recretrain")

_CHUNK = 256  # questions scored together among their candidates
_CATALOGUE_CHUNK = 512  # questions scored together against the whole catalogue: a larger matrix product is a faster one
_CATALOGUE_SCORES = 2**24  # but no more scores than this at a time (64 MB)
_BLOCK = 16  # of those, questions ranked together on a CPU: their scores stay in the cache


class Scorer(Protocol):
    def score(self, questions: Questions) -> Tensor:
        """[B, C] scores, higher is better."""


@dataclass(frozen=True)
class Row:
    """One figure of a task: the mean of a metric over the questions of a group."""

    task: int
    period: int
    test: str
    group: str
    metric: str
    k: int
    value: float
    n: int


Answer = tuple[list[Row], dict[str, npt.NDArray[Any]]]  # figures; arrays to keep, from which any figure can be made


def groups_of(test: TestSet) -> Iterator[tuple[str, Tensor]]:
    """All questions, then each group that is reported apart.  # name, [Q] bool"""
    yield "all", torch.ones(len(test), dtype=torch.bool)
    yield from ((group, members.cpu()) for group, members in test.groups.items())


def members_of(test: TestSet) -> dict[str, npt.NDArray[Any]]:
    return {f"{test.period}_{group}": members.cpu().numpy() for group, members in test.groups.items()}


class Evaluator:
    """What is measured; `catalogue` and `candidates` shape the test sets themselves (see data.stream)."""

    def __init__(
        self,
        *,
        questions: str,
        history: int | None,
        candidates: int | None,
        catalogue: str,
        seed: int,
        ks: Sequence[int],
        metrics: Sequence[str],
    ) -> None:
        if questions not in ("interactions", "prefixes"):
            raise ValueError(f"eval.questions={questions}: give interactions or prefixes (of sessions)")
        if questions == "prefixes" and (catalogue != "full" or not history):
            raise ValueError("eval.questions=prefixes needs eval.catalogue=full and eval.history; see eval=prefixes")
        if history is not None and history < 1:
            raise ValueError(f"eval.history={history}: give a number of items, or null")
        if catalogue not in ("sampled", "full"):
            raise ValueError(f"eval.catalogue={catalogue}: give sampled or full")
        if catalogue == "sampled" and not candidates:
            raise ValueError("eval.catalogue=sampled needs eval.candidates; give a number, or eval.catalogue=full")
        if not ks or min(ks) < 1:
            raise ValueError(f"eval.ks={list(ks)}: every cut-off must be 1 or more")
        self.asked: Asked = (
            SessionPrefixes(history)
            if questions == "prefixes" and history
            else Arrivals(candidates, catalogue == "full", history, seed)
        )
        self.ks = list(ks)
        self.metrics = {name: metric(name) for name in metrics}

    def answer(self, scorer: Scorer, task: int, name: str, test: TestSet, device: torch.device) -> Answer:
        half = half_ranks(scorer, test, device)
        if collapsed(half):
            log.warning("period %d: every label has the same rank; the model has probably collapsed", test.period)
        return list(self.rows(task, name, test, half)), {str(test.period): half.numpy(), **members_of(test)}

    def rows(self, task: int, name: str, test: TestSet, half_ranks: Tensor) -> Iterator[Row]:
        """Every metric at every k, over all questions and over each group that has any."""
        rank = half_ranks.double() / 2
        for group, members in groups_of(test):
            n = int(members.sum())
            for metric_name, measure in self.metrics.items():
                for k in self.ks if n else ():
                    value = float(measure(rank[members], k).mean())
                    yield Row(task, test.period, name, group, metric_name, k, value, n)


@torch.no_grad()
def half_ranks(scorer: Scorer, test: TestSet, device: torch.device, chunk: int | None = None) -> Tensor:
    """Twice the 0-based rank of each label: 2 x (candidates that beat it) + (candidates that equal it).  # [Q] int32

    Raises ValueError on a NaN score: a broken model must not be ranked (spec T15).
    """
    rank_chunk = _rank_in_catalogue if test.catalogue is not None else _rank_among_candidates
    chunk = chunk or _chunk(test)
    half = torch.empty(len(test), dtype=torch.int32)  # kept chunk by chunk, small results would break up the heap
    for start in range(0, len(test), chunk):
        rows = slice(start, min(start + chunk, len(test)))
        half[rows] = rank_chunk(scorer, test, rows, device)
    return half


def collapsed(half: Tensor) -> bool:
    """Whether every label has the same rank: nearly always a model whose scores are all equal."""
    return len(half) > 1 and bool((half == half[0]).all())


def _chunk(test: TestSet) -> int:
    if test.catalogue is None:
        return _CHUNK
    return max(1, min(_CATALOGUE_CHUNK, _CATALOGUE_SCORES // max(1, len(test.catalogue))))


def _rank_among_candidates(scorer: Scorer, test: TestSet, rows: slice, device: torch.device) -> Tensor:
    if test.candidates is None:
        raise ValueError(f"the questions of period {test.period} have neither candidates nor a catalogue")
    label = test.labels[rows].to(device).unsqueeze(1)
    offered = torch.cat([label, test.candidates[rows].to(device=device, dtype=torch.long)], dim=1)
    scores = scorer.score(questions_of(test, rows, device, candidates=offered))
    signs = _signs(scores, scores[:, :1], test.period)
    signs[:, 0] = -1
    return _half_rank(signs)


def _rank_in_catalogue(scorer: Scorer, test: TestSet, rows: slice, device: torch.device) -> Tensor:
    assert test.catalogue is not None
    catalogue = test.catalogue.to(device)
    scores = scorer.score(questions_of(test, rows, device, catalogue=catalogue))
    size = _BLOCK if device.type == "cpu" else len(scores)
    blocks = (slice(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size))
    parts = zip(torch.split(scores, size), blocks, strict=True)
    return torch.cat([_rank_block(part, test, block, catalogue) for part, block in parts])


def _rank_block(scores: Tensor, test: TestSet, rows: slice, catalogue: Tensor) -> Tensor:
    label = torch.searchsorted(catalogue, test.labels[rows].to(catalogue.device)).unsqueeze(1)
    signs = _signs(scores, scores.gather(1, label), test.period)
    signs.scatter_(1, label, -1)
    if test.seen is not None:
        seen = test.seen.rows(rows.start, rows.stop)
        column = torch.searchsorted(catalogue, seen.values.to(catalogue.device))
        signs[seen.row_of_value().to(catalogue.device), column] = -1
    return _half_rank(signs)


def questions_of(
    test: TestSet,
    rows: slice,
    device: torch.device,
    *,
    candidates: Tensor | None = None,
    catalogue: Tensor | None = None,
) -> Questions:
    context = {name: column[rows].to(device) for name, column in test.context.items()}
    return Questions(test.user[rows].to(device), candidates, catalogue, context)


def _signs(scores: Tensor, label: Tensor, period: int) -> Tensor:
    """1 where a candidate beats the label, 0 where it ties, -1 where it loses (or must not count)."""
    if bool(torch.isnan(scores.sum())) and bool(torch.isnan(scores).any()):  # the sum is cheap and nearly always enough
        _fail_on_nan(period)
    return torch.sub(scores, label).sign_()


def _half_rank(signs: Tensor) -> Tensor:
    """Wins - losses + all = 2 wins + ties: one float sum, exact below 2**24."""
    return (signs.sum(1) + signs.shape[1]).to(torch.int32).cpu()


def _fail_on_nan(period: int) -> None:
    raise ValueError(
        f"the model's scores for period {period} hold NaN, so nothing can be ranked; "
        "lower the learning rate or raise the regularisation of the method"
    )
