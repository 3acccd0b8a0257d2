"""A finished run in a notebook: what it would recommend, and its weights for other programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from recretrain.serving.export import export
from recretrain.serving.opened import Opened
from recretrain.serving.ranking import recommended
from recretrain.serving.wishes import Whom, Wish


class Run:
    """A finished run, opened from its folder with what it has learned."""

    def __init__(self, folder: str | Path, trust: Sequence[str] = ()) -> None:
        """`trust`: packages of one's own whose classes the run's settings may name.

        Raises ConfigError where the folder is no run's, no task of it is finished, or its settings name other classes.
        """
        self.folder = Path(folder)
        self._opened = Opened(self.folder, trust)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    def recommend(
        self,
        users: Whom | None = None,
        *,
        k: int = 20,
        candidates: Iterable[Any] | None = None,
        exclude_seen: bool = False,
        history: pd.DataFrame | None = None,
        support: pd.DataFrame | None = None,
        skip_unknown: bool = False,
    ) -> pd.DataFrame:
        """The best items of each user, a row each: user, rank (from 1), item, score; ids as the data spell them.

        `users`: raw ids, or "all"; or in their place `history` (columns session, item; the newest last) or `support`
        (user, item, rating) of those who are not in the data. `candidates`: raw ids of the items to choose from; all
        that were met by the last learned period by default. `exclude_seen`: without what the user had.
        `skip_unknown`: leave unknown ids out, which raise DataError otherwise. Raises ConfigError where the run's
        method cannot answer.
        """
        wish = Wish(
            users=users,
            history=history,
            support=support,
            k=k,
            candidates=candidates,
            exclude_seen=exclude_seen,
            skip_unknown=skip_unknown,
        )
        return pd.concat(self.recommended(wish), ignore_index=True)

    def recommended(self, wish: Wish) -> Iterator[pd.DataFrame]:
        """The same for some users after another, so that they need not be held together."""
        return recommended(self._opened, wish)

    def export(self, folder: str | Path) -> Path:
        """Write weights, ids with embeddings, configuration and a README into a new folder, and return it.

        Raises ConfigError where the folder holds something already.
        """
        return export(self._opened, Path(folder))
