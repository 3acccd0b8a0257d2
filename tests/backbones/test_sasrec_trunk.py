"""Attention as a trunk: what a state may depend on, and where patches stand in its blocks."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recretrain.backbones.sasrec_trunk import SASRecTrunk
from recretrain.data.vocabulary import Vocabulary
from recretrain.errors import ConfigError
from tests.backbones.grafts import grafted, style

ITEMS, LONGEST, SIZE = 50, 20, 16
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
INSERTIONS = ("serial", "serial_one", "parallel")
ways = pytest.mark.parametrize("insertion", [None, *INSERTIONS])


def trunk(blocks: int = 2, heads: int = 2) -> SASRecTrunk:
    torch.manual_seed(0)
    made = SASRecTrunk(
        vocabulary=Vocabulary.of(n_users=2, n_items=ITEMS),
        embedding_size=SIZE,
        blocks=blocks,
        heads=heads,
        longest=LONGEST,
        dropout=0.0,
    ).eval()
    with torch.no_grad():
        made.item.mul_(20)  # states that differ clearly
    return made


def histories(rows: int, length: int) -> Tensor:
    return torch.randint(ITEMS, (rows, length), generator=torch.Generator().manual_seed(0))


@ways
def test_a_state_does_not_depend_on_later_items(insertion: str | None) -> None:
    model, items = trunk(), histories(3, LONGEST)
    patches = grafted(model, insertion=insertion) if insertion else None
    changed = items.clone()
    changed[:, 12:] = (changed[:, 12:] + 1) % ITEMS

    before, after = model.states(items, patches), model.states(changed, patches)

    torch.testing.assert_close(before[:, :12], after[:, :12], **CLOSE)
    assert bool((before[:, 12:] != after[:, 12:]).any(2).all())


@ways
def test_the_last_state_alone_is_that_among_all(insertion: str | None) -> None:
    model, items = trunk(), histories(4, LONGEST)
    patches = grafted(model, insertion=insertion) if insertion else None
    items[0, :8] = -1

    torch.testing.assert_close(
        model.states(items, patches, last=True), model.states(items, patches)[:, -1:], **CLOSE
    )  # fmt: skip


@ways
def test_padding_changes_nothing(insertion: str | None) -> None:
    model, items = trunk(), histories(3, 12)
    patches = grafted(model, insertion=insertion) if insertion else None
    wide = torch.cat([torch.full((3, 7), -1), items], 1)

    padded = model.states(wide, patches)

    assert torch.count_nonzero(padded[:, :7]) == 0
    torch.testing.assert_close(padded[:, 7:], model.states(items, patches), **CLOSE)
    for readout in ("tcl", "mean", "last"):
        vectors = model.user_vectors(wide, readout, patches)
        torch.testing.assert_close(vectors, model.user_vectors(items, readout, patches), **CLOSE)


def test_a_history_as_long_as_it_may_be_is_closed_by_the_token_of_tasks() -> None:
    model, items = trunk(), histories(2, LONGEST + 5)

    closed = torch.cat([items[:, 5:], torch.full((2, 1), model.tcl)], 1)

    torch.testing.assert_close(model.user_vectors(items, "tcl"), model.states(closed)[:, -1], **CLOSE)


@pytest.mark.parametrize("insertion", INSERTIONS)
@pytest.mark.parametrize("inner_skip", [True, False])
def test_where_patches_stand(insertion: str, inner_skip: bool) -> None:
    """One block of one head, written down: x + P(attention), then + P(network), each before it is added."""
    model, items = trunk(blocks=1, heads=1), histories(1, 6)
    patches = grafted(model, insertion=insertion, inner_skip=inner_skip)
    block, own = model.blocks[0], patches[0]

    def patch(which: torch.nn.Module, u: Tensor, x: Tensor) -> Tensor:
        given = u if insertion.startswith("serial") else x
        changed = which.up(torch.relu(which.down(given)))
        if insertion.startswith("serial"):
            return u + changed
        return u + changed + (x if inner_skip else 0)

    h = math.sqrt(SIZE) * model.item[items[0]] + model.position[-6:]
    seen = block.before_attention(h)
    query, key, value = (
        seen @ weight.T + bias
        for weight, bias in zip(
            block.attention.in_proj_weight.chunk(3), block.attention.in_proj_bias.chunk(3), strict=True
        )
    )
    shares = torch.softmax((query @ key.T / math.sqrt(SIZE)).masked_fill(torch.ones(6, 6).triu(1) > 0, -1e30), 1)
    attended = block.attention.out_proj(shares @ value)
    h = h + (attended if insertion == "serial_one" else patch(own.first, attended, seen))
    given = F.layer_norm(h, (SIZE,), own.norm.weight, own.norm.bias, 1e-8)  # the task's own in place of the block's
    changed = block.narrow(torch.relu(block.widen(given)))
    h = h + patch(own.second, changed, given)

    torch.testing.assert_close(model.states(items, patches)[0], model.norm(h), atol=1e-4, rtol=1e-4)


def test_new_patches_begin_as_nearly_or_wholly_nothing() -> None:
    model, items = trunk(), histories(5, 10)
    plain = model.user_vectors(items, "tcl")

    for zero_init, most in ((False, 0.02), (True, 1e-6)):
        patches = style(zero_init=zero_init).on(model, torch.Generator().manual_seed(0))
        changed = model.user_vectors(items, "tcl", patches)
        relative = float((changed.detach() - plain.detach()).norm() / plain.detach().norm())
        assert relative < most
        assert zero_init or relative > 0


def test_the_second_norm_of_a_task_begins_as_the_trunks() -> None:
    model = trunk()
    with torch.no_grad():
        model.blocks[1].before_network.weight.fill_(0.3)

    patches = style().on(model, None)

    assert torch.equal(patches[1].norm.weight, torch.full((SIZE,), 0.3))


def test_a_patch_behind_an_activation_has_no_place_here() -> None:
    with pytest.raises(
        ConfigError, match=r"parallel_after_activation needs blocks that end with an activation.*serial"
    ):
        style(insertion="parallel_after_activation").on(trunk(), None)


def test_heads_divide_the_width() -> None:
    with pytest.raises(ConfigError, match=r"backbone\.heads=3 must divide backbone\.embedding_size=16"):
        trunk(heads=3)
