"""Tab completion: the verbs from the parser, and the overrides that follow `run` from Hydra."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence

from recretrain.configuration import options as listing
from recretrain.configuration.compose import conf_dir, explained, register_schema


def complete(arguments: Sequence[str], parser: argparse.ArgumentParser) -> None:
    """Answer `recretrain -sc install=bash|fish|zsh` and the queries of the script that it prints."""
    line = os.environ.get("COMP_LINE", "").split()
    verb = line[1] if len(line) > 1 else ""
    querying = any(argument.startswith("query=") for argument in arguments)
    if not querying or verb == "run" or line[1:3] in (["data", "prepare"], ["data", "describe"]):
        _hydra(arguments)
    elif verb == "reproduce":
        print(" ".join([*listing.options(conf_dir(), "table"), *words(parser, [verb])]))
    else:
        print(" ".join(words(parser, line[1:])))


def words(parser: argparse.ArgumentParser, line: Sequence[str]) -> list[str]:
    """The verbs, choices and options that can follow the words of a line."""
    for action in parser._actions:
        if line and line[-1] in action.option_strings and action.choices:
            return list(map(str, action.choices))
        if isinstance(action, argparse._SubParsersAction) and line and line[0] in action.choices:
            return words(action.choices[line[0]], line[1:])
    return [word for action in parser._actions for word in _of(action)]


def _of(action: argparse.Action) -> Iterator[str]:
    yield from (word for word in action.option_strings if word.startswith("--"))
    if not action.option_strings:
        yield from map(str, action.choices or ())


def _hydra(arguments: Sequence[str]) -> None:
    """Let Hydra complete the line without our verbs."""
    import hydra

    from recretrain.commands.run import job

    line = os.environ.get("COMP_LINE")
    if line is not None:
        os.environ["COMP_LINE"] = re.sub(r"^(\S+) +(run|data +\w+)\b", r"\1", line)
    register_schema()
    before, sys.argv = sys.argv, ["recretrain", *arguments]
    try:
        with explained():
            hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(job)()
    finally:
        sys.argv = before
