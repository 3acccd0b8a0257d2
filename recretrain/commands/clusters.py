"""What a cluster does with jobs: those that it lost are told of in one line, and one whose time is up queues again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from recretrain.errors import ConfigError, Mistake
from recretrain.interruption import Interruption

_NO_RESULT = re.compile(r"Job (\S+) .*has not produced any output \(state: (\w+)\)", re.DOTALL)
_TOO_OFTEN = "timed-out too many times"
_GO_ON = "the other jobs go on, and the same command does what is missing"


@contextmanager
def jobs_told() -> Iterator[None]:
    """Turn what submitit raises for a job that was lost, or could not be sent, into a Mistake of one line."""
    try:
        yield
    except RuntimeError as error:
        if (words := _words(error)) is None:
            raise
        raise words from error


def _words(error: RuntimeError) -> Mistake | None:
    text = str(error)
    if 'detect "srun"' in text:
        return ConfigError(
            "hydra/launcher=slurm, but this machine is not of a Slurm cluster (there is no srun); use "
            "hydra/launcher=submitit to try the same here, or hydra/launcher=one_machine"
        )
    if type(error).__name__ == "FailedSubmissionError":
        refusal = (text.strip().splitlines() or ["no reason given"])[-1]
        return ConfigError(f"Slurm takes no such job: {refusal}; mend hydra.launcher")
    if lost := _NO_RESULT.search(text):
        return Mistake(f"job {lost[1]} of the sweep ended without a result ({lost[2]}); {_GO_ON}")
    if _TOO_OFTEN in text:
        return Mistake(f"a job of the sweep ran out of time more than hydra.launcher.max_num_timeout times; {_GO_ON}")
    return None


def queued_again(stop: Interruption) -> str | None:
    """What came of sending this process's Slurm job to the queue again; None where nobody asked for that.

    Slurm asks by SIGUSR1, if the job was sent with `--signal=B:USR1@120`; after SIGTERM it knows itself what to do.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None or stop.number != getattr(signal, "SIGUSR1", None):
        return None
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True, timeout=60)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or "no reason given").strip().splitlines()[-1:]
        return f"Slurm does not take job {job} again ({''.join(reason)})"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"Slurm does not take job {job} again ({error})"
    return f"Slurm job {job} is in the queue again"
