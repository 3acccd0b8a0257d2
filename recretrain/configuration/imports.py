"""Classes by their dotted names, and the line that installs what an import lacks."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

from recretrain.errors import ConfigError
from recretrain.visible import one_line

DISTRIBUTIONS = {  # what pip calls a module, where it is another name
    "tensorboard": '"recretrain[loggers]"',
    "wordllama": '"recretrain[text]"',
    "tokenizers": '"recretrain[text]"',
    "submitit": '"recretrain[slurm]"',
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
    "PIL": "pillow",
    "cv2": "opencv-python",
    "faiss": "faiss-cpu",
}
_REQUIREMENT = re.compile(r"Requirement '([A-Za-z0-9_.-]+)")  # as Lightning words it


def resolve(path: str, target: str) -> Any:
    """The class or function that the node at `path` names; raises ConfigError with culprit and cure."""
    from pydoc import ErrorDuringImport, locate

    named = one_line(f"{path}._target_={target}".lstrip("."))
    try:
        found = locate(str(target))
    except ErrorDuringImport as error:
        raise ConfigError(f"{named} cannot be imported: {_reason(error)}") from error
    if found is None:
        raise ConfigError(f"{named} is not there; name a class as package.module.Class{_of_a_missing_package(target)}")
    return found


def lacking(error: ImportError) -> str:
    """What an import lacks, and the line that installs it."""
    missing = error.name or next(iter(_REQUIREMENT.findall(str(error))[-1:]), None)
    if not isinstance(error, ModuleNotFoundError) or missing is None:
        return f"{str(error).strip().splitlines()[0]}; mend that import"
    package = missing.partition(".")[0]
    if package != missing and find_spec(package):
        return f"{package} has no module {missing}; mend that import, or pip install -U {install(package)}"
    return f"the package {package} is not installed; pip install {install(package)}"


def install(package: str) -> str:
    """The name under which pip installs a package."""
    return DISTRIBUTIONS.get(package, package)


def _reason(error: Any) -> str:
    """The cause of pydoc's ErrorDuringImport, with the line of the module in which it was raised."""
    cause, trace = error.value, error.tb
    if isinstance(cause, ImportError):
        return lacking(cause)
    while trace.tb_next is not None:
        trace = trace.tb_next
    words = (str(cause).strip() or "no message").splitlines()[0]
    place = f"{trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}"
    if isinstance(cause, SyntaxError):
        place = f"{cause.filename}, line {cause.lineno}"
    return f"{type(cause).__name__}: {words} ({place}); mend it there"


def _of_a_missing_package(target: str) -> str:
    package = str(target).partition(".")[0]
    if not package.isidentifier() or find_spec(package):
        return ""
    return f" (the package {package} is not installed: pip install {install(package)}, or add your own to PYTHONPATH)"
