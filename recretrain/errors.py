"""A mistake is something asked for that cannot be: its message names the culprit and the cure, and no traceback."""

from __future__ import annotations


class Mistake(ValueError):
    """Shown to the user as it is, without a traceback."""


class ConfigError(Mistake):
    """A value of the configuration that cannot work; the message names the key, the value and the cure."""


class Unfit(ConfigError):
    """Parts that do not go together, each of which may go with others: a sweep leaves such a run out."""


class DataError(Mistake):
    """Something in a user's data that cannot be used; the message names the place and the cure."""


class UserError(DataError):
    """About one user, by the id of the prepared data; what is shown names the user as the raw files do."""

    def __init__(self, user: int, words: str) -> None:
        super().__init__(f"user {user} {words}")
        self.user = user
        self._words = words

    def named(self, key: str) -> DataError:
        return DataError(f"user {key!r} {self._words}")


class ReportError(Mistake):
    """A report that cannot be made of the runs there are."""
