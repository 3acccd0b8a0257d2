"""Every backbone of conf/ has ranges for its numbers and draws its weights again."""

from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf
from torch import Tensor

from recretrain.backbones.base import Backbone
from recretrain.configuration.compose import conf_dir
from recretrain.data.fields import Fields
from recretrain.data.vocabulary import Vocabulary
from recretrain.testing.streams import fields
from recretrain.values import Constraint

BACKBONES = sorted((conf_dir() / "backbone").glob("*.yaml"))
every = pytest.mark.parametrize("path", BACKBONES, ids=lambda path: path.stem)


def constraints(hint: Any) -> list[Constraint]:
    """Those of a value, or of each entry of a list."""
    if get_origin(hint) is Annotated:
        return list(hint.__metadata__)
    return [found for argument in get_args(hint) for found in constraints(argument)]


def refuses(hint: Any, value: float) -> bool:
    return any(not constraint.holds(value) for constraint in constraints(hint))


@every
def test_a_number_out_of_range_is_refused_before_anything_is_built(path: Path):
    values: Any = OmegaConf.to_container(OmegaConf.load(path))
    nodes = [values, *(node for node in values.values() if isinstance(node, dict))]
    found = [(get_class(node["_target_"]), key, value) for node in nodes for key, value in node.items()]
    numbers = [entry for entry in found if not isinstance(entry[2], bool | str | dict)]

    for target, key, value in numbers:
        hints = get_type_hints(target.__init__, include_extras=True)
        given = value if isinstance(value, list) else [value]
        assert not any(refuses(hints[key], number) for number in given), key
        assert refuses(hints[key], -4), f"{key} may be negative"


def test_the_walk_found_numbers():
    named = {key for path in BACKBONES for key in OmegaConf.load(path)}

    assert named >= {"embedding_size", "hidden", "dropout", "init_std", "rank", "longest"}


def build(path: Path, **values: Any) -> Backbone:
    facts = Fields(user=fields(8, "age"), item=fields(9, "genre"))
    vocabulary = Vocabulary.of(n_users=8, n_items=9, fields=facts, word_vectors=torch.ones(12, 4))
    return instantiate(OmegaConf.load(path), vocabulary=vocabulary, **values, _convert_="all")


@every
def test_weights_are_drawn_anew_from_the_given_generator_alone(path: Path):
    model, other = build(path), build(path)
    for weight in weights(model).values():
        weight += 1
    before, global_state = deepcopy(weights(model)), torch.get_rng_state()

    model.draw(torch.Generator().manual_seed(1))
    other.draw(torch.Generator().manual_seed(1))

    assert torch.equal(torch.get_rng_state(), global_state)
    for name, weight in weights(model).items():
        assert torch.equal(weight, weights(other)[name]), name
        assert not torch.equal(weight, before[name]), f"{name} was not drawn again"


def weights(model: Backbone) -> dict[str, Tensor]:
    return {name: value for name, value in model.state_dict().items() if value.is_floating_point()}


def test_after_new_weights_no_value_of_a_field_has_been_trained():
    (path,) = [path for path in BACKBONES if path.stem == "content"]
    net = build(path, reserve_unseen=True)
    items = torch.arange(9)
    net.meet(torch.arange(8), items)
    assert len(net.item(items).unique(dim=0)) > 1

    net.draw(None)

    assert torch.equal(net.item(items)[:, :32], net.item.tables[0][-1].expand(9, -1))
