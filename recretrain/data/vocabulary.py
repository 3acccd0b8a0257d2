"""A vocabulary is the users and items of a stream by number: all of the data that a backbone's constructor sees."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from recretrain.data.fields import Fields, read_fields
from recretrain.errors import DataError
from recretrain.sealed import reading

ONE_SPACE = ("items",)


class Vocabulary:
    """Ids 0..n-1 of users and of items, fixed for the stream; every item belongs to one space.

    A member that costs more than two numbers is a cached property over the folder: another one is one more property.
    """

    def __init__(
        self,
        *,
        n_users: int,
        n_items: int,
        spaces: tuple[str, ...] = ONE_SPACE,
        item_space: Tensor | None = None,
        n_words: int = 0,
        folder: Path | None = None,
    ) -> None:
        """`item_space`: index into `spaces` of every item, [n_items] int64; without it all are of the first one.
        `folder` holds the prepared data that the lazy members are read from.
        """
        self.n_users = n_users
        self.n_items = n_items
        self.spaces = spaces
        self.item_space = torch.zeros(n_items, dtype=torch.int64) if item_space is None else item_space
        self.n_words = n_words  # of texts; 0 where there are none
        self._folder = folder

    @classmethod
    def read(cls, folder: Path) -> Vocabulary:
        """The vocabulary of a prepared folder (layout: docs/contracts.md)."""
        with reading(folder / "stream.json") as file:
            card = json.loads(file.read_text())
        spaces = tuple(card.get("spaces", ONE_SPACE))
        item_space = _column(folder / "items.parquet", "space") if len(spaces) > 1 else None
        return cls(
            n_users=card["n_users"],
            n_items=card["n_items"],
            spaces=spaces,
            item_space=item_space,
            n_words=card.get("tokens", 0),
            folder=folder,
        )

    @classmethod
    def of(
        cls,
        *,
        n_users: int,
        n_items: int,
        fields: Fields | None = None,
        word_vectors: Tensor | None = None,
        spaces: tuple[str, ...] = ONE_SPACE,
        item_space: Tensor | None = None,
    ) -> Vocabulary:
        """A vocabulary without a folder, for tests and notebooks."""
        words = 0 if word_vectors is None else len(word_vectors)
        made = cls(n_users=n_users, n_items=n_items, spaces=spaces, item_space=item_space, n_words=words)
        if word_vectors is not None:
            made.word_vectors = word_vectors
        if fields is not None:
            made.fields = fields
        return made

    def items_of(self, space: int) -> Tensor:
        """Ids of the items of `spaces[space]`.  # [I] int64, ascending"""
        return torch.nonzero(self.item_space == space).squeeze(1)

    @cached_property
    def fields(self) -> Fields:
        """Facts about users and items beside their rows; without any where the source brings none."""
        return Fields(user=[], item=[]) if self._folder is None else read_fields(self._folder)

    @cached_property
    def word_vectors(self) -> Tensor:
        """Vectors of the words of texts, as the source made them.  # [n_words, d] float32

        Raises DataError where the data have none.
        """
        file = None if self._folder is None else self._folder / "word_vectors.npy"
        if file is None or not file.is_file():
            raise DataError("these data have no vectors of words; use data with reviews, such as data=amazon_pair")
        with reading(file):
            return torch.from_numpy(np.load(file))


def _column(path: Path, name: str) -> Tensor:
    with reading(path):
        return torch.from_numpy(pq.read_table(path, columns=[name]).column(name).to_numpy().astype("int64"))
