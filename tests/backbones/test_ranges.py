"""Every number that conf/backbone gives has a range in the signature of its constructor."""

from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from recretrain.configuration.compose import conf_dir
from recretrain.values import Constraint

BACKBONES = sorted((conf_dir() / "backbone").glob("*.yaml"))


def constraints(hint: Any) -> list[Constraint]:
    """Those of a value, or of each entry of a list."""
    if get_origin(hint) is Annotated:
        return list(hint.__metadata__)
    return [found for argument in get_args(hint) for found in constraints(argument)]


def refuses(hint: Any, value: float) -> bool:
    return any(not constraint.holds(value) for constraint in constraints(hint))


@pytest.mark.parametrize("path", BACKBONES, ids=lambda path: path.stem)
def test_a_number_out_of_range_is_refused_before_anything_is_built(path):
    values: Any = OmegaConf.to_container(OmegaConf.load(path))
    hints = get_type_hints(get_class(values.pop("_target_")).__init__, include_extras=True)
    numbers = {key: value for key, value in values.items() if not isinstance(value, bool)}

    for key, value in numbers.items():
        given = value if isinstance(value, list) else [value]
        assert not any(refuses(hints[key], number) for number in given), key
        assert refuses(hints[key], -4), f"{key} may be negative"


def test_the_walk_found_numbers():
    named = {key for path in BACKBONES for key in OmegaConf.load(path)}

    assert named >= {"embedding_size", "hidden", "dropout", "init_std", "rank", "longest"}
