"""Time zones by their names."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


class NamesZone:
    """Text that names a time zone."""

    def holds(self, value: Any) -> bool:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return False
        return True

    def __str__(self) -> str:
        return "the name of a time zone, such as Europe/Oslo or UTC"


TimeZone = Annotated[str, NamesZone()]
