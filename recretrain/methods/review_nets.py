"""Review networks on two domains: what a user wrote in the source, against what was written about a target's item."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from recretrain.backbones.optimizers import DenseAdam
from recretrain.backbones.review_net import ReviewNet
from recretrain.data.batches import Columns
from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Ratings
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit, Note
from recretrain.methods.by_reviews import ByReviews, Kind
from recretrain.methods.cross_domain import Domains
from recretrain.methods.learners.next_item import training
from recretrain.methods.learners.two_flows import StepStopping
from recretrain.methods.objective import Objective
from recretrain.methods.parts.biases import BiasTransfer, Transferred
from recretrain.methods.parts.reviews import SOURCE, Reviews
from recretrain.methods.parts.search import HeldOut, Search
from recretrain.values import AtLeast1, NotNegative, Part, Positive

Rated = tuple[Tensor, Tensor, Tensor]  # user, item, rating: [B] each


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
        found = stop(
            net, adam, epoch=partial(epochs, 1), measure=lambda: -measure(), note=lambda value: fit.measured(-value)
        )
        return [-value for value in found]


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


class ReviewNets(ByReviews[ReviewNet]):
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
        nothing_written = partial(
            Reviews,
            backbone.item_space,
            len(backbone.user_bias),
            longest=backbone.longest,
            auxiliary=False,
            authors=False,
        )
        super().__init__(
            backbone=backbone, reads=reads, start=start, validation=validation, nothing_written=nothing_written
        )
        self.learner = learner
        self.user_bias = user_bias
        self.biases = biases
        self.met = torch.zeros_like(backbone.item_bias, dtype=torch.bool)  # [n_items] their bias was learned

    def learn(self, domains: Domains, held_out: Ratings | None, task: Task, fit: Fit) -> None:
        asked = HeldOut(held_out, fit.device)
        self.read_but(asked, task, fit)
        first = self._begin(domains, held_out)
        rows = domains.of_common("target")
        if not len(rows):
            return
        measure = partial(self.error, asked) if len(asked) else None
        errors = self.learner.fit(self.backbone, rows, self.reviews, fit, measure=measure)
        curve = [Note("valid_mse", epoch, error) for epoch, error in enumerate(errors, start=1)]
        self._notes = [*(note._replace(name=f"first_{note.name}") for note in first.notes()), *curve]

    def renew(self, fit: Fit) -> None:
        super().renew(fit)
        self.met.zero_()

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

    def vectors(self, kind: Kind, owners: Tensor) -> Tensor:
        net, reviews = self.backbone, self.reviews
        if kind == "item":
            return net.item_vectors(reviews.of_item.of(owners))
        return net.user_vectors(reviews.of_user(SOURCE).of(owners))

    def rated(self, user: Tensor, item: Tensor, of_user: Tensor, of_item: Tensor) -> Tensor:
        net = self.backbone
        return net.biases(user, item) + net.meet(of_user.expand_as(of_item), of_item)
