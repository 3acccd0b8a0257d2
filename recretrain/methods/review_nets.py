"""Review networks on two domains: what a user wrote in the source, against what was written about a target's item."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from recretrain.backbones.review_net import ReviewNet
from recretrain.backbones.tables import DenseAdam
from recretrain.data.batches import Columns
from recretrain.data.documents import Texts, joined_texts
from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Questions, Ratings
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit, Note
from recretrain.methods.cross_domain import CrossDomain, Domains
from recretrain.methods.learners.next_item import training
from recretrain.methods.learners.two_flows import StepStopping
from recretrain.methods.objective import Objective
from recretrain.methods.parts.biases import BiasTransfer, Transferred
from recretrain.methods.parts.reviews import SOURCE, Reviews
from recretrain.methods.parts.search import HeldOut, Search
from recretrain.values import AtLeast1, NotNegative, Part, Positive

Rated = tuple[Tensor, Tensor, Tensor]  # user, item, rating: [B] each

_TOGETHER = 256  # documents that are read at once where nothing is learned


class ReviewLearner:
    """Adam on ratings one by one, until the error of held-out ones no longer falls."""

    def __init__(
        self, *, learning_rate: Positive, l2: NotNegative, batch_size: AtLeast1, stopping: StepStopping
    ) -> None:
        """`l2`: x half the squares of what the network regularises; `batch_size`: ratings."""
        self.learning_rate = learning_rate
        self.l2 = l2
        self.batch_size = batch_size
        self.stopping = stopping

    def fit(
        self, net: ReviewNet, rows: Interactions, reviews: Reviews, fit: Fit, *, measure: Callable[[], float] | None
    ) -> list[float]:
        """Fit to the rows; returns the values of `measure`, by epoch. Without it, all of `epochs`."""
        adam = DenseAdam([p for p in net.parameters() if p.requires_grad], learning_rate=self.learning_rate)
        columns = [rows.user, rows.item, rows.other["rating"]]
        batches = Columns(columns, batch_size=self.batch_size, generator=fit.generator)
        loss = ReviewLoss(net, adam, reviews, self.l2)

        def epochs(count: int) -> None:
            with training(net):
                fit(loss, batches, epochs=count)

        if measure is None:
            epochs(self.stopping.epochs)
            return []
        stop = self.stopping.over(len(batches))
        return [-found for found in stop(net, adam, epoch=partial(epochs, 1), measure=lambda: -measure())]


class ReviewLoss(Objective[Rated]):
    """Mean squared error of ratings, each document of a batch read once, + l2 x the network's penalty."""

    def __init__(self, net: ReviewNet, optimizer: Optimizer, reviews: Reviews, l2: float) -> None:
        super().__init__(optimizer)
        self.net = net
        self._reviews = reviews
        self._l2 = l2

    def loss(self, batch: Rated) -> Tensor:
        user, item, rating = batch
        net, reviews = self.net, self._reviews
        users, of_user = torch.unique(user, return_inverse=True)
        items, of_item = torch.unique(item, return_inverse=True)
        by_user = net.user_vectors(reviews.of_user(SOURCE).of(users))[of_user]
        about = net.item_vectors(reviews.of_item.of(items))[of_item]
        predicted = net.biases(user, item) + net.meet(by_user, about)
        return F.mse_loss(predicted, rating) + self._l2 * net.penalty()


