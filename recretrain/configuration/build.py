"""Objects from `_target_` nodes; a constructor's refusal comes as the constructor wrote it."""

from __future__ import annotations

from typing import Any

from recretrain.configuration.imports import lacking
from recretrain.errors import ConfigError, Mistake


def build(node: Any, name: str, **given: Any) -> Any:
    """Instantiate a checked node, with what the engine adds to its keys.

    Raises the Mistake of a constructor without Hydra's wrapping; a package that is not installed is a ConfigError,
    which begins with `name`, the key of the node. Any other exception of a constructor is a bug of its class.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    try:
        return instantiate(node, **given, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, Mistake):
            raise cause from error
        if isinstance(cause, ImportError):
            raise ConfigError(f"{name}: {lacking(cause)}") from error
        raise
