"""What can be chosen is what stands in conf/; names and comments are read as text, so that help is instant."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GROUPS = {  # what `recretrain list` calls it: its folder in conf/
    "methods": "method",
    "backbones": "backbone",
    "data": "data",
    "schedules": "schedule",
    "tables": "table",
    "experiments": "experiment",
}

KEY = re.compile(r"^(?P<key>\w+): *(?P<value>[^#]*?)(?: *#+ *(?P<comment>.*))?$")
BASE = re.compile(r"^ +- (?P<option>\w+) *$")  # in a defaults list: another file of the same folder
DEFAULT = re.compile(r"^ +- (?P<group>\w+): (?P<option>\w+)")


@dataclass(frozen=True)
class Key:
    name: str
    value: str
    comment: str


def options(conf: Path, group: str) -> dict[str, str]:
    """The options of a group, each with the comment at the head of its file."""
    return {file.stem: headline(file) for file in sorted((conf / group).glob("*.yaml"))}


def defaults(conf: Path) -> dict[str, str]:
    """The groups of conf/config.yaml in its order, each with the option that is chosen unasked."""
    found = map(DEFAULT.match, (conf / "config.yaml").read_text().splitlines())
    return {match["group"]: match["option"] for match in found if match}


def headline(file: Path) -> str:
    """The first comment of a file that is not a directive."""
    for line in file.read_text().splitlines():
        if not line.startswith("#"):
            return ""
        if "@package" not in line:
            return line.lstrip("# ").rstrip()
    return ""


def keys(file: Path) -> list[Key]:
    """The values that a file of conf/ gives to its group, with their comments; also those of the file it builds on."""
    found = {key.name: key for base in _bases(file) for key in keys(base)}
    for line in _group_lines(file):
        if (match := KEY.match(line)) and not match["key"].startswith("_") and match["key"] != "defaults":
            found[match["key"]] = Key(match["key"], match["value"], match["comment"] or "")
    return list(found.values())


def listed(conf: Path, kinds: Sequence[str]) -> str:
    """The options of the named kinds, one a line."""
    parts = [_titled(kind, options(conf, GROUPS[kind])) for kind in kinds]
    return "\n\n".join(parts)


def run_help(conf: Path, overrides: Sequence[str]) -> str:
    """The groups with their options, and the keys of those that are chosen."""
    chosen = {**defaults(conf), **_choices(overrides)}
    groups = {group: options(conf, group) for group in (*chosen, "experiment")}
    choose = [(f"{group}=", ", ".join(found)) for group, found in groups.items() if found]
    set_keys = [line for group in chosen for line in _key_lines(conf, group, chosen[group])]
    return f"{USAGE}\ngroups\n{_columns(choose)}\n\nkeys, as chosen here\n{_columns(set_keys)}\n\n{EXAMPLES}"


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


def _choices(overrides: Sequence[str]) -> dict[str, str]:
    pairs = (override.partition("=") for override in overrides)
    return {key: value for key, _, value in pairs if value and "." not in key and "/" not in key}


def _key_lines(conf: Path, group: str, option: str) -> list[tuple[str, str]]:
    file = conf / group / f"{option}.yaml"
    found = keys(file) if file.is_file() else []
    return [(f"{group}.{key.name}={key.value}", key.comment) for key in found]


def _bases(file: Path) -> list[Path]:
    named = map(BASE.match, file.read_text().splitlines())
    files = (file.with_name(f"{match['option']}.yaml") for match in named if match and match["option"] != "_self_")
    return [base for base in files if base.is_file()]


def _group_lines(file: Path) -> list[str]:
    """The lines of the file as its group sees them: a file of the global package holds its group as a block."""
    text = file.read_text()
    if "@package _global_" not in text:
        return text.splitlines()
    block = re.search(rf"^{file.parent.name}:.*\n((?: +.*\n?)*)", text, re.MULTILINE)
    return textwrap.dedent(block[1]).splitlines() if block else []


def _titled(kind: str, found: Mapping[str, str]) -> str:
    return f"{kind}\n{_columns(list(found.items()) or [('(none)', '')])}"


def _columns(rows: Sequence[tuple[str, str]]) -> str:
    width = min(max((len(left) for left, _ in rows), default=0), 44)
    return "\n".join(f"  {left:<{width}}  {right}".rstrip() for left, right in rows)
