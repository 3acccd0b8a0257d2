"""Raw ids, as the user's own files spell them, and the numbers that a run knows them by."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
import pyarrow.parquet as pq
import torch
from torch import Tensor

from recretrain.errors import DataError
from recretrain.sealed import reading

log = logging.getLogger("recretrain")

Kind = Literal["user", "item"]
_SOME = 3  # ids that a message shows


class Found(NamedTuple):
    """Those of some raw ids that are known: `numbers[i]` is that of the id at `places[i]` of what was asked."""

    numbers: Tensor  # [n] int64
    places: Sequence[int]


class Identities:
    """The users or the items of a run. Ids are compared as text: 7 in a parquet file is 7 in a text file."""

    def __init__(self, kind: Kind, folder: Path, known: Tensor) -> None:
        """`folder`: of the prepared data. `known`: whether the run may be asked about each of them, [n] bool."""
        self.kind = kind
        self.known = known
        with reading(folder / f"{kind}s.parquet") as file:
            self.keys: pd.Series[Any] = pq.read_table(file, columns=["key"]).column("key").to_pandas()

    def raw(self, numbers: Tensor) -> pd.Series[Any]:
        """The raw ids of these numbers, of the type that the data have."""
        return self.keys.iloc[numbers.cpu().numpy()].reset_index(drop=True)

    def found(self, wanted: Sequence[Any], *, skip_unknown: bool) -> Found:
        """The numbers of raw ids, in their order.

        Raises DataError for unknown ones, or with `skip_unknown` only where no id is known.
        """
        numbers = [self._number_of.get(str(key)) for key in wanted]
        places = [place for place, number in enumerate(numbers) if number is not None]
        if len(places) < len(wanted):
            self._tell(wanted, numbers, places, skip_unknown)
        if not places:
            raise DataError(f"no {self.kind} is asked for; give some raw ids")
        return Found(torch.tensor([numbers[place] for place in places]), places)

    def _tell(
        self, wanted: Sequence[Any], numbers: Sequence[int | None], places: Sequence[int], skip_unknown: bool
    ) -> None:
        unknown = list(dict.fromkeys(str(key) for key, number in zip(wanted, numbers, strict=True) if number is None))
        asked = len(set(map(str, wanted)))
        counted = f"{len(unknown):,} of the {asked:,} {self.kind}s asked for"
        if skip_unknown and places:
            log.warning("left out %s, which the run does not know; the first is %r", counted, unknown[0])
            return
        raise DataError(
            f"the run knows no {self.kind} {unknown[0]!r} ({counted} are unknown); it knows "
            f"{', '.join(map(repr, self._some()))}, ...: mend the list, or leave unknown ones out (skip_unknown, "
            "--skip-unknown)"
        )

    def _some(self) -> Iterator[str]:
        """The first raw ids that are known."""
        first = torch.nonzero(self.known).squeeze(1)[:_SOME]
        return (str(key) for key in self.raw(first))

    @cached_property
    def _number_of(self) -> dict[str, int]:
        numbers = torch.nonzero(self.known).squeeze(1)
        return dict(zip(map(str, self.raw(numbers)), numbers.tolist(), strict=True))


def distinct(ids: Iterable[Any]) -> list[Any]:
    """Raw ids, each once, in order of first appearance; two of one text are one."""
    first: dict[str, Any] = {}
    for key in ids:
        first.setdefault(str(key), key)
    return list(first.values())
