"""Days of the calendar, and time zones by their names."""

from __future__ import annotations

from datetime import date
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


class NamesDay:
    """Text that is a date."""

    def holds(self, value: Any) -> bool:
        try:
            return bool(date.fromisoformat(value).isoformat() == value)
        except ValueError:
            return False

    def __str__(self) -> str:
        return "a date such as 2019-01-31"


Day = Annotated[str, NamesDay()]
TimeZone = Annotated[str, NamesZone()]
