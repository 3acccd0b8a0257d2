"""DFM and R-DFM (Fu et al., AAAI 2019): factors are the bottlenecks of two stacked denoising autoencoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from recretrain.backbones.optimizers import DenseAdam
from recretrain.backbones.two_domains import TwoDomains
from recretrain.data.batches import Columns
from recretrain.data.documents import first_tokens, joined_texts
from recretrain.data.interactions import Interactions, Ragged
from recretrain.data.stream import Period
from recretrain.methods.base import Fit
from recretrain.methods.objective import Objective
from recretrain.methods.parts.biases import shrunk
from recretrain.methods.parts.factorising import Factoriser, OneDomain, Tables
from recretrain.methods.parts.search import Setting
from recretrain.values import AtLeast1, Dropout, NotEmpty, NotNegative, Positive

_INIT_STD = 0.1
_CHUNK = 1024  # users or items computed together where nothing is learned


@dataclass(frozen=True, kw_only=True)
class Reviews:
    """What the autoencoders are told of reviews: each user's and each item's largest value of every word dimension."""

    weight: NotNegative  # beta, x the error of the vectors as decoded
    longest: AtLeast1  # words of a user or item, the first ones


@dataclass(frozen=True, kw_only=True)
class Steps:
    """How the autoencoders are trained."""

    learning_rate: Positive  # Adam
    weight_decay: NotNegative  # coupled, Adam's own
    batch_size: AtLeast1  # ratings
    epochs: AtLeast1


@dataclass(frozen=True, kw_only=True)
class Autoencoders(Factoriser):
    """One for users, whose rows of ratings it reads, and one for items: docs/methods/catn_baselines.md (e).

    Biases are counted, not trained; ratings are read, decoded and factorised as what they are above them.
    """

    warm: ClassVar[bool] = False

    ranks: Annotated[Sequence[AtLeast1], NotEmpty()]  # width of the bottleneck
    decoded: Annotated[Sequence[NotNegative], NotEmpty()]  # alpha, x the error of the ratings as decoded
    hidden: AtLeast1  # width of the layers before and behind the bottleneck
    noise: Dropout  # share of the ratings that are not read
    shrinkage: NotNegative  # of biases: ratings at the mean beside one's own
    steps: Steps
    reviews: Reviews | None  # null: ratings alone (DFM)

    def grid(self) -> Mapping[str, Sequence[float]]:
        return {"rank": self.ranks, "decoded": self.decoded}

    def prepare(self, rows: Interactions, periods: Sequence[Period], backbone: TwoDomains) -> OneDomain:
        told = None if self.reviews is None else review_vectors(rows, periods, backbone, self.reviews.longest)
        return _Autoencoded(self, rows, backbone.sizes, told)


class _Autoencoded(OneDomain):
    """The rows of one domain, above their biases."""

    def __init__(
        self, given: Autoencoders, rows: Interactions, sizes: tuple[int, int], told: tuple[Tensor, Tensor] | None
    ) -> None:
        self.given = given
        self.rows = rows
        biases = shrunk(rows, sizes, item_shrinkage=given.shrinkage, user_shrinkage=given.shrinkage)
        self.mean, self.biases = biases.mean, biases
        expected = biases.mean + biases.item[rows.item] + biases.user[rows.user]
        self.above = (rows.other["rating"].double() - expected).float()
        nothing = (self.above.new_zeros(sizes[0], 0), self.above.new_zeros(sizes[1], 0))
        of_user, of_item = told or nothing
        self.user = Entries.of(rows.user, rows.item, self.above, sizes, of_user)
        self.item = Entries.of(rows.item, rows.user, self.above, sizes[::-1], of_item)

    def fit(self, setting: Setting, before: Tables, fit: Fit) -> Tables:
        steps, rank = self.given.steps, int(setting["rank"])
        coders = [Coder(of, self.given.hidden, rank, fit.generator) for of in (self.user, self.item)]
        net = nn.ModuleList(coders).to(fit.device)
        adam = DenseAdam(list(net.parameters()), learning_rate=steps.learning_rate, weight_decay=steps.weight_decay)
        loss = Factorising(coders[0], coders[1], adam, self.given, setting["decoded"], fit.generator)
        columns = [self.rows.user, self.rows.item, self.above]
        fit(loss, Columns(columns, batch_size=steps.batch_size, generator=fit.generator), epochs=steps.epochs)
        user, item = (coder.all_codes().double() for coder in coders)
        bias = self.biases
        return Tables(torch.cat([bias.user.unsqueeze(1), user], 1), torch.cat([bias.item.unsqueeze(1), item], 1))


@dataclass(frozen=True)
class Entries:
    """The ratings of each of some owners, and what reviews tell of him."""

    owned: Ragged  # ids of what was rated, a row for each of n owners
    value: Tensor  # [len(owned.values)], the ratings
    others: int  # how many there are to rate
    told: Tensor  # [n, d]

    @classmethod
    def of(cls, owner: Tensor, other: Tensor, value: Tensor, sizes: tuple[int, int], told: Tensor) -> Entries:
        order = torch.argsort(owner, stable=True)
        count = torch.bincount(owner, minlength=sizes[0])
        offsets = torch.cat([count.new_zeros(1), count.cumsum(0)])
        return cls(Ragged(offsets, other[order]), value[order], sizes[1], told)

    def at(self, ids: Tensor) -> tuple[Ragged, Tensor]:
        """The ids that these owners have rated, and the ratings.  # [U] -> [U] rows, [values]"""
        places = Ragged(self.owned.offsets, torch.arange(len(self.value), device=ids.device)).at(ids)
        return Ragged(places.offsets, self.owned.values[places.values]), self.value[places.values]


