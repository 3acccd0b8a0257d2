"""CATN: aspects of what a user wrote in one domain meet aspects of what was written about an item of the other.

Zhao et al., SIGIR 2020; docs/methods/catn.md. Two flows: that of the source's items is fitted on the users' texts in
the target, and that of the target's items on their texts in the source, by which cold users are answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.aspects import AspectEncoder, AspectStyle, cut_normal_
from recretrain.backbones.base import Backbone
from recretrain.data.interactions import Ragged
from recretrain.data.kinds import Questions
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import Dropout

Flow: TypeAlias = Literal[0, 1]  # the domain of its items: 0, the source | 1, the target

SOURCE: Flow = 0
TARGET: Flow = 1
_SLOPE = 0.2  # of the leaky ReLU, TensorFlow's default (catn.md, c)
_STD, _CORRELATION_STD = 0.1, 0.3


class Texts(NamedTuple):
    """Documents of a batch, each once, and which of them is whose."""

    documents: Ragged  # D documents of words
    at: Tensor  # [B] into the documents


class Pairs(NamedTuple):
    """Users and items whose ratings are asked, with all that was written."""

    user: Tensor  # [B]
    item: Tensor  # [B]
    by_user: Texts  # of the other domain than the item's
    of_item: Texts
    auxiliary: Texts | None = None  # what others wrote that rated as the user did; None: nothing


class AspectNet(Backbone):
    """Two sets of encoders, queries of both domains, one matrix of correlation, a merge, and biases (catn.md, c)."""

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        style: AspectStyle,
        words: Literal["trainable", "frozen"],
        encoder_by: Literal["flow", "document", "none"],
        auxiliary: Literal["live", "released", "off"],
        merge: Literal["paper", "code"],
        interaction: Literal["weighted", "plain", "batch_mean"],
        dropout: Dropout,
    ) -> None:
        """`encoder_by`: whose domain says which set reads a document; `none`: there is one set alone. `auxiliary`:
        `released` has the merge, but no auxiliary document; `off` has neither. `interaction`: of pairs of aspects,
        `batch_mean` takes one mean of a whole batch.
        """
        super().__init__()
        self.style = style
        self.encoder_by = encoder_by
        self.auxiliary = auxiliary
        self.merge = merge
        self.interaction = interaction
        self.dropout = nn.Dropout(dropout)
        self._vectors = vocabulary.word_vectors
        size = style.aspect_size
        self.word: Tensor
        if words == "trainable":
            self.word = nn.Parameter(self._vectors.clone())
        else:
            self.register_buffer("word", self._vectors.clone(), persistent=False)
        sets = 1 if encoder_by == "none" else 2
        self.encoders = nn.ModuleList(
            AspectEncoder(style, self._vectors.shape[1], abstract=auxiliary != "off") for _ in range(sets)
        )
        self.query = nn.Parameter(torch.empty(2, style.aspects, size))  # of each domain
        self.correlation = nn.Parameter(torch.empty(size, size))
        self.merging = Merge(size, order=merge) if auxiliary != "off" else None
        self.item_space: Tensor
        self.register_buffer("item_space", vocabulary.item_space.clamp(max=1), persistent=False)
        self.user_bias = nn.Parameter(torch.empty(vocabulary.n_users))
        self.item_bias = nn.Parameter(torch.empty(vocabulary.n_items))
        self.draw(None)

    def draw(self, generator: torch.Generator | None) -> None:
        """Users' biases are random, as released, and items' 0, until a method says otherwise."""
        with torch.no_grad():
            if isinstance(self.word, nn.Parameter):
                self.word.copy_(self._vectors)
            for encoder in self.encoders:
                assert isinstance(encoder, AspectEncoder)
                encoder.draw(generator)
            cut_normal_(self.query, self.style.query_std, generator)
            cut_normal_(self.correlation, _CORRELATION_STD, generator)
            if self.merging is not None:
                self.merging.draw(generator)
            cut_normal_(self.user_bias, _STD, generator)
            self.item_bias.zero_()

    def score(self, questions: Questions) -> Tensor:
        """Ratings without a document, by biases alone; the documents are the method's."""
        assert questions.candidates is not None
        with torch.no_grad():
            return self._biases(questions.user.unsqueeze(1), questions.candidates)

    def rate(self, flow: Flow, pairs: Pairs) -> Tensor:
        """Predicted ratings, the documents read here.  # -> [B]"""
        by_user, of_item, others = self.read(flow, pairs)
        user = self.merged(self.dropout(by_user), None if others is None else self.dropout(others))
        meeting = self.interactions(flow, user, self.dropout(of_item))
        return meeting + self._biases(pairs.user, pairs.item)

    def read(self, flow: Flow, pairs: Pairs) -> tuple[Tensor, Tensor, Tensor | None]:
        """Aspects of each pair's documents: of the user, of the item, of the auxiliary ones.  # [B, M, k] each"""
        texts = [pairs.by_user, pairs.of_item]
        if pairs.auxiliary is not None and self.auxiliary == "live":
            texts.append(pairs.auxiliary)
        kinds = [(_other(flow), False), (flow, False), (_other(flow), True)]
        read = [_Reading(text.documents, *kind) for text, kind in zip(texts, kinds, strict=False)]
        found = [part[text.at] for part, text in zip(self._encoded(flow, read), texts, strict=True)]
        return found[0], found[1], found[2] if len(found) > 2 else None

    def user_vectors(self, flow: Flow, documents: Ragged, auxiliary: Ragged | None) -> Tensor:
        """Vectors of users towards items, the same for all items.  # D documents -> [D, M x k]"""
        read = [_Reading(documents, _other(flow), False)]
        if auxiliary is not None and self.auxiliary == "live":
            read.append(_Reading(auxiliary, _other(flow), True))
        own, *others = self._encoded(flow, read)
        return self._towards_items(flow, self.merged(own, others[0] if others else None)).flatten(1)

    def item_vectors(self, flow: Flow, documents: Ragged) -> Tensor:
        """Vectors of items.  # D documents -> [D, M x k]"""
        return self._encoded(flow, [_Reading(documents, flow, False)])[0].flatten(1)

    def rated(self, user: Tensor, item: Tensor, of_user: Tensor, of_item: Tensor) -> Tensor:
        """Ratings from vectors that are kept.  # [...], [...], [..., M x k], [..., M x k] -> [...]"""
        return (of_user * of_item).sum(-1) + self.user_bias[user] + self.item_bias[item]

    def merged(self, user: Tensor, auxiliary: Tensor | None) -> Tensor:
        """A user's aspects, enhanced by those of the auxiliary documents.  # [B, M, k]"""
        return user if self.merging is None else self.merging(user, auxiliary)

    def interactions(self, flow: Flow, user: Tensor, item: Tensor) -> Tensor:
        """The mean over all pairs of aspects of their correlation, x its global importance.  # [B, M, k] -> [B]"""
        found = (self._towards_items(flow, user) * item).sum((1, 2))
        return found.mean().expand(len(found)) if self.interaction == "batch_mean" else found

    def importance(self, flow: Flow) -> Tensor:
        """How much each pair of aspects, of a user and of an item, counts in general.  # -> [M, M]"""
        user, item = self.query[_other(flow)], self.query[flow]
        if self.interaction != "weighted":
            return torch.ones_like(user @ item.T)
        return F.leaky_relu(user @ self._between(flow) @ item.T, _SLOPE)

    def attention(self, flow: Flow, documents: Ragged, *, of_users: bool) -> Tensor:
        """Weights of the words of users' or of items' documents, by aspect.  # D documents -> [D, longest, M]"""
        read = _Reading(documents, _other(flow) if of_users else flow, False)
        query = self.query[read.domain].expand(len(documents), -1, -1)
        encoder = self.encoders[self._set_of(flow, read)]
        assert isinstance(encoder, AspectEncoder)
        return encoder.weights_of_words(self.word, documents, query)

    def correlations(self, flow: Flow, user: Tensor, item: Tensor) -> Tensor:
        """Of every pair of aspects.  # [B, M, k] -> [B, M, M]"""
        return user @ self._between(flow) @ item.mT

    def penalty(self) -> Tensor:
        """Half the squares of convolutions, gates, correlation and merge, biases among them (catn.md, d).  # -> []"""
        return 0.5 * torch.stack([weight.square().sum() for weight in self._penalised()]).sum()

    def _penalised(self) -> Iterator[Tensor]:
        yield from self.encoders.parameters()
        yield self.correlation
        if self.merging is not None:
            yield from self.merging.parameters()

    def _encoded(self, flow: Flow, read: Sequence[_Reading]) -> list[Tensor]:
        """Aspects of documents; those that one set reads are read together.  # -> [D, M, k] each"""
        found: list[Tensor] = [self.query] * len(read)
        sets = [self._set_of(flow, one) for one in read]
        for number in sorted(set(sets)):
            places = [place for place, own in enumerate(sets) if own == number]
            some = [read[place] for place in places]
            count = torch.tensor([len(one.documents) for one in some], device=self.query.device)
            domain, abstract = (
                torch.tensor(kind, device=count.device).repeat_interleave(count)
                for kind in ([one.domain for one in some], [one.abstract for one in some])
            )
            documents = ragged([one.documents for one in some])
            vectors = self.encoders[number](self.word, documents, self.query[domain], abstract)
            for place, part in zip(places, torch.split(vectors, count.tolist()), strict=True):
                found[place] = part
        return found

    def _set_of(self, flow: Flow, read: _Reading) -> int:
        """The number of the encoders that read these documents."""
        return {"flow": flow, "document": read.domain, "none": 0}[self.encoder_by]

    def _between(self, flow: Flow) -> Tensor:
        """The matrix from a user's aspect to an item's.  # -> [k, k]"""
        return self.correlation if flow == SOURCE else self.correlation.T

    def _towards_items(self, flow: Flow, user: Tensor) -> Tensor:
        """A user's aspects as the items' aspects meet them: sum_m S_mn (a_m W) / M^2.  # [B, M, k] -> [B, M, k]"""
        importance = self.importance(flow) / self.style.aspects**2
        return importance.T @ (user @ self._between(flow))

    def _biases(self, user: Tensor, item: Tensor) -> Tensor:
        return self.user_bias[user] + self.item_bias[item]


