"""The files of scripts/, which are in no package, as modules."""

import importlib.util
from pathlib import Path
from types import ModuleType

SCRIPTS = Path(__file__).parents[1] / "scripts"


def script(name: str) -> ModuleType:
    """Import scripts/<name>.py."""
    given = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert given is not None
    assert given.loader is not None
    module = importlib.util.module_from_spec(given)
    given.loader.exec_module(module)
    return module
