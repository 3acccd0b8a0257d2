"""One short message for every mistake: the culprit, the cure, and the name that was probably meant."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recretrain.configuration.renamed import new_name
from recretrain.outside import refused
from recretrain.visible import first_line, one_line

if TYPE_CHECKING:
    from hydra.errors import ConfigCompositionException, MissingConfigException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

WORDS_FOR_TYPES = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}

LONG = 15  # more names than this help nobody when one of them is near


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """`did you mean sml? `, or no text when no option is near."""
    near = difflib.get_close_matches(word, list(options), n=1, cutoff=0.6)
    return f"did you mean {near[0]}? " if near else ""


def choose_from(word: str, options: Iterable[str], kind: str) -> str:
    """The option that was probably meant, and all options, unless they are too many to read."""
    known = sorted(options)
    near = did_you_mean(word, known)
    if not known:
        return f"there are no {kind} to choose from"
    if near and len(known) > LONG:
        return f"{near}`recretrain run --help` lists them all"
    return f"{near}{kind}: {', '.join(known)}"


def explain(error: BaseException) -> str | None:
    """The message for a mistake in overrides or configuration files; None for any other exception."""
    from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    if isinstance(error, MissingConfigException):
        return _no_such_option(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(str(error), getattr(error, "override", None))
    if isinstance(error, ConfigCompositionException):
        return _bad_override(error)
    if isinstance(error, YAMLError):
        return _bad_yaml(error)
    if isinstance(error, OmegaConfBaseException):
        return _bad_value(error)
    if isinstance(error, RecursionError):
        return "a file of the configuration stands in its own defaults list; take it out there"
    if isinstance(error, UnicodeDecodeError):
        return f"a file of the configuration is not UTF-8 text: {first_line(error)}"
    return refused(error) or (first_line(error) if isinstance(error, HydraException | ValueError | OSError) else None)


def is_unknown_key(error: BaseException) -> bool:
    """Whether an override names a key that this choice of options has no place for, though another may."""
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError

    return isinstance(error.__cause__, ConfigAttributeError | ConfigKeyError)


def _no_such_option(error: MissingConfigException) -> str:
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    if option.startswith("submitit"):
        return f'{group}={option} needs the submitit launcher: pip install "recretrain[slurm]"'
    return f"there is no {group} '{option}'; {choose_from(option, error.options or [], _plural(group))}"


def _unreadable(message: str, override: str | None) -> str:
    named = override or next(iter(re.findall(r"override '(.+)'", message)), None)
    culprit = f"'{named}'" if named else f"the command line ({message.splitlines()[0].strip()})"
    key, equals, value = (named or "").partition("=")
    inner = value.replace('"', '\\"')
    example = shlex.quote(f'{key}="{inner}"') if equals else "'key=\"value\"'"
    return one_line(f"cannot read {culprit}; write key=value, and quote a value that is no plain word: {example}")


def _bad_override(error: ConfigCompositionException) -> str:
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError, ValidationError

    cause, message = error.__cause__, str(error)
    if isinstance(cause, ConfigAttributeError | ConfigKeyError):
        return _unknown_key(cause, message)
    if isinstance(cause, ValidationError):
        return _wrong_type(cause, message)
    if ambiguous := re.match(r"Ambiguous value for argument '([^=]+)=(.*)'", message):
        key, values = ambiguous.groups()
        several = f"{key}={values} names several values; add -m to run each, or write {key}=[{values}] for a list"
        return f"{several}, '{key}=\"{values}\"' for one text"
    if group := re.match(r"Could not override '(.+)'\.\nNo match in the defaults list", message):
        return f"there is no group '{group[1]}'; `recretrain run --help` lists the groups"
    if there := re.match(r"Could not append to config\. An item is already at '(.+)'", message):
        return f"{there[1]} is there already; leave out the + before it"
    return first_line(cause if cause is not None and not message else error)


def no_such_key(parent: str, key: str, siblings: Iterable[str], values: Mapping[str, Any]) -> str:
    """The message for an unknown key below `parent` ("" is the top) of a configuration with these values."""
    dotted = f"{parent}.{key}".lstrip(".")
    if new := new_name(dotted, values):
        return f"{dotted} is now {new}"
    where = f"{parent} has no key '{key}'" if parent else f"there is no key '{key}'"
    return f"{where}; {choose_from(key, siblings, 'keys')}"


def _unknown_key(cause: OmegaConfBaseException, message: str) -> str:
    from omegaconf import OmegaConf

    named = re.findall(r"'(.+?)'", message)
    node: Any = cause.parent_node
    siblings = {str(key) for key in node if not str(key).startswith("_")} if node is not None else set()
    parent, _, key = str(cause.full_key or (named or ["?"])[0]).rpartition(".")
    if not parent:
        siblings = {*siblings, "experiment"} - {"hydra"}
    values: Any = OmegaConf.to_container(node._get_root()) if node is not None else {}
    return no_such_key(parent, key, siblings, values)


def _wrong_type(cause: OmegaConfBaseException, message: str) -> str:
    override = message.removeprefix("Error merging override ") if "override" in message else str(cause.full_key)
    wanted = next((word for name, word in WORDS_FOR_TYPES.items() if name in str(cause)), None)
    reason = f"must be {wanted}" if wanted else str(cause).splitlines()[0]
    example = f", for example {cause.full_key}=0" if wanted == WORDS_FOR_TYPES["Integer"] else ""
    return f"{override}: {cause.full_key} {reason}{example}"


def _bad_yaml(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"a configuration file is not YAML: {first_line(error)}"
    problem = getattr(error, "problem", None) or "not YAML"
    return f"{_short(mark.name)}, line {mark.line + 1}: {problem}; mend the YAML there or in the line above"


def _bad_value(error: OmegaConfBaseException) -> str:
    from omegaconf.errors import MissingMandatoryValue

    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} has no value; give {error.full_key}=..."
    return (
        f"{error.full_key}: {first_line(error)}" if error.full_key else f"{first_line(error)}; name a key that is there"
    )


def _plural(group: str) -> str:
    return group if group in ("data", "eval") else f"{group}s"


def _short(name: str) -> str:
    path = Path(name)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else name
