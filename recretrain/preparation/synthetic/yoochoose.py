"""Clicks in the layout of YOOCHOOSE's yoochoose-clicks.dat, generated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recretrain.preparation.synthetic.sessions import SessionLog

START = np.datetime64("2014-04-01T03:00:00.000")


@dataclass(frozen=True, kw_only=True)
class YoochooseClicks(SessionLog):
    """Clicks on items, a session after the other."""

    def write(self, folder: Path) -> list[Path]:
        clicks = self.draw(np.random.default_rng(self.seed))
        milliseconds = np.rint((clicks.began + clicks.since) * 1000).astype("timedelta64[ms]")
        times = np.datetime_as_string(START + milliseconds)
        columns = (column.tolist() for column in (clicks.session + 1, times, clicks.item + 1))
        file = folder / "yoochoose-clicks.dat"
        with file.open("w") as out:
            out.writelines(f"{session},{at}Z,{item},0\n" for session, at, item in zip(*columns, strict=True))
        return [file]
