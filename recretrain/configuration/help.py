"""`recretrain run ... --help`: the groups, and every key of what is chosen with its value and its comment in conf/."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from recretrain.configuration.compose import Composition, composition, expand
from recretrain.configuration.hints import in_yaml
from recretrain.configuration.options import columns, options

USAGE = """\
usage: recretrain run [-m] [group=option ...] [key=value ...]

Trains what is missing of one run, then prints the table of its data set. Repeating a command repeats no work.

  -m            a sweep: every combination of the values given with commas
  --cfg job     print the composed configuration and stop
  --hydra-help  Hydra's own options
"""

EXAMPLES = """\
examples
  recretrain run method=sml data=yelp
  recretrain run -m method=sml,fine_tune seed=0,1,2 hydra.launcher.n_jobs=2
  recretrain run method=fine_tune --help      the keys of another method"""

KEY = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?= |$)")  # an item of a list is no key
COMMENT = re.compile(r"(?:^|\s)(?P<mark>#)#* *(?P<words>.*?) *$")
PLAIN = re.compile(r"[\w./:+-]+|\?\?\?")  # text that needs no quotes on a command line
LONG = 60  # characters of a value that are shown


def run_help(arguments: Sequence[str]) -> str:
    """The groups and keys of `recretrain run <arguments>`, with their values; for a sweep, those of its first run."""
    overrides = [word for word in arguments if word[:1] != "-" and ("=" in word or word[:1] == "~")]
    found = composition(next(expand(overrides)))
    groups = [(f"{group}={choice}", ", ".join(_options(found, group))) for group, choice in found.choices.items()]
    keys = list(_keys(found.values, comments_of(found)))
    return (
        f"{USAGE}\ngroups, as chosen here, and their options\n{columns(groups)}\n\n"
        f"keys, as chosen here\n{columns(keys)}\n\n{EXAMPLES}"
    )


def _keys(values: Mapping[str, Any], words: Mapping[str, str], path: str = "") -> Iterator[tuple[str, str]]:
    """Every dotted key with its value, and its comment; a mapping with keys other than names is one value."""
    for name, value in values.items():
        key = f"{path}{name}"
        if name.startswith("_"):
            continue
        if not isinstance(value, Mapping) or not all(str(inner).isidentifier() for inner in value):
            yield f"{key}={written(value)}", words.get(key, "")
            continue
        if key in words:
            yield f"{key}.*", words[key]
        yield from _keys(value, words, f"{key}.")


def comments_of(found: Composition) -> dict[str, str]:
    """The comments beside each dotted key; for a key of several files, theirs in the order of merging."""
    words: dict[str, list[str]] = {}
    for package, file in found.files:
        for key, comment in comments(file.read_text().splitlines()):
            kept = words.setdefault(f"{package}.{key}".lstrip("."), [])
            if comment not in kept:
                kept.append(comment)
    return {key: "; ".join(kept) for key, kept in words.items()}


def comments(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Dotted keys of block YAML with the comments beside them; a comment alone on its line, right below, goes on."""
    parents: list[tuple[int, str]] = []  # the keys around a line, each with its indentation, and the line's own
    key, column, words = "", 0, ""
    for line in map(_without_text, lines):
        found, comment = KEY.match(line), COMMENT.search(line)
        if comment and not found and words and comment.start("mark") == column:
            words += f" {comment['words']}"
            continue
        if words:
            yield key, words
        if found:
            indent = len(found["indent"])
            parents = [*((depth, name) for depth, name in parents if depth < indent), (indent, found["key"])]
            key = ".".join(name for _, name in parents)
        column, words = (comment.start("mark"), comment["words"]) if comment and found else (0, "")
    if words:
        yield key, words


def written(value: Any) -> str:
    """A value as one would write it behind `key=`, long text shortened."""
    return in_yaml(value, text=_text)


def _text(text: str) -> str:
    words = " ".join(text.split())
    shown = words if len(words) <= LONG else f"{words[:LONG]}..."
    return shown if PLAIN.fullmatch(shown) else f'"{shown}"'


def _without_text(line: str) -> str:
    """The line with its quoted texts blanked, in which # begins no comment."""
    return re.sub(r"""(?<=[\s:,\[{])("[^"]*"|'[^']*')""", lambda text: " " * len(text[0]), line)


def _options(found: Composition, group: str) -> list[str]:
    """The options of a group, also those in the folders of hydra.searchpath."""
    folder = group.partition("@")[0]
    return sorted({option for conf in found.folders for option in options(conf, folder)})
