"""What is wrong with a user's data, in words that name the place and the cure."""

from __future__ import annotations


class DataError(ValueError):
    """Shown to the user as it is, without a traceback."""
