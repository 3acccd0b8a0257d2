"""Aspects of a document: a convolution over its words, a gate for each aspect, attention over the words (catn.md, c).

A batch's distinct documents are read once, in chunks of nearly equal length, and the convolution is a sum of rows of a
table of the batch's distinct words, so that neither pads nor words are multiplied twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from recretrain.backbones.tables import take
from recretrain.data.interactions import PAD, Ragged
from recretrain.errors import ConfigError
from recretrain.values import AtLeast1, Positive

_STD = 0.1  # of most weights, cut at two deviations; biases that are not drawn begin with it too (catn.md, c)
_CHUNK = {"cpu": 4096}  # words whose gates are held at once, so that they stay in the cache; elsewhere: the next line
_LARGE_CHUNK = 1 << 18
_KEPT_CHUNKS = 12  # of more, none keeps its gates for the gradient: 3 kB a word


@dataclass(frozen=True, kw_only=True)
class AspectStyle:
    """How documents become aspect vectors."""

    longest: AtLeast1  # words of a document
    window: AtLeast1  # words that a convolution sees
    filters: AtLeast1
    aspects: AtLeast1
    aspect_size: AtLeast1
    attention: Literal["learned", "uniform"]  # over words; uniform: every place of `longest` counts the same
    pad_softmax: Literal["released", "masked"]  # released: places without a word have logit 0 | masked: no weight
    query_std: Positive

    def __post_init__(self) -> None:
        if self.window % 2 == 0:
            raise ConfigError(f"backbone.style.window={self.window} has no middle word; give an odd number")


class AspectEncoder(nn.Module):
    """One set of convolutions and gates; queries and word vectors are given."""

    def __init__(self, style: AspectStyle, word_size: int, *, abstract: bool) -> None:
        """`abstract`: with the second convolution, which auxiliary documents pass through."""
        super().__init__()
        self.style = style
        width = 2 * style.aspects * style.aspect_size
        self.convolution = nn.Parameter(torch.empty(style.window, word_size, style.filters))
        self.convolution_bias = nn.Parameter(torch.empty(style.filters))
        self.abstraction: nn.Parameter | None = None
        self.abstraction_bias: nn.Parameter | None = None
        if abstract:
            self.abstraction = nn.Parameter(torch.empty(style.window, style.filters, style.filters))
            self.abstraction_bias = nn.Parameter(torch.empty(style.filters))
        self.gates = nn.Parameter(torch.empty(width, style.filters))  # projections of all aspects, then their gates
        self.gates_bias = nn.Parameter(torch.empty(width))

    def draw(self, generator: torch.Generator | None) -> None:
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if name.endswith("bias"):
                    weight.fill_(_STD)
                else:
                    cut_normal_(weight, _STD, generator)
            cut_normal_(self.gates_bias[: len(self.gates_bias) // 2], _STD, generator)

    def forward(self, word: Tensor, documents: Ragged, query: Tensor, abstract: Tensor | None = None) -> Tensor:
        """Aspect vectors of documents, each by its own queries; zeros of one without words.

        `abstract`: [D] bool, the documents that pass through the second convolution.
        # [V, d], D documents of ids, [D, M, k] -> [D, M, k]
        """
        layout = _Layout.of(documents, abstract, self.style)
        states = layout.split(self._convolved(word, layout.ids))
        own = torch.split(query[layout.order], [chunk.documents for chunk in layout.chunks])
        again = torch.is_grad_enabled() and len(layout.chunks) > _KEPT_CHUNKS
        parts = [self._pooled(again, *given) for given in zip(states, layout.known(), own, layout.chunks, strict=True)]
        found: Tensor = torch.cat(parts)[torch.argsort(layout.order)]
        return found

    def weights_of_words(self, word: Tensor, documents: Ragged, query: Tensor) -> Tensor:
        """The attention that each word gets from each aspect; 0 beyond a document's words.  # -> [D, longest, M]"""
        layout = _Layout.of(documents, None, self.style)
        states = layout.split(self._convolved(word, layout.ids))
        order = torch.split(layout.order, [chunk.documents for chunk in layout.chunks])
        found = query.new_zeros(len(documents), self.style.longest, self.style.aspects)
        for own, given, known, chunk in zip(order, states, layout.known(), layout.chunks, strict=True):
            found[own, : chunk.longest] = self._attended(given, known, query[own], chunk)[1]
        return found

    def _convolved(self, word: Tensor, ids: Tensor) -> Tensor:
        """ReLU of the first convolution at every place of a flat text.  # [P] ids, PAD between documents -> [P, n]"""
        style = self.style
        half = style.window // 2
        used, local = _distinct(ids, len(word))
        weight = self.convolution.transpose(0, 1).reshape(word.shape[1], -1)
        table = F.pad(take(word, used) @ weight, (0, 0, 0, 1))  # the last row is that of a pad
        rows = table.view(-1, style.filters)  # of word v at place o of the window: v x window + o
        local = F.pad(local, (half, half), value=len(used)) * style.window
        total: Tensor = self.convolution_bias
        for place in range(style.window):
            total = total + rows.index_select(0, local[place : place + len(ids)] + place)
        return torch.relu(total)

    def _pooled(self, again: bool, *given: Any) -> Tensor:
        """Aspect vectors of a chunk; `again`: its gates are computed once more for the gradient.  # -> [C, M, k]"""
        if not again:
            return self._attended(*given)[0]
        found: Tensor = checkpoint(self._attended, *given, use_reentrant=False, preserve_rng_state=False)[0]
        return found

    def _attended(self, states: Tensor, known: Tensor, query: Tensor, chunk: _Chunk) -> tuple[Tensor, Tensor]:
        """Aspect vectors and the weights of words.  # [C, >= L, n], [C, L], [C, M, k] -> [C, M, k], [C, L, M]"""
        style = self.style
        states = self._abstracted(states, chunk) if chunk.abstract else states[:, : chunk.longest]
        gated = F.glu(F.linear(states, self.gates, self.gates_bias), dim=-1)
        gated = gated.view(*gated.shape[:2], style.aspects, style.aspect_size)
        weights = self._weights(gated, known, query)
        return (weights.unsqueeze(3) * gated).sum(1), weights

    def _weights(self, gated: Tensor, known: Tensor, query: Tensor) -> Tensor:
        """The share of each word; what places without a word take is lost.  # [C, L, M, k] -> [C, L, M]"""
        style, unknown = self.style, ~known.unsqueeze(2)
        if style.attention == "uniform":
            return known.to(gated.dtype).unsqueeze(2).expand(gated.shape[:3]) / style.longest
        logits = (gated * query.unsqueeze(1)).sum(3)
        if style.pad_softmax == "released":
            beyond = style.longest - known.shape[1]
            rest = math.log(beyond) if beyond else -math.inf  # as many pads of logit 0
            logits = F.pad(logits.masked_fill(unknown, 0.0), (0, 0, 0, 1), value=rest)
        else:
            empty = torch.where(known.any(1), -math.inf, 0.0).view(-1, 1, 1)
            logits = torch.cat([logits.masked_fill(unknown, -math.inf), empty.expand(-1, 1, logits.shape[2])], 1)
        return torch.softmax(logits, 1)[:, :-1].masked_fill(unknown, 0.0)

    def _abstracted(self, states: Tensor, chunk: _Chunk) -> Tensor:
        """The second convolution; it sees what the first one makes of the pads behind the words.  # [C, W, n]"""
        assert self.abstraction is not None
        assert self.abstraction_bias is not None
        half, length = self.style.window // 2, chunk.longest
        seen = states[:, : min(length + half, self.style.longest)]
        seen = F.pad(seen, (0, 0, half, length + half - seen.shape[1]))
        total: Tensor = self.abstraction_bias
        for place in range(self.style.window):
            total = total + seen[:, place : place + length] @ self.abstraction[place]
        return torch.relu(total)