class Coded(nn.Module):
    """A layer of an autoencoder; what reviews tell goes into every one."""

    def __init__(self, inputs: int, outputs: int, told: int, generator: torch.Generator) -> None:
        super().__init__()
        bound = max(1, inputs + told) ** -0.5
        shape = (outputs, inputs + told)
        drawn = torch.rand(shape, generator=generator, device=generator.device)
        self.weight = nn.Parameter((2 * drawn - 1) * bound)
        self.bias = nn.Parameter(torch.zeros(outputs, device=generator.device))

    def forward(self, inputs: Tensor, told: Tensor) -> Tensor:
        return F.linear(torch.cat([inputs, told], 1), self.weight, self.bias)


class Coder(nn.Module):
    """rating row -> hidden, tanh -> code -> hidden, tanh -> rating row; only what was rated is read and decoded."""

    def __init__(self, entries: Entries, hidden: int, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.entries = entries
        self.hidden = hidden
        told = entries.told.shape[1]
        self.read, self.written = (
            nn.Parameter(_INIT_STD * torch.randn(entries.others, hidden, generator=generator, device=generator.device))
            for _ in range(2)
        )
        self.into = Coded(hidden, hidden, told, generator)
        self.code = Coded(hidden, rank, told, generator)
        self.back = Coded(rank, hidden, told, generator)
        self.told = Coded(rank, told, 0, generator)

    def encode(self, ids: Tensor, kept: Tensor, rated: Ragged, value: Tensor) -> Tensor:
        """Codes of owners from the ratings that are `kept`, each weighted by 1 / sqrt(number).  # [U] -> [U, k]"""
        weight = value * kept / torch.diff(rated.offsets).clamp(min=1).sqrt()[rated.row_of_value()]
        inputs = F.embedding_bag(
            rated.values, self.read, rated.offsets[:-1], mode="sum", per_sample_weights=weight.to(self.read)
        )
        told = self.entries.told[ids]
        return torch.as_tensor(self.code(torch.tanh(self.into(torch.tanh(inputs), told)), told))

    def errors(self, ids: Tensor, code: Tensor, rated: Ragged, value: Tensor) -> tuple[Tensor, Tensor]:
        """Mean squared errors of the ratings and of what reviews tell, as decoded.  # -> [], []"""
        told = self.entries.told[ids]
        hidden = torch.tanh(self.back(code, told))[rated.row_of_value()]
        decoded = (hidden * self.written[rated.values]).sum(1)
        of_told = F.mse_loss(self.told(code, told[:, :0]), told) if told.shape[1] else code.new_zeros(())
        return F.mse_loss(decoded, value), of_told

    @torch.no_grad()
    def all_codes(self) -> Tensor:
        """The codes of all owners who have ratings, zeros for others.  # [n, k]"""
        count = torch.diff(self.entries.owned.offsets)
        codes = torch.zeros(len(count), self.code.bias.shape[0], device=count.device)
        for ids in torch.split(torch.nonzero(count).squeeze(1), _CHUNK):
            rated, value = self.entries.at(ids)
            codes[ids] = self.encode(ids, torch.ones_like(value), rated, value)
        return codes


class Factorising(Objective[tuple[Tensor, Tensor, Tensor]]):
    """(rating - p . q)^2 + alpha x error of the ratings as decoded + beta x error of what reviews tell."""

    def __init__(
        self,
        user: Coder,
        item: Coder,
        optimizer: Optimizer,
        given: Autoencoders,
        alpha: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__(optimizer)
        self.user = user
        self.item = item
        self._noise = given.noise
        self._alpha = alpha
        self._beta = 0.0 if given.reviews is None else given.reviews.weight
        self._generator = generator

    def loss(self, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        *ids, value = batch
        codes, total = [], value.new_zeros(())
        for coder, of_row in zip((self.user, self.item), ids, strict=True):
            owners, place = torch.unique(of_row, return_inverse=True)
            rated, rating = coder.entries.at(owners)
            kept = torch.rand(len(rating), generator=self._generator, device=rating.device) >= self._noise
            code = coder.encode(owners, kept, rated, rating)
            decoded, told = coder.errors(owners, code, rated, rating)
            total = total + self._alpha * decoded + self._beta * told
            codes.append(code[place])
        return F.mse_loss((codes[0] * codes[1]).sum(1), value) + total


def review_vectors(
    rows: Interactions, periods: Sequence[Period], backbone: TwoDomains, longest: int
) -> tuple[Tensor, Tensor]:
    """The largest value of each dimension over a user's and an item's words, from the texts of these rows alone.

    # -> [n_users, d], [n_items, d]
    """
    texts = joined_texts([period.texts for period in periods])
    sizes = backbone.sizes
    learned = rows.user * sizes[1] + rows.item
    own = torch.isin(texts.rows.user * sizes[1] + texts.rows.item, learned.cpu())
    kept = torch.nonzero(own).squeeze(1)
    some, tokens = texts.rows.rows(kept), texts.tokens.at(kept)
    user, item = (
        pooled(first_tokens(tokens, owner, n, longest).to(rows.user.device), backbone.word_vectors)
        for owner, n in zip((some.user, some.item), sizes, strict=True)
    )
    return user, item


def pooled(words: Tensor, vectors: Tensor) -> Tensor:
    """The largest value of each dimension over the words of a row; zeros where it has none.  # [n, L] -> [n, d]"""
    found = vectors.new_zeros(len(words), vectors.shape[1])
    for rows in torch.split(torch.nonzero((words >= 0).any(1)).squeeze(1), _CHUNK // 4):
        some = words[rows]
        low = torch.where((some >= 0).unsqueeze(2), vectors[some.clamp(min=0)], -torch.inf)
        found[rows] = low.amax(1)
    return found
