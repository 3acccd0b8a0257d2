"""Least squares of many small problems at once: each user's or each item's own, by their normal equations."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_ROWS = 1 << 17  # rows, with what fills them up, that are worked on together


class Grouped:
    """Rows by their owner; one solution for each owner who has rows.

    Owners of like numbers of rows are filled up to one width, so that their normal equations are one product.
    """

    def __init__(self, owner: Tensor) -> None:
        """`owner`: of each row, [N] int64."""
        self.ids, count = torch.unique(owner, return_counts=True)  # [G] ascending
        self._order = torch.argsort(owner, stable=True)
        self._start = count.cumsum(0) - count
        self._count = count
        self._blocks = list(self._cut())

    def solve(
        self, features: Tensor, of: Tensor, target: Tensor, weight: Tensor, penalty: Tensor, prior: Tensor | None = None
    ) -> Tensor:
        """The x of each owner with the least sum of weight (target - x . features[of])^2, + penalty |x - prior|^2.

        # [M, f], [N], [N], [N], [G], [G, f] -> [G, f], in the order of `ids`
        """
        size = features.shape[1]
        found = features.new_empty(len(self.ids), size)
        eye = torch.eye(size, dtype=features.dtype, device=features.device)
        for groups, rows, known in self._blocks:
            x = features[of[rows]]  # [g, L, f]
            weighted = x * (weight[rows] * known).unsqueeze(2)
            ridge = penalty[groups].view(-1, 1, 1)
            left = weighted.mT @ x + ridge * eye
            right = weighted.mT @ target[rows].unsqueeze(2)
            if prior is not None:
                right = right + ridge * prior[groups].unsqueeze(2)
            solution: Tensor = torch.cholesky_solve(right, torch.linalg.cholesky(left))
            found[groups] = solution.squeeze(2)
        return found

    def _cut(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Places of owners [g], positions of their rows and whether there is one [g, L], the longest owners first."""
        by_count = torch.argsort(self._count, descending=True, stable=True)
        lengths = self._count[by_count].tolist()
        first = 0
        while first < len(lengths):
            width = lengths[first]
            last = min(len(lengths), first + max(1, _ROWS // width))
            while last - first > 1 and lengths[last - 1] * 2 < width:  # or most of it would be filling
                last = first + (last - first) // 2
            groups = by_count[first:last]
            place = torch.arange(width, device=groups.device)
            known = place < self._count[groups].unsqueeze(1)
            at = (self._start[groups].unsqueeze(1) + place).clamp(max=len(self._order) - 1)
            yield groups, self._order[at], known
            first = last
