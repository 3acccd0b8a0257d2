"""The settings of a method that are worth a search, and where to look: `search:` in its file of conf/method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recretrain.errors import ConfigError

if TYPE_CHECKING:
    from optuna import Trial


@dataclass(frozen=True)
class Dimension:
    """One setting: some values, or the numbers between two."""

    key: str
    among: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False  # as likely between 1 and 10 as between 10 and 100

    def drawn(self, trial: Trial) -> str:
        """The override that a trial of Optuna draws."""
        if self.among:
            value = trial.suggest_categorical(self.key, self.among)
            return f"{self.key}={'true' if value is True else 'false' if value is False else value}"
        return f"{self.key}={trial.suggest_float(self.key, self.low, self.high, log=self.log):.3g}"


def space_of(method: str, node: Sequence[Mapping[str, Any]] | None) -> list[Dimension]:
    """The dimensions of a `search:` node. Raises ConfigError with the entry that is wrong."""
    return [_dimension(method, entry) for entry in node or ()]


def _dimension(method: str, entry: Mapping[str, Any]) -> Dimension:
    wrong = ConfigError(
        f"conf/method/{method}.yaml: {dict(entry)} is no entry of search; write {{key: method.x, among: [1, 2]}} or "
        "{key: method.x, low: 0.001, high: 0.1, log: true}"
    )
    if not isinstance(entry.get("key"), str):
        raise wrong
    if entry.keys() == {"key", "among"} and isinstance(entry["among"], Sequence) and len(entry["among"]) > 1:
        return Dimension(entry["key"], tuple(entry["among"]))
    if entry.keys() - {"log"} != {"key", "low", "high"}:
        raise wrong
    low, high, log = entry["low"], entry["high"], entry.get("log", False)
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in (low, high))
    if not numbers or not low < high or (log and low <= 0) or not isinstance(log, bool):
        raise wrong
    return Dimension(entry["key"], low=float(low), high=float(high), log=log)
