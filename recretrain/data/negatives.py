"""Negatives are drawn for all rows at once, and only the few that hit a known pair are drawn again."""

from __future__ import annotations

import torch
from torch import Tensor

from recretrain.errors import DataError, UserError

_SPARSITY = 32  # cells of the coarse table per known pair: about 3 % of the draws need the exact look-up


class KnownPairs:
    """The (user, item) pairs that must not serve as negatives; lives on the device of its rows."""

    def __init__(self, user: Tensor, item: Tensor, n_items: int) -> None:
        """`user`, `item`: [N], pairs may repeat; ids of items are below `n_items`."""
        self._n_items = n_items
        self._keys = torch.unique(user * n_items + item)  # ascending
        self._mask = (1 << max(10, (_SPARSITY * len(self._keys)).bit_length())) - 1
        self._coarse = torch.zeros(self._mask + 1, dtype=torch.bool, device=user.device)
        self._coarse[self._cell(self._keys)] = True

    def contains(self, user: Tensor, item: Tensor) -> Tensor:
        """Whether each pair is known.  # [N] bool"""
        keys = torch.add(item, user, alpha=self._n_items)
        hit = self._coarse.index_select(0, self._cell(keys))  # a fraction of the time of indexing
        maybe = torch.nonzero(hit).squeeze(1)
        doubtful = keys[maybe]
        place = torch.searchsorted(self._keys, doubtful).clamp_(max=len(self._keys) - 1)
        hit[maybe] = self._keys[place] == doubtful
        return hit

    def _cell(self, keys: Tensor) -> Tensor:
        return (keys * 0x9E3779B1).bitwise_right_shift_(7).bitwise_and_(self._mask)


class NegativeSampler:
    """Uniform draws from `pool`, never a known pair of the user it is drawn for."""

    def __init__(self, pool: Tensor, known: KnownPairs) -> None:
        """`pool`: [P] item ids to draw from."""
        if not len(pool):
            raise DataError("there are no items to draw negatives from; the period has no rows to learn from")
        self._pool = pool
        self._known = known
        self._rounds = 100  # a user who has had 90 % of the pool still fails less than once in 10,000 draws

    @classmethod
    def within(cls, user: Tensor, item: Tensor, n_items: int) -> NegativeSampler:
        """Draws from the distinct items of these rows, rejecting the pairs of these rows (sml.md, b)."""
        return cls(torch.unique(item), KnownPairs(user, item, n_items))

    def __call__(self, at: Tensor, user: Tensor, generator: torch.Generator) -> Tensor:
        """One negative for each user, wherever its row stands (see `batches.Negatives`).  # [N]"""
        return self.draw(user, generator)

    def draw(self, user: Tensor, generator: torch.Generator) -> Tensor:
        """One negative for each user.  # [N]"""
        negative = self._uniform(user, generator)
        wrong = torch.nonzero(self._known.contains(user, negative)).squeeze(1)
        for _ in range(self._rounds):
            if not len(wrong):
                return negative
            again = self._uniform(user[wrong], generator)
            negative[wrong] = again
            wrong = wrong[self._known.contains(user[wrong], again)]
        raise UserError(
            int(user[wrong[0]]),
            f"has nearly all of the {len(self._pool)} items of this training set, so no negative was found in "
            f"{self._rounds} draws; use larger periods, or drop such users (data.filters.k_core)",
        )

    def _uniform(self, user: Tensor, generator: torch.Generator) -> Tensor:
        index = torch.randint(len(self._pool), user.shape, generator=generator, device=user.device)
        return self._pool.index_select(0, index)
