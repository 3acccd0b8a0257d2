"""A prefix is what came before one item of a sequence; every prefix of a sequence is a question with its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recretrain.data.interactions import PAD, Interactions


@dataclass(frozen=True)
class Prefixes:
    """Entry n has the input `items[start[n]:stop[n]]` and the label `items[stop[n]]`; the input may be empty."""

    items: Tensor  # [M] int64, sequence after sequence, each in order of time
    start: Tensor  # [N] int64
    stop: Tensor  # [N] int64
    user: Tensor  # [N] int64, whose sequence it is

    def __len__(self) -> int:
        return len(self.stop)

    @property
    def labels(self) -> Tensor:
        return self.items[self.stop]

    @property
    def lengths(self) -> Tensor:
        return self.stop - self.start

    def at(self, index: Tensor) -> Prefixes:
        return Prefixes(self.items, self.start[index], self.stop[index], self.user[index])

    def with_input(self) -> Prefixes:
        """The entries whose input is not empty."""
        return self.at(torch.nonzero(self.lengths > 0).squeeze(1))

    def histories(self, longest: int) -> Tensor:
        """The last items of each input, the newest in the last column, `PAD` before the first.  # [N, <= longest]"""
        width = max(1, min(longest, int(self.lengths.max()) if len(self) else 1))
        if not len(self.items):  # of nobody is anything known
            return self.stop.new_full((len(self), width), PAD)
        position = self.stop.unsqueeze(1) - torch.arange(width, 0, -1, device=self.stop.device)
        inside = position >= self.start.unsqueeze(1)
        return torch.where(inside, self.items[position.clamp(min=0)], PAD)

    def inputs(self, longest: int) -> tuple[Tensor, Tensor]:
        """Histories and users, as a sequence backbone takes them.  # [N, <= longest], [N]"""
        return self.histories(longest), self.user

    def compact(self, longest: int) -> Prefixes:
        """The same entries, inputs cut to their last `longest` items, with no item stored that none of them needs."""
        length = self.lengths.clamp(max=longest) + 1  # with the label
        stop = length.cumsum(0) - 1
        start = stop + 1 - length
        entry = torch.repeat_interleave(length)
        source = (self.stop + 1 - length)[entry] + torch.arange(len(entry), device=entry.device) - start[entry]
        return Prefixes(self.items[source], start, stop, self.user)

    def to(self, device: torch.device | str) -> Prefixes:
        return Prefixes(self.items.to(device), self.start.to(device), self.stop.to(device), self.user.to(device))


def by_user(rows: Interactions) -> Interactions:
    """User after user, the rows of each in the order they have."""
    return rows.rows(torch.argsort(rows.user, stable=True))


def by_sequence(rows: Interactions) -> Interactions:
    """Sequence after sequence: those of a user's session where the rows have sessions, else all of a user's."""
    return rows.rows(order_of_sequences(rows))


def order_of_sequences(rows: Interactions) -> Tensor:
    """The positions of the rows, sequence after sequence.  # [N]"""
    return torch.argsort(_sequence(rows), stable=True)


def prefixes_of(rows: Interactions) -> Prefixes:
    """Every prefix of every sequence of items; a sequence of one item is one entry with an empty input.

    The positions of the result are those of `by_sequence(rows)`.
    """
    ordered = by_sequence(rows)
    _, length = torch.unique_consecutive(_sequence(ordered), return_counts=True)
    start = torch.repeat_interleave(length.cumsum(0) - length, length)
    position = torch.arange(len(start), device=start.device)
    kept = (position > start) | torch.repeat_interleave(length == 1, length)
    return Prefixes(ordered.item, start[kept], position[kept], ordered.user[kept])


def _sequence(rows: Interactions) -> Tensor:
    """A number of each row's sequence; a session is of one user, though two may call theirs the same.  # [N]"""
    session = rows.other.get("session")
    if session is None:
        return rows.user
    number: Tensor = torch.unique(torch.stack([rows.user, session.to(rows.user)], 1), dim=0, return_inverse=True)[1]
    return number


def joined(parts: Sequence[Prefixes]) -> Prefixes:
    """The entries of all parts, in order."""
    offset, start, stop = 0, [], []
    for part in parts:
        start.append(part.start + offset)
        stop.append(part.stop + offset)
        offset += len(part.items)
    user = torch.cat([part.user for part in parts])
    return Prefixes(torch.cat([part.items for part in parts]), torch.cat(start), torch.cat(stop), user)
