"""What one writes first: one sample, one negative, one question at a time. Only here to be compared with."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from recretrain.backbones.content import ContentNet, Layers, decide
from recretrain.backbones.mf import MF
from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.trunk import Trunk
from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Histories, Rankings
from recretrain.methods.learners.labels import LabelNet
from recretrain.methods.learners.log_loss import log_loss
from recretrain.methods.learners.source import SoftmaxLoss

Features = Callable[[Tensor], Tensor]  # of histories: [B, T] -> [B, f]


class Rejection:
    """Negatives in Python: draw until the user has not had it."""

    def __init__(self, rows: Interactions) -> None:
        self._users = rows.user.tolist()
        self._pool = sorted(set(rows.item.tolist()))
        self._had = defaultdict(set)
        for user, item in zip(self._users, rows.item.tolist(), strict=True):
            self._had[user].add(item)

    def draw(self, user: int) -> int:
        while True:
            item = random.choice(self._pool)
            if item not in self._had[user]:
                return item

    def epoch(self) -> list[int]:
        return [self.draw(user) for user in self._users]


class Samples(Dataset[tuple[int, int, int]]):
    """(user, item, a negative), one row at a time."""

    def __init__(self, rows: Interactions) -> None:
        self._rows = list(zip(rows.user.tolist(), rows.item.tolist(), strict=True))
        self._negatives = Rejection(rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[int, int, int]:
        user, item = self._rows[index]
        return user, item, self._negatives.draw(user)


class Embeddings(nn.Module):
    def __init__(self, n_users: int, n_items: int, size: int) -> None:
        super().__init__()
        self.user = nn.Embedding(n_users, size)
        self.item = nn.Embedding(n_items, size)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        return (self.user(user) * self.item(item)).sum(-1)


def train_epoch(model: Embeddings, optimizer: torch.optim.Optimizer, rows: Interactions, batch_size: int) -> None:
    """A per-sample loader with default collation, and plain Adam over the whole tables."""
    for user, positive, negative in DataLoader(Samples(rows), batch_size=batch_size, shuffle=True):
        loss = log_loss(model(user, positive), model(user, negative))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


class Figures:
    """Recall and NDCG at every cut-off, summed question by question from its best places."""

    def __init__(self, ks: Sequence[int]) -> None:
        self._ks = ks
        self.sums: defaultdict[str, float] = defaultdict(float)

    def add(self, hits: Tensor) -> None:
        """`hits`: whether each of the best is the label.  # [max(ks)] bool"""
        for place in hits.nonzero().flatten().tolist():
            for k in self._ks:
                if place < k:
                    self.sums[f"recall@{k}"] += 1
                    self.sums[f"ndcg@{k}"] += 1 / math.log2(place + 2)


@torch.no_grad()
def rank_candidates(mf: MF, test: Rankings, ks: Sequence[int]) -> dict[str, float]:
    """Question by question: score the label and its candidates, take the best, look for the label."""
    assert test.candidates is not None
    figures = Figures(ks)
    for user, label, candidates in zip(test.user, test.labels, test.candidates[:], strict=True):
        offered = torch.cat([label.view(1), candidates])
        best = torch.topk(mf.item[offered] @ mf.user[user], max(ks)).indices
        figures.add(best == 0)
    return figures.sums


@torch.no_grad()
def rank_catalogue(mf: MF, test: Rankings, had: Mapping[int, list[int]], ks: Sequence[int]) -> dict[str, float]:
    """Question by question: score every item, leave out what the user had, take the best, look for the label."""
    figures = Figures(ks)
    for user, label in zip(test.user.tolist(), test.labels.tolist(), strict=True):
        scores = mf.item @ mf.user[user]
        scores[had[user]] = -torch.inf
        best = torch.topk(scores, max(ks)).indices
        figures.add(best == label)
    return figures.sums


SequenceLoss = Callable[[Tensor, Tensor, Tensor], Tensor]  # states [B, T, d], item table [I + 1, d], labels [B] -> []


def every_position(states: Tensor, table: Tensor, label: Tensor) -> Tensor:
    """Logits of all items at every position, though only the last one has a label."""
    wanted = torch.full(states.shape[:2], -100)
    wanted[:, -1] = label
    logits = states @ table[1:].T
    return nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten())


def last_position(states: Tensor, table: Tensor, label: Tensor) -> Tensor:
    return nn.functional.cross_entropy(states[:, -1] @ table[1:].T, label)