class ReviewNets(CrossDomain[ReviewNet]):
    """ANR and DeepCoNN: source documents of users, target documents of items, the common users' target rows.

    A user's bias is not trained, as that of a cold one could not be: it is 0, or mapped from the source.
    docs/methods/catn_baselines.md (f).
    """

    kept = ("met",)

    def __init__(
        self,
        *,
        backbone: ReviewNet,
        reads: Literal["new", "all", "first"],
        start: Literal["warm", "cold"],
        validation: Part,
        learner: ReviewLearner,
        user_bias: Literal["zero", "from_source"],
        biases: BiasTransfer,
    ) -> None:
        super().__init__(backbone=backbone, reads=reads, start=start, validation=validation)
        self.learner = learner
        self.user_bias = user_bias
        self.biases = biases
        self.reviews = self._nothing_written()
        self.met = torch.zeros_like(backbone.item_bias, dtype=torch.bool)  # [n_items] their bias was learned
        self._vectors: dict[str, tuple[Tensor, Tensor]] = {}  # by kind of owner: [n, v], and who has one: [n]
        self._unread: Texts | None = None
        self._notes: Sequence[Note] = ()

    def update(self, task: Task, fit: Fit) -> None:
        """Documents grow by the period's texts, whatever is learned of them."""
        self._notes, self._vectors, self._unread = (), {}, task.period.texts
        super().update(task, fit)
        self.reviews.add(self._unread, fit.generator)
        self._vectors, self._unread = {}, None

    def learn(self, domains: Domains, held_out: Ratings | None, task: Task, fit: Fit) -> None:
        asked = HeldOut(held_out, fit.device)
        self._read_but(asked, task, fit)
        first = self._begin(domains, held_out)
        rows = domains.of_common("target")
        if not len(rows):
            return
        measure = partial(self._error, asked) if len(asked) else None
        errors = self.learner.fit(self.backbone, rows, self.reviews, fit, measure=measure)
        curve = [Note("valid_mse", epoch, error) for epoch, error in enumerate(errors, start=1)]
        self._notes = [*(note._replace(name=f"first_{note.name}") for note in first.notes()), *curve]

    def renew(self, fit: Fit) -> None:
        super().renew(fit)
        self.met.zero_()

    @torch.no_grad()
    def score(self, questions: Questions) -> Tensor:
        assert questions.candidates is not None
        return self._rated(questions.user.unsqueeze(1), questions.candidates)

    def notes(self) -> Sequence[Note]:
        """How the first biases were chosen (`first_...`), and the error on held-out ratings after each epoch."""
        return self._notes

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._vectors = {}
        super().load_state_dict(state)

    @torch.no_grad()
    def _begin(self, domains: Domains, held_out: Ratings | None) -> Search[Transferred]:
        """Give first biases to items that have none yet, and to users if theirs are mapped."""
        net = self.backbone
        search = self.biases.fit(
            domains, held_out, (len(net.user_bias), len(net.item_bias)), mapped=self.user_bias == "from_source"
        )
        first = search.best
        if not bool(self.met.any()):
            net.mean.copy_(first.mean)
        item = first.item + first.mean - net.mean.double()
        net.item_bias.copy_(torch.where(self.met, net.item_bias, item.float()))
        self.met[domains.target.item] = True
        known = torch.zeros_like(net.user_bias, dtype=torch.bool).index_fill_(0, domains.source.user, True)
        net.user_bias.copy_(torch.where(known, first.user.float(), net.user_bias))
        return search

    def _read_but(self, held_out: HeldOut, task: Task, fit: Fit) -> None:
        """Read the texts, of all periods if all are learned; those of held-out ratings wait until it is done."""
        assert self._unread is not None
        written = self._unread
        if self.reads == "all" and task.past:
            self.reviews = self._nothing_written()
            written = joined_texts([*(period.texts for period in task.past), written])
        items = len(self.met)
        held = (held_out.user * items + held_out.item).to(written.rows.user.device)
        last = torch.isin(written.rows.user * items + written.rows.item, held)
        now, self._unread = (
            Texts(written.rows.rows(at), written.tokens.at(at))
            for at in (torch.nonzero(kind).squeeze(1) for kind in (~last, last))
        )
        self.reviews.add(now, fit.generator)

    def _nothing_written(self) -> Reviews:
        net = self.backbone
        return Reviews(net.item_space, len(net.user_bias), longest=net.longest, auxiliary=False, authors=False)

    def _error(self, held_out: HeldOut) -> float:
        self._vectors = {}
        with torch.no_grad():
            return held_out.error(self._rated(held_out.user, held_out.item))

    def _rated(self, user: Tensor, item: Tensor) -> Tensor:
        """Ratings from the documents.  # [B, 1], [B, n] -> [B, n]; [N], [N] -> [N]"""
        net = self.backbone
        of_user, of_item = self._kept("user", user), self._kept("item", item)
        return net.biases(user, item) + net.meet(of_user.expand_as(of_item), of_item)

    def _kept(self, kind: Literal["user", "item"], ids: Tensor) -> Tensor:
        """Vectors of users or items, each computed when it is first asked for.  # [...] -> [..., v]"""
        net = self.backbone
        documents = self.reviews.of_user(SOURCE) if kind == "user" else self.reviews.of_item
        read = net.user_vectors if kind == "user" else net.item_vectors
        if kind not in self._vectors:
            size = read(documents.of(ids.flatten()[:1])).shape[1]
            nothing = net.mean.new_zeros(len(documents), size)
            self._vectors[kind] = nothing, torch.zeros_like(nothing[:, 0], dtype=torch.bool)
        vectors, known = self._vectors[kind]
        missing = torch.unique(ids[~known[ids]])
        for some in torch.split(missing, _TOGETHER):
            vectors[some] = read(documents.of(some))
        known[missing] = True
        return vectors[ids]
