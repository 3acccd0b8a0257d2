"""Time zones by their names."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from recretrain.errors import DataError


def zone_named(name: str, key: str) -> ZoneInfo:
    """The zone that the configuration names at `key`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise DataError(f"{key} is {name!r}, which is no zone; Europe/Oslo or UTC would be") from error
