"""Ranges as types: `epochs: AtLeast1` says in the signature what `check` tells the user before anything is built."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, runtime_checkable


@runtime_checkable
class Constraint(Protocol):
    """A condition on values that have the right type already."""

    def holds(self, value: Any) -> bool: ...

    def __str__(self) -> str:
        """The values that are allowed, as they follow `must be`."""


@dataclass(frozen=True)
class Within:
    """From `low` to `high`; `inside` leaves out both ends."""

    low: float
    high: float = math.inf
    inside: bool = False

    def holds(self, value: Any) -> bool:
        if self.inside:
            return bool(self.low < value < self.high)
        return bool(self.low <= value <= self.high)

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"greater than {self.low:g}" if self.inside else f"at least {self.low:g}"
        return f"between {self.low:g} and {self.high:g}" + (", both excluded" if self.inside else "")


@dataclass(frozen=True)
class Matching:
    """Text of which the whole fits a regular expression."""

    pattern: str
    words: str

    def holds(self, value: Any) -> bool:
        return re.fullmatch(self.pattern, value) is not None

    def __str__(self) -> str:
        return self.words


@dataclass(frozen=True)
class NotEmpty:
    """A list with at least one entry."""

    def holds(self, value: Any) -> bool:
        return len(value) > 0

    def __str__(self) -> str:
        return "not empty"


Given = Annotated[str, NotEmpty()]
AtLeast0 = Annotated[int, Within(0)]
AtLeast1 = Annotated[int, Within(1)]
NotNegative = Annotated[float, Within(0)]
Positive = Annotated[float, Within(0, inside=True)]
Share = Annotated[float, Within(0, 1)]  # both ends allowed
Part = Annotated[float, Within(0, 1, inside=True)]  # of something that is to be divided: neither nothing nor all
Dropout = Annotated[float, Within(0, 0.999)]
Name = Annotated[
    str,
    Matching(
        r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}",
        "1 to 80 letters, digits, dots, dashes or underscores, and not begin with a dot",
    ),
]
Amount = Annotated[str, Matching(r"(?i)\d+(\.\d+)? ?[kmgt]i?b", "an amount of memory such as 500MB or 1GB")]