class Merge(nn.Module):
    """tanh(W2 [a, z * b] + c2), z = sigmoid(W1 [a - b, a * b] + c1): own aspects a, auxiliary b; catn.md (c)."""

    def __init__(self, size: int, *, order: Literal["paper", "code"]) -> None:
        """`order` of the halves; `code` has b - a and [z * b, a]: the same by other weights."""
        super().__init__()
        self._released = order == "code"
        self.gate = nn.Parameter(torch.empty(2 * size, size))
        self.gate_bias = nn.Parameter(torch.empty(size))
        self.out = nn.Parameter(torch.empty(2 * size, size))
        self.out_bias = nn.Parameter(torch.empty(size))

    def draw(self, generator: torch.Generator | None) -> None:
        for weight in (self.gate, self.out):
            cut_normal_(weight, _STD, generator)
        for bias in (self.gate_bias, self.out_bias):
            bias.fill_(_STD)

    def forward(self, own: Tensor, other: Tensor | None) -> Tensor:
        """`other`: None where all of it is zero, which the gate cannot change.  # [..., k] -> [..., k]"""
        first, second = self.out.chunk(2)
        if other is None:
            return torch.tanh(own @ (second if self._released else first) + self.out_bias)
        apart = other - own if self._released else own - other
        gated = other * torch.sigmoid(torch.cat([apart, other * own], -1) @ self.gate + self.gate_bias)
        halves = [gated, own] if self._released else [own, gated]
        return torch.tanh(torch.cat(halves, -1) @ self.out + self.out_bias)


class _Reading(NamedTuple):
    """Documents to be read."""

    documents: Ragged
    domain: Flow  # in which they were written
    abstract: bool  # auxiliary: they pass through the second convolution


def _other(flow: Flow) -> Flow:
    return TARGET if flow == SOURCE else SOURCE


def ragged(parts: Sequence[Ragged]) -> Ragged:
    """The rows of all parts, in order."""
    length = torch.cat([torch.diff(part.offsets) for part in parts])
    return Ragged(F.pad(length.cumsum(0), (1, 0)), torch.cat([part.values for part in parts]))
