"""CATN: a user's aspects, read from the reviews of one domain, meet those of the other domain's items.

Zhao et al., SIGIR 2020; docs/methods/catn.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from recretrain.backbones.catn import SOURCE, TARGET, AspectNet, Flow, Pairs, Texts
from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Ratings
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit, Note
from recretrain.methods.by_reviews import ByReviews, Kind
from recretrain.methods.cross_domain import Domains
from recretrain.methods.learners.two_flows import FlowRows, TwoFlows
from recretrain.methods.parts.biases import BiasTransfer, shrunk, transferred
from recretrain.methods.parts.reviews import Reviews
from recretrain.methods.parts.search import HeldOut, Search, settings
from recretrain.values import Part


@dataclass(frozen=True, kw_only=True)
class FirstBiases:
    """The biases that training begins with, and that who is not trained keeps (catn.md, T1, T7)."""

    user: Literal["released", "zero", "from_source"]  # released: random | from_source: the source's, scaled
    item: Literal["mean", "shrunk"]  # of its ratings; who has none is at the mean of the domain
    transfer: BiasTransfer

    def of(self, domains: Domains, held_out: HeldOut, sizes: tuple[int, int]) -> Search[FirstRatings]:
        """Those with the lowest error on held-out ratings. `sizes`: numbers of users and items."""
        search: Search[FirstRatings] = Search()
        grid = {
            "item_shrinkage": self.transfer.item_shrinkages if self.item == "shrunk" else [0.0],
            "user_shrinkage": self.transfer.user_shrinkages if self.user == "from_source" else [0.0],
        }
        for setting in settings(grid, held_out=len(held_out) > 0):
            target = transferred(domains, sizes, **setting)
            source = shrunk(domains.source, sizes, item_shrinkage=setting["item_shrinkage"], user_shrinkage=0.0)
            user = target.user if self.user == "from_source" else torch.zeros_like(target.user)
            made = FirstRatings(source.mean + source.item, target.mean + target.item, user)
            search.offer(setting, held_out.error(made.target[held_out.item] + user[held_out.user]), made)
        return search


class FirstRatings(NamedTuple):
    """Ratings by biases alone."""

    source: Tensor  # [n_items] means and biases, if the item were of the source
    target: Tensor  # [n_items] the same, if it were of the target
    user: Tensor  # [n_users]


class Attended(NamedTuple):
    """The words of a document, and what each of them gets from each aspect."""

    words: Tensor  # [L] numbers of words
    weights: Tensor  # [L, M]


class Explained(NamedTuple):
    """A rating: biases, and what every pair of an aspect of the user and one of the item adds."""

    rating: float
    biases: float
    parts: Tensor  # [M, M]
    by_user: Attended
    of_item: Attended


class CATN(ByReviews[AspectNet]):
    """Two flows on the common users' ratings.

    docs/methods/catn.md.
    """

    kept = ("met_user", "met_item")

    def __init__(
        self,
        *,
        backbone: AspectNet,
        reads: Literal["new", "all", "first"],
        start: Literal["warm", "cold"],
        validation: Part,
        learner: TwoFlows,
        biases: FirstBiases,
        own_review: Literal["kept", "masked"],
        user_documents: Literal["own", "shuffled"],
    ) -> None:
        """`own_review`: of the rating that is learned, in the document of its item (catn.md, T5). `user_documents`:
        `shuffled` is a control, in which what users wrote cannot tell anything.
        """
        nothing_written = partial(
            Reviews,
            backbone.item_space,
            len(backbone.user_bias),
            longest=backbone.style.longest,
            auxiliary=backbone.auxiliary == "live",
            authors=own_review == "masked",
            shuffled=user_documents == "shuffled",
        )
        super().__init__(
            backbone=backbone, reads=reads, start=start, validation=validation, nothing_written=nothing_written
        )
        self.learner = learner
        self.biases = biases
        self.own_review = own_review
        self.met_user = torch.zeros_like(backbone.user_bias, dtype=torch.bool)  # [n_users] their bias was trained
        self.met_item = torch.zeros_like(backbone.item_bias, dtype=torch.bool)  # [n_items] theirs was learned
        self._clear_user_bias()

    def learn(self, domains: Domains, held_out: Ratings | None, task: Task, fit: Fit) -> None:
        asked = HeldOut(held_out, fit.device)
        self.read_but(asked, task, fit)
        first = self._begin(domains, asked)
        rows = {SOURCE: domains.of_common("source"), TARGET: domains.of_common("target")}
        self._meet(rows)
        flows = {flow: FlowRows(own.user, partial(self._asked, flow, own)) for flow, own in rows.items() if len(own)}
        if not flows:
            return
        measured = self.learner.fit(self.backbone, flows, fit, measure=partial(self.error, asked))
        curve = [Note("valid_mse", epoch, error) for epoch, error in enumerate(measured, start=1)]
        self._notes = [*(Note(name, 0, value) for name, value in first.setting.items()), *curve]

    def renew(self, fit: Fit) -> None:
        super().renew(fit)
        self.met_user.zero_()
        self.met_item.zero_()
        self._clear_user_bias()

    @torch.no_grad()
    def explained(self, user: int, item: int) -> Explained:
        """Whence the rating of an item of the target domain comes."""
        net, reviews = self.backbone, self.reviews
        device = net.user_bias.device
        one, other = (torch.tensor([number], device=device) for number in (user, item))
        pairs = self.pairs(TARGET, one, other, learning=False)
        by_user, of_item, others = net.read(TARGET, pairs)
        merged = net.merged(by_user, others)
        parts = net.importance(TARGET) * net.correlations(TARGET, merged, of_item)[0] / net.style.aspects**2
        documents = reviews.of_user(SOURCE).of(one), reviews.of_item.of(other)
        weights = [net.attention(TARGET, text, of_users=side == 0)[0] for side, text in enumerate(documents)]
        return Explained(
            rating=float(net.user_bias[user] + net.item_bias[item] + parts.sum()),
            biases=float(net.user_bias[user] + net.item_bias[item]),
            parts=parts.cpu(),
            by_user=Attended(documents[0].values.cpu(), weights[0][: len(documents[0].values)].cpu()),
            of_item=Attended(documents[1].values.cpu(), weights[1][: len(documents[1].values)].cpu()),
        )

    def pairs(self, flow: Flow, user: Tensor, item: Tensor, *, learning: bool) -> Pairs:
        """These users and items with their documents, each once.  # [B], [B]"""
        users, user_at = torch.unique(user, return_inverse=True)
        domain = TARGET if flow == SOURCE else SOURCE
        beside = self.reviews.auxiliary(domain)
        return Pairs(
            user,
            item,
            by_user=Texts(self.reviews.of_user(domain).of(users), user_at),
            of_item=self._of_items(user, item, own=not learning or self.own_review == "kept"),
            auxiliary=None if beside is None else Texts(beside.of(users), user_at),
        )

    def _of_items(self, user: Tensor, item: Tensor, *, own: bool) -> Texts:
        """The items' documents, with the user's own review or without."""
        if not own:
            return Texts(self.reviews.of_item.without(item, user), torch.arange(len(item), device=item.device))
        items, at = torch.unique(item, return_inverse=True)
        return Texts(self.reviews.of_item.of(items), at)

    def _asked(self, flow: Flow, rows: Interactions, places: Tensor) -> tuple[Pairs, Tensor]:
        some = rows.rows(places)
        return self.pairs(flow, some.user, some.item, learning=True), some.other["rating"]

    @torch.no_grad()
    def _clear_user_bias(self) -> None:
        if self.biases.user != "released":
            self.backbone.user_bias.zero_()

    @torch.no_grad()
    def _begin(self, domains: Domains, held_out: HeldOut) -> Search[FirstRatings]:
        """Give first biases to the users and items whose own were not trained yet."""
        net = self.backbone
        search = self.biases.of(domains, held_out, (len(net.user_bias), len(net.item_bias)))
        first = search.best
        item = torch.where(net.item_space == TARGET, first.target, first.source).float()
        net.item_bias.copy_(torch.where(self.met_item, net.item_bias, item))
        for rows in (domains.source, domains.target):
            self.met_item[rows.item] = True
        if self.biases.user == "from_source":
            known = torch.zeros_like(self.met_user).index_fill_(0, domains.source.user, True)
            net.user_bias.copy_(torch.where(known & ~self.met_user, first.user.float(), net.user_bias))
        return search

    def _meet(self, rows: Mapping[Flow, Interactions]) -> None:
        for own in rows.values():
            self.met_user[own.user] = True

    def vectors(self, kind: Kind, owners: Tensor) -> Tensor:
        """Vectors of the target's flow.  # [D] -> [D, M x k]"""
        net, reviews = self.backbone, self.reviews
        if kind == "item":
            return net.item_vectors(TARGET, reviews.of_item.of(owners))
        beside = reviews.auxiliary(SOURCE)
        others = None if beside is None else beside.of(owners)
        return net.user_vectors(TARGET, reviews.of_user(SOURCE).of(owners), others)

    def rated(self, user: Tensor, item: Tensor, of_user: Tensor, of_item: Tensor) -> Tensor:
        return self.backbone.rated(user, item, of_user, of_item)
