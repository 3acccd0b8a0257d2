"""A mistake is something asked for that cannot be: its message names the culprit and the cure, and no traceback."""

from __future__ import annotations


class Mistake(ValueError):
    """Shown to the user as it is, without a traceback."""


class ConfigError(Mistake):
    """A value of the configuration that cannot work; the message names the key, the value and the cure."""


class DataError(Mistake):
    """Something in a user's data that cannot be used; the message names the place and the cure."""


class ReportError(Mistake):
    """A report that cannot be made of the runs there are."""
