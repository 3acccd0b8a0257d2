"""A backbone scores; it knows no loss, no optimiser and no period."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from recretrain.data.kinds import Questions, TestSet
from recretrain.errors import ConfigError


class Backbone(nn.Module, ABC):
    """A plain module over ids 0..n-1 of users and items. Its constructor takes `vocabulary: Vocabulary` and, by
    keyword, what conf/backbone gives.
    """

    answers: ClassVar[type[TestSet] | None] = None  # the kind of questions that it can score; None: any
    by_id: ClassVar[tuple[str, ...]] = ()  # tensors with a row for each user or each item; none: it cannot grow
    grows_apart: ClassVar[str | None] = (
        None  # why one that grew is not one that knew all ids from the start; None: it is
    )

    @abstractmethod
    def score(self, questions: Questions) -> Tensor:
        """Higher is better.  # [B, C], or [B, I] over `questions.catalogue`

        The returned tensor may be a reused buffer: read it before the next call.
        """

    @abstractmethod
    def draw(self, generator: torch.Generator | None) -> None:
        """Replace all weights by new ones, as at the start of a run; None: by torch's own generator."""

    def embeddings(self) -> Mapping[str, Tensor]:
        """The embeddings of whole kinds, `user` [n_users, d] and `item` [n_items, d], that an export writes beside
        their raw ids; none by default. Of items those that a score is made of.
        """
        return {}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take weights over; where they are of fewer users or items, the rows of later ones stay as they are drawn.

        Raises ConfigError where they are of fewer and the backbone cannot grow.
        """
        return super().load_state_dict(grown(self, state_dict, self.by_id), strict, assign)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device


def over_rows(earlier: Tensor, rows: Tensor) -> Tensor:
    """`earlier` with the last of `rows` behind it, where it has fewer; else itself.  # [M, ...], [N, ...]"""
    if earlier.dim() == 0 or earlier.shape[1:] != rows.shape[1:] or len(earlier) >= len(rows):
        return earlier
    return torch.cat([earlier, rows[len(earlier) :].to(earlier)])


def grown(module: nn.Module, state: Mapping[str, Any], by_id: Collection[str]) -> dict[str, Any]:
    """A state for the module as it is now: the tensors named in `by_id` get the rows that it has more.

    Raises ConfigError where the shape of a tensor differs otherwise.
    """
    own, taken = module.state_dict(), dict(state)
    for name, weight in state.items():
        if name not in own or not isinstance(weight, Tensor):
            continue
        if name in by_id:
            taken[name] = over_rows(weight, own[name])
        if taken[name].shape != own[name].shape:
            raise ConfigError(
                f"{type(module).__name__} cannot grow: {name} was learned as {tuple(weight.shape)}, and is "
                f"{tuple(own[name].shape)} with the data as they are now; begin anew in another paths.outputs"
            )
    return taken


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No gradients for its parameters inside; as before outside."""
    before = [p.requires_grad for p in module.parameters()]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, wanted in zip(module.parameters(), before, strict=True):
            parameter.requires_grad_(wanted)
