"""How a command ends: its exit code, and one line on stderr for all that is not as it should be."""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from recretrain.commands.clusters import queued_again
from recretrain.configuration.messages import choose_from
from recretrain.errors import Mistake
from recretrain.interruption import Interruption, interruptible
from recretrain.outside import refused
from recretrain.visible import message


def ended(command: Callable[[], None]) -> int:
    """The exit code of a command; only a bug comes out as an exception."""
    try:
        with interruptible():
            command()
            sys.stdout.flush()
    except SystemExit as stop:
        return _exit_code(stop)
    except (Interruption, KeyboardInterrupt) as stop:
        found = stop if isinstance(stop, Interruption) else Interruption(signal.SIGINT)
        again = queued_again(found)
        print(f"recretrain: {found}" + (f"; {again}" if again else ""), file=sys.stderr)
        return found.code
    except BrokenPipeError:
        return _nobody_reads()
    except Exception as error:
        if (words := words_of(error)) is None:
            raise
        print(words, file=sys.stderr)
        return 1
    return 0


def at_once(code: int) -> NoReturn:
    """End the process, after what was registered for its end.

    Python would first take its modules apart, which is a fifth of the time of a short command.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage within: importing makes objects by the hundred thousand, and all of them stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def words_of(error: BaseException | None) -> str | None:
    """The message of a mistake in values or data, or of what the machine refused; None for a bug.

    A bug's traceback is wanted, and so is any other where RECRETRAIN_TRACEBACK=1 asks for it.
    """
    if os.environ.get("RECRETRAIN_TRACEBACK") == "1":
        return None
    words = str(error) if isinstance(error, Mistake) else refused(error)
    return None if words is None else f"recretrain: {message(words)}"


def check_verb(parser: argparse.ArgumentParser, arguments: Sequence[str], before: str = "") -> None:
    """End with one line where the first word should be a verb, or one of a verb's own, and is none."""
    verbs = next((action for action in parser._actions if isinstance(action, argparse._SubParsersAction)), None)
    if verbs is None or not arguments or arguments[0].startswith("-"):
        return
    verb, known = arguments[0], verbs.choices
    if verb not in known:
        print(f"recretrain: there is no verb '{before}{verb}'; {choose_from(verb, known, 'verbs')}", file=sys.stderr)
        raise SystemExit(2)
    check_verb(known[verb], arguments[1:], f"{before}{verb} ")


def _nobody_reads() -> int:
    """What shells call a program whose reader went away, such as `| head -1`; nothing more can be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + getattr(signal, "SIGPIPE", 13)


def _exit_code(stop: SystemExit) -> int:
    if isinstance(stop.code, str):
        print(stop.code, file=sys.stderr)
        return 1
    return int(stop.code or 0)
