"""The keys of 0.1 with their new names, for the message that refuses an old one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_QUESTIONS = (
    *("candidates", "catalogue", "history", "seed"),
    *("shortest", "longest", "queries", "split", "users", "supports"),
)
_LEARNER = (
    *("learning_rate", "epochs", "batch_size", "reg", "weight_decay", "negatives", "drop_last"),
    *("inputs", "adam", "patience", "validation", "validation_k"),
)
_FRESH = ("epochs", "learning_rate", "reg", "reg_scaling", "batch_size", "negatives", "through_transfer")
_TRANSFER = ("epochs", "learning_rate", "weight_decay", "batch_size", "negatives")
_NETWORK = ("filters", "hidden", "product", "detach_product", "epsilon")

_FILTERS = (
    *("min_rating", "min_user_interactions", "min_item_interactions", "k_core", "repeats"),
    *("min_session_clicks", "min_item_clicks", "missing_time", "front_page"),
)
_STATES = ("new_users", "new_user_share", "new_users_seed", "new_items_from", "missing_year", "implicit")
_FILMS = ("release", "facts", "merge_ids", "actor_size")

RENAMED = (  # (old, new); a key has several new ones where methods differ
    ("schedule.cut", "data.cut"),
    ("data.memory_limit", "paths.memory"),
    *((f"data.{key}", f"data.about.{key}") for key in ("origin", "terms")),
    *((f"data.{key}", f"data.filters.{key}") for key in _FILTERS),
    *((f"data.{key}", f"data.states.{key}") for key in _STATES),
    *((f"data.{key}", f"data.films.{key}") for key in _FILMS),
    ("data.time_unit", "data.columns.time_unit"),
    *((f"data.generator.{key}", f"data.generator.drift.{key}") for key in ("genres", "turn", "sharpness")),
    *((f"eval.{key}", f"eval.questions.{key}") for key in _QUESTIONS),
    *((f"method.{key}", f"method.learner.{key}") for key in _LEARNER),
    ("method.learns", "method.reads"),
    ("method.exemplars", "method.memory.size"),
    ("method.quotas", "method.memory.quotas"),
    ("method.selection", "method.memory.selection"),
    *((f"method.fresh_{key}", f"method.fresh.{key}") for key in _FRESH),
    ("method.fresh_continues_from", "method.continues_from"),
    ("method.adam", "method.fresh.adam"),
    *((f"method.transfer_{key}", f"method.transfer.{key}") for key in _TRANSFER),
    *((f"method.transfer_{key}", f"method.transfer.network.{key}") for key in _NETWORK),
    ("method.transfer_taught_on", "method.transfer.taught.by"),
    ("method.transfer_taught_until", "method.transfer.taught.until"),
    ("method.local_steps", "method.local.steps"),
    ("method.local_learning_rate", "method.local.learning_rate"),
    *((f"method.{key}", f"method.local.{key}") for key in ("adapts", "order", "answer_steps")),
)


def new_name(old: str, values: Mapping[str, Any]) -> str | None:
    """The name that an old dotted key has in this configuration; None if it has none there."""
    return next((new for new in _names(old) if _has(values, new)), None)


def _names(old: str) -> Iterator[str]:
    yield from (new for before, new in RENAMED if old == before)


def _has(values: Mapping[str, Any], key: str) -> bool:
    first, _, rest = key.partition(".")
    inner = values.get(first)
    return first in values and (not rest or (isinstance(inner, Mapping) and _has(inner, rest)))
