"""Tab completion: our verbs by ourselves, and what follows `run` by Hydra."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

from recretrain.configuration import options as listing
from recretrain.configuration.compose import conf_dir, explained, register_schema

WORDS = {  # what can follow a verb
    "": ("run", "reproduce", "report", "data", "list", "doctor", "--help", "--version"),
    "data": ("list", "prepare", "describe", "synth"),
    "list": tuple(listing.GROUPS),
    "doctor": (),
    "report": ("--table", "--format", "--out"),
}


def complete(arguments: Sequence[str]) -> None:
    """Answer `recretrain -sc install=bash|fish|zsh` and the queries of the script that it prints."""
    words = os.environ.get("COMP_LINE", "").split()
    verb = words[1] if len(words) > 1 else ""
    querying = any(argument.startswith("query=") for argument in arguments)
    if not querying or verb == "run" or words[1:3] in (["data", "prepare"], ["data", "describe"]):
        _hydra(arguments)
    elif verb == "reproduce":
        print(" ".join(listing.options(conf_dir(), "table")))
    else:
        print(" ".join(WORDS.get(verb, WORDS[""])))


def _hydra(arguments: Sequence[str]) -> None:
    """Hydra takes the line as if our verbs were not there."""
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
