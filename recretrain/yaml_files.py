"""YAML files of a user are looked at before they are read: one that would never be done with is refused."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from recretrain.errors import ConfigError

LARGEST = 2**20  # bytes; ours have some thousand
MOST = 50_000  # values, each reference counted as what it stands for
_SMALL = 2**16  # bytes that hold fewer values than MOST


def read(file: Path) -> Any:
    """The content of a YAML file. Raises ConfigError, which names the file, for one that is none."""
    import yaml

    text = checked(file)
    try:
        return yaml.load(text, Loader=_loader())
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{file} is not YAML: {_about(error)}; mend it") from error


def checked(file: Path) -> str:
    """The text of a file. Raises ConfigError where it is too large, is not UTF-8, or stands for too many values."""
    import yaml

    if file.stat().st_size > LARGEST:
        raise ConfigError(f"{file} holds more than {LARGEST // 2**20} MB, which no settings do; name another file")
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text (byte {error.start + 1}); save it as UTF-8") from error
    if len(text) <= _SMALL and not ("&" in text and "*" in text):
        return text
    loader = _loader()
    try:
        written = sum(1 for _ in islice(yaml.parse(text, Loader=loader), MOST + 1))  # no more than needed
        values = written if written > MOST else _values(yaml.compose(text, Loader=loader), {})
    except (yaml.YAMLError, RecursionError):
        return text  # whoever reads it says what is wrong, and where
    if values > MOST:
        raise ConfigError(f"{file} stands for more than {MOST:,} values, which no settings do; shorten it")
    return text


def _loader() -> Any:
    """The safe loader, in C where PyYAML was built with it: several times faster."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _values(node: Any, known: dict[int, float]) -> float:
    """How many values a node stands for; one within itself is endless."""
    if node is None or isinstance(node.value, str):
        return 1
    if id(node) not in known:
        known[id(node)] = float("inf")
        inner = (part for entry in node.value for part in (entry if isinstance(entry, tuple) else (entry,)))
        known[id(node)] = 1 + sum(_values(part, known) for part in inner)
    return known[id(node)]


def _about(error: Exception) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return f"line {mark.line + 1}: {problem}" if mark and problem else str(error).partition("\n")[0]
