"""Rankings are kept as one rank a question, asked a chunk of questions at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated

import torch
from torch import Tensor

from recretrain.data.kinds import Rankings, TestSet
from recretrain.data.stream import Asks
from recretrain.errors import ConfigError, Mistake, Unfit
from recretrain.evaluation.base import Answer, Scorer, groups_of, owners_of
from recretrain.evaluation.metrics import METRICS, Metric, expected, metric, name_of
from recretrain.records import Row, ranks_key, values_key
from recretrain.values import AtLeast1, NotEmpty

log = logging.getLogger("recretrain")

_CHUNK = 256  # questions scored together among their candidates: what they need stays in the cache of a CPU
_GPU_CHUNK = 2048
_CATALOGUE_CHUNK = 512  # questions scored together against the whole catalogue: a larger matrix product is a faster one
_GPU_CATALOGUE_CHUNK = 8192
_CATALOGUE_SCORES = 7_500_000  # but no more scores than this at a time: 30 MB, which malloc keeps and uses again
_GPU_SCORES = 100_000_000  # 400 MB, three times while they are ranked
_BLOCK = 16  # of those, questions ranked together on a CPU: their scores stay in the cache


class RankEvaluator:
    """Ranks each label among its candidates or the whole catalogue."""

    def __init__(
        self,
        *,
        questions: Asks,
        ks: Annotated[Sequence[AtLeast1], NotEmpty()],
        metrics: Annotated[Sequence[str | Callable[[Tensor, int], Tensor]], NotEmpty()],
    ) -> None:
        """`metrics`: names of `evaluation.metrics`, or functions of the same form."""
        if not issubclass(questions.kind, Rankings):
            raise Unfit(
                f"eval: {type(questions).__name__} asks for ratings, which are not ranked; use eval=episodes or "
                "another of the rating evaluator's"
            )
        among = getattr(questions, "candidates", None) if getattr(questions, "catalogue", "") == "sampled" else None
        if among is not None and min(ks) > among:
            raise ConfigError(
                f"eval.ks={list(ks)}: each question ranks its item among eval.questions.candidates={among}, so all "
                "would be hits; give a smaller k"
            )
        self.questions = questions
        self.ks = list(ks)
        self.metrics: dict[str, Metric] = {name_of(given): metric(given) for given in metrics}

    def answer(self, scorer: Scorer, task: int, name: str, test: TestSet, device: torch.device) -> Answer:
        assert isinstance(test, Rankings)
        half, ties = half_ranks_and_ties(scorer, test, device)
        if collapsed(half):
            log.warning("period %d: every label has the same rank; the model has probably collapsed", test.period)
        kept = {ranks_key(test.period, name): half.numpy(), **owners_of(test, name)}
        if bool(ties.any()):
            kept[ranks_key(test.period, name, "_ties")] = ties.numpy()
        measured = self._measured(half, ties)
        for (metric_name, k), values in measured.items():
            if METRICS.get(metric_name) is not self.metrics[metric_name]:
                kept[ranks_key(test.period, name, values_key(metric_name, k))] = values.float().numpy()
        return Answer(list(_rows(task, name, test, measured)), kept)

    def rows(self, task: int, name: str, test: TestSet, half_ranks: Tensor, ties: Tensor) -> Iterator[Row]:
        """Every metric at every k, over all questions and over each group that has any."""
        yield from _rows(task, name, test, self._measured(half_ranks, ties))

    def _measured(self, half_ranks: Tensor, ties: Tensor) -> dict[tuple[str, int], Tensor]:
        """The values of the questions, [Q] each."""
        return {
            (name, k): expected(measure, half_ranks, ties, k) for name, measure in self.metrics.items() for k in self.ks
        }


def _rows(task: int, name: str, test: TestSet, measured: Mapping[tuple[str, int], Tensor]) -> Iterator[Row]:
    for group, members in groups_of(test):
        if n := int(members.sum()):
            for (metric_name, k), values in measured.items():
                yield Row(task, test.period, name, group, metric_name, k, float(values[members].mean()), n)


def half_ranks(scorer: Scorer, test: Rankings, device: torch.device, chunk: int | None = None) -> Tensor:
    """Twice the 0-based rank of each label, those that equal it counted half.  # [Q] int32

    Raises Mistake as the next function does.
    """
    return half_ranks_and_ties(scorer, test, device, chunk)[0]


@torch.no_grad()
def half_ranks_and_ties(
    scorer: Scorer, test: Rankings, device: torch.device, chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    """2 x (candidates that beat the label) + (candidates that equal it), and how many equal it.  # [Q] int32, [Q] int32

    Raises Mistake on a NaN score: a broken model must not be ranked (sml.md, T15).
    """
    rank_chunk = _rank_in_catalogue if test.catalogue is not None else _rank_among_candidates
    chunk = chunk or chunk_of(test, device)
    both = torch.empty(2, len(test), dtype=torch.int32)  # kept chunk by chunk, small results would break up the heap
    for start in range(0, len(test), chunk):
        rows = slice(start, min(start + chunk, len(test)))
        both[:, rows] = rank_chunk(scorer, test, rows, device)
    return both[0], both[1]


def collapsed(half: Tensor) -> bool:
    """Whether every label has the same rank: nearly always a model whose scores are all equal."""
    return len(half) > 1 and bool((half == half[0]).all())


def chunk_of(test: Rankings, device: torch.device) -> int:
    """How many questions are asked together on this device."""
    on_cpu = device.type == "cpu"
    if test.catalogue is None:
        return _CHUNK if on_cpu else _GPU_CHUNK
    most, scores = (_CATALOGUE_CHUNK, _CATALOGUE_SCORES) if on_cpu else (_GPU_CATALOGUE_CHUNK, _GPU_SCORES)
    return max(1, min(most, scores // max(1, len(test.catalogue))))


def _rank_among_candidates(scorer: Scorer, test: Rankings, rows: slice, device: torch.device) -> Tensor:
    if test.candidates is None:
        raise ConfigError(
            f"the questions of period {test.period} have neither candidates nor a catalogue; set "
            "eval.questions.candidates, or eval.questions.catalogue=full"
        )
    label = test.labels[rows].to(device).unsqueeze(1)
    offered = torch.cat([label, test.candidates[rows].to(device).long()], dim=1)
    scores = scorer.score(test.asked(rows, device, candidates=offered))
    signs = _signs(scores, scores[:, :1], test.period)
    signs[:, 0] = -1
    return _half_rank(signs)


def _rank_in_catalogue(scorer: Scorer, test: Rankings, rows: slice, device: torch.device) -> Tensor:
    assert test.catalogue is not None
    catalogue = test.catalogue.to(device)
    scores = scorer.score(test.asked(rows, device, catalogue=catalogue))
    size = _BLOCK if device.type == "cpu" else len(scores)
    blocks = (slice(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size))
    parts = zip(torch.split(scores, size), blocks, strict=True)
    return torch.cat([_rank_block(part, test, block, catalogue) for part, block in parts], 1)


def _rank_block(scores: Tensor, test: Rankings, rows: slice, catalogue: Tensor) -> Tensor:
    label = torch.searchsorted(catalogue, test.labels[rows].to(catalogue.device)).unsqueeze(1)
    signs = _signs(scores, scores.gather(1, label), test.period)
    signs.scatter_(1, label, -1)
    if test.seen is not None:
        seen = test.seen.rows(rows.start, rows.stop)
        column = torch.searchsorted(catalogue, seen.values.to(catalogue.device))
        signs[seen.row_of_value().to(catalogue.device), column] = -1
    return _half_rank(signs)


def _signs(scores: Tensor, label: Tensor, period: int) -> Tensor:
    """1 where a candidate beats the label, 0 where it ties, -1 where it loses (or must not count)."""
    if bool(torch.isnan(scores.sum())) and bool(torch.isnan(scores).any()):  # the sum is cheap and nearly always enough
        fail_on_nan(period)
    return torch.sub(scores, label).sign_()


def _half_rank(signs: Tensor) -> Tensor:
    """Wins - losses + all = 2 wins + ties: one float sum, exact below 2**24; and the ties.  # [B, C] -> [2, B]"""
    half = (signs.sum(1) + signs.shape[1]).to(torch.int32)
    ties = (signs.shape[1] - torch.count_nonzero(signs, 1)).to(torch.int32)
    return torch.stack([half, ties]).cpu()


def fail_on_nan(period: int) -> None:
    of = f" for period {period}" if period >= 0 else ""
    raise Mistake(
        f"the model's scores{of} hold NaN, so nothing can be ranked; "
        "lower the learning rate or raise the regularisation of the method"
    )
