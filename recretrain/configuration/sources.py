"""What Hydra reads of a user, words and files, is looked at first: it would take some for others, or never be done."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recretrain import yaml_files
from recretrain.errors import ConfigError

PATH = re.compile(r"(\+{0,2}(?:paths\.(?:data|cache|outputs)|data\.path|data\.facts\.\w+)=)(.+)", re.DOTALL)


def paths_quoted(overrides: Sequence[str]) -> list[str]:
    """The overrides, of which those that are paths hold any letters: quoted where Hydra would not read them as text."""
    return [_quoted(word) for word in overrides]


@contextmanager
def careful_reading() -> Iterator[None]:
    """Let Hydra read no file of a configuration that `yaml_files` refuses; it has no other door for that."""
    from hydra._internal.sources_registry import SourcesRegistry
    from hydra.core.plugins import Plugins

    Plugins.instance()  # which registers the class that reads files
    reader: Any = SourcesRegistry.instance().types["file"]
    before = reader.load_config

    def load_config(self: Any, config_path: str) -> Any:
        file = Path(self.path, self._normalize_file_name(config_path))
        if file.is_file():
            yaml_files.checked(file)
        return before(self, config_path)

    reader.load_config = load_config
    try:
        yield
    finally:
        reader.load_config = before


def check_folders(overrides: Sequence[str]) -> None:
    """Raise ConfigError for a folder on hydra.searchpath that is not there, which Hydra would only warn of."""
    for word in overrides:
        key, _, value = word.lstrip("+").partition("=")
        if key != "hydra.searchpath":
            continue
        for place in re.findall(r"file://([^,\]'\"]+)", value):
            if not Path(place).is_dir():
                raise ConfigError(
                    f"hydra.searchpath: there is no folder {place}; name one that holds method/, data/, ..."
                )


def in_quotes(value: str) -> str:
    """A value as text of Hydra's language."""
    escaped = re.sub(r"(\\*)('|$)", lambda found: found[1] * 2 + (r"\'" if found[2] else ""), value)
    return f"'{escaped}'"


def _quoted(word: str) -> str:
    found = PATH.fullmatch(word)
    if found is None or "${" in word:
        return word
    key, value = found.groups()
    if value.startswith("~"):
        value = str(Path(value).expanduser()) if _is_home(value) else value
    return word if value == found[2] and _is_text(word) else key + in_quotes(value)


def _is_home(value: str) -> bool:
    """Whether it begins with a folder of a user that the machine knows."""
    try:
        Path(value).expanduser()
    except RuntimeError:
        return False
    return True


def _is_text(word: str) -> bool:
    """Whether Hydra reads the value as text, as nothing, or as several values."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    try:
        value = OverridesParser.create().parse_overrides([word])[0].value()
    except OverrideParseException:
        return False
    return not isinstance(value, bool | int | float)