class PaddedTraining:
    """A transformer over whole padded rows, an embedding with dense gradients, plain Adam."""

    def __init__(self, items: int, size: int, longest: int, loss: SequenceLoss) -> None:
        self._table = nn.Embedding(items + 1, size, padding_idx=0)
        self._position = nn.Parameter(torch.zeros(longest, size))
        layer = nn.TransformerEncoderLayer(size, 1, size, dropout=0.3, batch_first=True, norm_first=True)
        self._encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self._later = nn.Transformer.generate_square_subsequent_mask(longest)
        self._loss = loss
        weights = [*self._table.parameters(), self._position, *self._encoder.parameters()]
        self._adam = torch.optim.Adam(weights, lr=5e-4)

    def step(self, history: Tensor, label: Tensor) -> None:
        """`history`: -1 before the first item.  # [B, longest], [B]"""
        states = self._encoder(self._table(history + 1) + self._position, mask=self._later, is_causal=True)
        self._adam.zero_grad()
        self._loss(states, self._table.weight, label).backward()
        self._adam.step()


@torch.no_grad()
def rank_by_sorting(model: SequenceBackbone, history: Tensor, label: Tensor) -> list[int]:
    """Row by row: score every item, sort, look for the label."""
    ranks = []
    for row, wanted in zip(history, label, strict=True):
        scores = model.output @ model.encode(row.unsqueeze(0))[0]
        ranks.append(int((torch.argsort(scores, descending=True) == wanted).nonzero()))
    return ranks


class WholeSoftmax(SoftmaxLoss):
    """All scores of all items at once."""

    def __call__(self, features: Tensor, trunk: Trunk, label: Tensor, generator: torch.Generator) -> Tensor:
        return nn.functional.cross_entropy(features @ trunk.output.T, label)


@torch.no_grad()
def rank_labels(net: LabelNet, features: Features, test: Histories, rows: int) -> list[tuple[int, int]]:
    """Row by row: ranks among the candidates and among all labels; the label stands last, and so loses ties."""
    assert test.candidates is not None
    assert test.catalogue is not None
    ranks = []
    for history, candidates, label in zip(test.history[:rows], test.candidates[:], test.labels, strict=False):
        vector = features(history.unsqueeze(0).long())
        others = test.catalogue[test.catalogue != label]
        ranks.append((_last(net, vector, candidates.long(), label), _last(net, vector, others, label)))
    return ranks


def _last(net: LabelNet, vector: Tensor, others: Tensor, label: Tensor) -> int:
    scores = net.scores(vector, torch.cat([others, label.view(1)]))[0]
    return int((torch.argsort(scores, descending=True, stable=True) == len(others)).nonzero())


class MetaTraining:
    """MeLU with autograd, a user at a time, first order, on gathered features."""

    def __init__(self, net: ContentNet, *, steps: int, local_learning_rate: float) -> None:
        self._net = net
        self._steps = steps
        self._rate = local_learning_rate
        self._adam = torch.optim.Adam(net.parameters(), lr=5e-5)

    def step(self, users: Tensor, items: Tensor, ratings: Tensor, asked: Tensor, rated: Tensor) -> None:
        """[B], [B, S] with -1 after the last, [B, S], [B, n], [B, n]"""
        losses = []
        for user, item, rating, query, answer in zip(users, items, ratings, asked, rated, strict=True):
            there = item >= 0
            losses.append(self._query_loss(user.view(1), item[there], rating[there], query, answer))
        self._adam.zero_grad()
        torch.stack(losses).mean().backward()
        self._adam.step()

    def _query_loss(self, user: Tensor, item: Tensor, rating: Tensor, query: Tensor, answer: Tensor) -> Tensor:
        layers = self._net.decision_layers()
        fast = [weight for layer in layers for weight in layer]
        for _ in range(self._steps):
            predicted = decide(self._net.inputs(user, item.unsqueeze(0)), _paired(fast))[0]
            gradients = torch.autograd.grad(nn.functional.mse_loss(predicted, rating), fast)
            fast = [weight - self._rate * gradient for weight, gradient in zip(fast, gradients, strict=True)]
        predicted = decide(self._net.inputs(user, query.unsqueeze(0)), _paired(fast))[0]
        return nn.functional.mse_loss(predicted, answer)


def _paired(flat: Sequence[Tensor]) -> Layers:
    return list(zip(flat[::2], flat[1::2], strict=True))