class _Chunk(NamedTuple):
    """Some neighbouring documents of a layout, as a matrix with pads behind each."""

    documents: int
    width: int
    longest: int  # words
    abstract: bool


class _Layout(NamedTuple):
    """Documents by length, one behind the other, in chunks of equal width with at least a window of pads between."""

    ids: Tensor  # [P], PAD between
    order: Tensor  # [D] the documents as they stand in the text
    chunks: list[_Chunk]

    @classmethod
    def of(cls, documents: Ragged, abstract: Tensor | None, style: AspectStyle) -> _Layout:
        length = torch.diff(documents.offsets)
        rank = length if abstract is None else length + abstract * (style.longest + 1)
        order = torch.argsort(rank, stable=True)
        at_most = _CHUNK.get(documents.values.device.type, _LARGE_CHUNK)
        chunks = _chunks(rank[order].tolist(), style, at_most)
        widths = [chunk.width for chunk in chunks for _ in range(chunk.documents)]
        width = torch.tensor(widths, dtype=torch.long, device=order.device)
        texts = documents.at(order)
        start = width.cumsum(0) - width
        at = (start - texts.offsets[:-1]).repeat_interleave(torch.diff(texts.offsets), output_size=len(texts.values))
        ids = torch.full((sum(chunk.documents * chunk.width for chunk in chunks),), PAD, device=order.device)
        ids[at + torch.arange(len(at), device=order.device)] = texts.values.long()
        return cls(ids, order, chunks)

    def split(self, flat: Tensor) -> list[Tensor]:
        """Cut a flat column into the chunks' matrices.  # [P, ...] -> [C, W, ...] each"""
        parts = torch.split(flat, [chunk.documents * chunk.width for chunk in self.chunks])
        return [
            part.view(chunk.documents, chunk.width, *flat.shape[1:])
            for part, chunk in zip(parts, self.chunks, strict=True)
        ]

    def known(self) -> list[Tensor]:
        """Whether there is a word at each place.  # [C, L] bool each"""
        parts = zip(self.split(self.ids), self.chunks, strict=True)
        return [ids[:, : chunk.longest] >= 0 for ids, chunk in parts]


def _chunks(ranks: list[int], style: AspectStyle, at_most: int) -> list[_Chunk]:
    """Neighbours of nearly equal length, so many words together. A rank is a length, + longest + 1 if abstract."""
    pads, own = 2 * (style.window // 2), style.longest + 1
    last, found = len(ranks), []
    while last:
        abstract = ranks[last - 1] >= own
        longest = ranks[last - 1] - abstract * own
        first = max(0, last - max(1, at_most // max(1, longest + pads)))
        while (ranks[first] >= own) != abstract:
            first += 1
        found.append(_Chunk(last - first, longest + pads, longest, abstract))
        last = first
    return found[::-1]


def _distinct(ids: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The ids that occur, ascending, and the place of each among them; that of PAD is their number.

    # [P] -> [V], [P]
    """
    used = torch.zeros(n + 1, dtype=torch.bool, device=ids.device)
    used[ids] = True  # PAD = -1 is the last place
    used[n] = False
    found = torch.nonzero(used).squeeze(1)
    place = used.cumsum(0) - 1
    place[n] = len(found)
    return found, place[ids]


def cut_normal_(weight: Tensor, std: float, generator: torch.Generator | None) -> None:
    """N(0, std) cut at two deviations, as TensorFlow draws."""
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std, generator=generator)
