"""A bag of items: logistic regression on which items a user's history holds, anew for each task (peterrec.md, f)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from recretrain.backbones.bags import distinct
from recretrain.backbones.item_scores import ItemScores
from recretrain.data.kinds import Histories, Questions
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit, Note
from recretrain.methods.label_frequency import LabelFrequency
from recretrain.values import AtLeast1, NotEmpty, Positive

log = logging.getLogger("recretrain")


_TOO_MANY = "{} labels, more than method.classes={}; they are answered by their frequency"

Model = dict[str, Tensor]
"""A fitted regression of one space, in float64:
items [F], ascending, that training met in histories; labels [C], ascending, all of the space; weight [F, C];
bias [C], minus infinity for labels that training has not met; log_share [C], of all met labels together, or one's own.
"""


class BagOfItems(LabelFrequency):
    """Scores are log-probabilities of the labels of a space; docs/methods/peterrec.md (f).

    A label that training has not met has the probability 1 / (rows + labels), as counting gives it, and the others
    divide the rest. Spaces of more labels than `classes`, or where training met one label alone or no history at all,
    are answered by frequency.
    """

    answers = Histories
    kept = (*LabelFrequency.kept, "models")
    grows_apart = "its labels are all items of a space, later ones too"

    def __init__(
        self,
        *,
        backbone: ItemScores,
        strengths: Annotated[Sequence[Positive], NotEmpty()],
        classes: AtLeast1,
        longest: AtLeast1,
        iterations: AtLeast1,
    ) -> None:
        super().__init__(backbone=backbone)
        self.strengths = list(strengths)
        self.classes = classes
        self.longest = longest
        self.iterations = iterations
        self.models: dict[int, Model] = {}  # by space
        self._last: Model | None = None  # of the newest task

    def update(self, task: Task, fit: Fit) -> None:
        super().update(task, fit)
        self._last = None
        given = torch.unique(task.period.train.item)
        if len(given) < 2:
            return
        space = int(self.backbone.space[given[0]])
        labels = torch.nonzero(self.backbone.space == space).squeeze(1)
        if len(labels) > self.classes:
            log.info("%s: %s", task.period.name, _TOO_MANY.format(len(labels), self.classes))
            return
        rows, valid = task.period.questions, task.period.valid
        assert isinstance(rows, Histories)
        assert valid is None or isinstance(valid, Histories)
        if bool((rows.history >= 0).any()):
            model = self._fitted(rows, valid, labels.cpu())
            self._last = self.models[space] = {name: value.to(fit.device) for name, value in model.items()}

    def score(self, questions: Questions) -> Tensor:
        item = questions.offered
        assert questions.history is not None
        scores = self.backbone.score(questions)
        space = self.backbone.space[item]
        for of, model in self.models.items():
            if bool((space == of).any()):
                every = log_probabilities(model, questions.history[:, -self.longest :])
                column = torch.searchsorted(model["labels"], item).clamp(max=every.shape[1] - 1)
                known = (space == of) & (model["labels"][column] == item)  # not those that came since
                scores = torch.where(known, every.gather(1, column.expand(len(every), -1)), scores)
        return scores

    def trained_parameters(self) -> int:
        return sum(model["weight"].numel() + model["bias"].numel() for model in self.models.values())

    def notes(self) -> Sequence[Note]:
        """Sizes of what the last task has fitted; none where it is answered by frequency."""
        weights = [] if self._last is None else [self._last["weight"], self._last["bias"]]
        size = sum(weight.numel() for weight in weights)
        sizes = (Note("tuned", 0, size), Note("task_bytes", 0, size * 8)) if weights else ()
        return (*super().notes(), *sizes)

    def _fitted(self, rows: Histories, valid: Histories | None, labels: Tensor) -> Model:
        """The model of the strength that foresees the validation rows best, on the CPU."""
        history = rows.history[:, -self.longest :].long()
        items = torch.unique(history[history >= 0])
        bag = _matrix(history, items)
        strengths = self.strengths[:1] if valid is None else self.strengths
        fitted = _regressions(bag, rows.labels.numpy(), strengths, self.iterations)
        models = (_model(regression, rows.labels, items, labels) for regression in fitted)
        return next(models) if valid is None else min(models, key=lambda model: _loss(model, valid, self.longest))


def log_probabilities(model: Model, history: Tensor) -> Tensor:
    """Of all labels of the model's space, given what each history holds.  # [B, T] -> [B, C]"""
    logits = model["bias"] + _summed(model, history)
    met = torch.isfinite(model["bias"])
    return torch.where(met, F.log_softmax(logits, 1), 0.0) + model["log_share"]


def _summed(model: Model, history: Tensor) -> Tensor:
    """Sums of the weights of each history's items; one bag after another, so that none depends on its company."""
    items, held = model["items"], distinct(history.long())
    place = torch.searchsorted(items, held).clamp(max=len(items) - 1)
    known = (held >= 0) & (items[place] == held)
    count = known.sum(1)
    return F.embedding_bag(place[known], model["weight"], count.cumsum(0) - count, mode="sum")


def _regressions(bag: Any, labels: Any, strengths: Sequence[float], iterations: int) -> Any:
    """A fitted regression for each strength, each beginning where the last one ended."""
    from sklearn.linear_model import LogisticRegression

    regression = LogisticRegression(max_iter=iterations, warm_start=True)
    for strength in strengths:
        yield regression.set_params(C=strength).fit(bag, labels)


def _matrix(history: Tensor, items: Tensor) -> Any:
    """Which of the items each history holds, as a sparse matrix of 0 and 1.  # [B, T], [F] -> [B, F]"""
    from scipy.sparse import csr_array

    held = distinct(history)
    known = held >= 0
    column = torch.searchsorted(items, held[known]).numpy()
    row = np.concatenate([[0], known.sum(1).cumsum(0).numpy()])
    return csr_array((np.ones(len(column)), column, row), shape=(len(history), len(items)))


def _model(regression: Any, given: Tensor, items: Tensor, labels: Tensor) -> Model:
    """The regression over all labels of the space; those that it has not met have the bias minus infinity."""
    weight = torch.from_numpy(regression.coef_.copy())
    bias = torch.from_numpy(regression.intercept_.copy())
    if len(weight) == 1:  # of two classes it fits the difference
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    met = torch.isin(labels, torch.from_numpy(regression.classes_))
    every = torch.zeros(len(labels), weight.shape[1], dtype=torch.float64)
    every[met] = weight
    biases = torch.full((len(labels),), -torch.inf, dtype=torch.float64)
    biases[met] = bias
    new = 1 / (len(given) + len(labels))
    share = torch.full((len(labels),), new, dtype=torch.float64)
    share[met] = 1 - new * int((~met).sum())
    return {"items": items, "labels": labels, "weight": every.T.contiguous(), "bias": biases, "log_share": share.log()}


def _loss(model: Model, valid: Histories, longest: int) -> float:
    """Sum of -log p at the labels."""
    found = log_probabilities(model, valid.history[:, -longest:])
    column = torch.searchsorted(model["labels"], valid.labels).unsqueeze(1)
    return -float(found.gather(1, column).sum())
