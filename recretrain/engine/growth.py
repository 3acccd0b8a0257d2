"""A run goes on with the data that it has learned from, or with those grown by later periods, and with no others."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recretrain.data.lineage import first_other
from recretrain.data.stream import Stream
from recretrain.errors import ConfigError
from recretrain.records import RunCard

log = logging.getLogger("recretrain")

_OVER_ALL = (  # filters by which later rows decide on earlier ones
    "min_user_interactions",
    "min_item_interactions",
    "min_session_clicks",
    "min_item_clicks",
    "k_core",
)
_MOVED = {  # cuts whose borders later rows move, and what to do
    "ByCount": "equal counts move with every new row: cut by the calendar or by rows, cut@data.cut=months or rows",
    "FromEnd": "it is counted back from the last row: cut by the calendar, such as cut@data.cut=weeks",
    "ByCalendar": "new rows fell into it: data.cut.open=drop leaves out the last one, which may not be over",
}


def check_same_data(folder: Path, before: Mapping[str, Any] | None, card: RunCard, stream: Stream) -> None:
    """Raise ConfigError unless the stream is what the run in `folder` has learned from, or that with later periods.

    `before` and `card`: run.json as it was left and as it will be.
    """
    if before is None or before["data_digest"] == card["data_digest"]:
        return
    earlier = before.get("lineage", [])
    other = first_other(earlier, card["lineage"])
    if earlier and other is None:
        log.info("the data have grown from %d periods to %d", len(earlier), len(stream))
        return
    why = f": {_what_differs(stream, other)}" if other is not None else ""
    raise ConfigError(
        f"{folder} holds results on other data ({before['data_source']} {before['data_digest']}, now "
        f"{card['data_source']} {card['data_digest']}){why}; begin anew in another paths.outputs, or delete that folder"
    )


def _what_differs(stream: Stream, period: int) -> str:
    """Which period of a stream is another one now, and what about its settings does not let it grow."""
    if period >= len(stream):
        return f"period {period} is gone"
    options = stream.card.get("options", {})
    whole = [f"data.filters.{key}={options[key]}" for key in _OVER_ALL if options.get(key)]
    why = f"{' and '.join(whole)} counts later rows too: set 0" if whole else _MOVED.get(_cut(options), "")
    return f"period {period} ({stream[period].name}) is another one now{' (' if why else ''}{why}{')' if why else ''}"


def _cut(options: Mapping[str, Any]) -> str:
    return str((options.get("cut") or {}).get("by"))
