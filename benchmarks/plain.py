"""What one writes first: one sample, one negative, one question at a time. Only here to be compared with."""

from __future__ import annotations

import random
from collections import defaultdict

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from recretrain.data.stream import Interactions, Ragged
from recretrain.methods.objectives import log_loss


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


@torch.no_grad()
def hits_among_candidates(
    users: Tensor, items: Tensor, user: Tensor, label: Tensor, candidates: Tensor, k: int
) -> list[bool]:
    """Question by question: score the label and its candidates, take the k best, look for the label."""
    hits = []
    for question in range(len(user)):
        offered = torch.cat([label[question : question + 1], candidates[question]])
        best = torch.topk(items[offered] @ users[user[question]], k).indices
        hits.append(bool((best == 0).any()))
    return hits


@torch.no_grad()
def hits_in_catalogue(users: Tensor, items: Tensor, user: Tensor, label: Tensor, seen: Ragged, k: int) -> list[bool]:
    """Question by question: score every item, take out those seen, take the k best, look for the label."""
    hits = []
    for question in range(len(user)):
        scores = items @ users[user[question]]
        scores[seen.values[seen.offsets[question] : seen.offsets[question + 1]]] = -torch.inf
        best = torch.topk(scores, k).indices
        hits.append(bool((best == label[question]).any()))
    return hits
