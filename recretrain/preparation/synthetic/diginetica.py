"""Item views in the layout of DIGINETICA's train-item-views.csv, generated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recretrain.preparation.synthetic.sessions import DAY, SessionLog

FIRST_DAY = np.datetime64("2016-01-01")


@dataclass(frozen=True, kw_only=True)
class DigineticaViews(SessionLog):
    """Views of items, a session after the other in no order of time."""

    def write(self, folder: Path) -> list[Path]:
        """Write a date, and milliseconds since the session's first view, which together make the time."""
        rng = np.random.default_rng(self.seed)
        clicks = self.draw(rng)
        numbers = rng.permutation(clicks.session[-1] + 1)[clicks.session] + 1
        order = np.argsort(numbers, kind="stable")
        dates = np.datetime_as_string(FIRST_DAY + (clicks.began // DAY).astype("timedelta64[D]"))
        milliseconds = np.rint(clicks.since * 1000).astype(np.int64)
        columns = (column[order].tolist() for column in (numbers, clicks.item + 1, milliseconds, dates))
        file = folder / "train-item-views.csv"
        with file.open("w") as out:
            out.write("sessionId;userId;itemId;timeframe;eventdate\n")
            out.writelines(f"{s};NA;{item};{frame};{day}\n" for s, item, frame, day in zip(*columns, strict=True))
        return [file]
