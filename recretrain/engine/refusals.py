"""A run that is refused says so before it learns anything, in the words of the user's data, and leaves no folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow.parquet as pq

from recretrain.data.stream import Foresees
from recretrain.engine.build import Experiment
from recretrain.errors import ConfigError, DataError, UserError
from recretrain.outside import refused
from recretrain.sealed import finished, reading


def check_questions(asked: Experiment) -> None:
    """Raise DataError for questions that cannot be asked, before the first task is learned."""
    questions, roles = asked.evaluator.questions, asked.schedule.roles(asked.stream)
    if isinstance(questions, Foresees):
        questions.check(asked.stream, sorted({period for periods in roles.values() for period in periods}))


@contextmanager
def no_folder_left(folder: Path) -> Iterator[None]:
    """Remove a run folder that was not there before, where a refusal ends the run before its first task is done."""
    there = folder.exists()
    try:
        yield
    except Exception as error:
        refusal = isinstance(error, ConfigError | DataError) or refused(error)
        if refusal and not there and not finished(folder / "tasks"):
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # up to outputs, as far as there is nothing else in them
                for parent in list(folder.parents)[:3]:
                    parent.rmdir()
        raise


@contextmanager
def users_by_name(prepared: Path) -> Iterator[None]:
    """Name a user as the raw files do."""
    try:
        yield
    except UserError as error:
        with reading(prepared / "users.parquet") as file:
            table = pq.read_table(file, columns=["key"])
        raise error.named(str(table.column("key")[error.user])) from error
