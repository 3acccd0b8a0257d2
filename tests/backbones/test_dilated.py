"""Trunks of dilated convolutions: what a state may depend on, and what is not computed for it; patches in them."""

import pytest
import torch
from torch import Tensor

from recretrain.backbones.dilated import DilatedTrunk
from recretrain.backbones.grec import GRec
from recretrain.backbones.nextitnet import NextItNet
from recretrain.data.vocabulary import Vocabulary
from recretrain.errors import ConfigError
from tests.backbones.grafts import grafted, style

ITEMS = 50
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
INSERTIONS = ("serial", "serial_one", "parallel", "parallel_after_activation")
both = pytest.mark.parametrize("kind", [NextItNet, GRec])


def trunk(kind: type[DilatedTrunk], size: int = 16, dilations: tuple[int, ...] = (1, 4, 1, 4)) -> DilatedTrunk:
    torch.manual_seed(0)
    made = kind(
        vocabulary=Vocabulary.of(n_users=2, n_items=ITEMS),
        embedding_size=size,
        dilations=dilations,
        longest=70,
        dropout=0.0,
        relu_output=False,
    ).eval()
    with torch.no_grad():
        made.item.mul_(20)  # states that differ clearly
    return made


def histories(rows: int, length: int, seed: int = 0) -> Tensor:
    return torch.randint(ITEMS, (rows, length), generator=torch.Generator().manual_seed(seed))


def test_a_causal_state_does_not_depend_on_later_items() -> None:
    model = trunk(NextItNet)
    for patches in (None, grafted(model, insertion="parallel")):
        items = histories(3, 30)
        changed = items.clone()
        changed[:, 17:] = (changed[:, 17:] + 1) % ITEMS

        before, after = model.states(items, patches), model.states(changed, patches)

        torch.testing.assert_close(before[:, :17], after[:, :17], **CLOSE)
        assert bool((before[:, 17:] != after[:, 17:]).any(2).all())


def test_a_state_of_the_other_kind_depends_on_both_sides() -> None:
    model, items = trunk(GRec), histories(1, 30)

    for place in (10, 20):
        changed = items.clone()
        changed[0, place] = (changed[0, place] + 1) % ITEMS
        assert not torch.allclose(model.states(items)[0, 15], model.states(changed)[0, 15])


@pytest.mark.parametrize("length", [1, 2, 7, 25, 61, 70])
@pytest.mark.parametrize("insertion", [None, *INSERTIONS])
def test_the_last_state_needs_few_positions(length: int, insertion: str | None) -> None:
    """The same value and the same gradients as among all positions, with padding too."""
    model = trunk(NextItNet)
    patches = grafted(model, insertion=insertion) if insertion else None
    items = histories(4, length)
    items[0, : length // 2] = -1
    outcome = torch.randn(4, 16, generator=torch.Generator().manual_seed(3))
    found = []
    for last in (True, False):
        state = model.states(items, patches, last=last)[:, -1]
        model.zero_grad()
        (state * outcome).sum().backward()
        # a block's second norm gives way to that of its patches
        blocks = [weight.grad.clone() for weight in model.blocks.parameters() if weight.grad is not None]
        found.append([state.detach(), torch.as_tensor(model.item.grad).clone(), *blocks])
        model.item.grad = None

    for few, all_ in zip(*found, strict=True):
        torch.testing.assert_close(few, all_, atol=1e-4, rtol=1e-4)


def test_positions_that_the_last_one_needs() -> None:
    """1, 3, 7 and so on from the last convolution back; the convolutions of a block share what they read."""
    model = trunk(NextItNet, dilations=(1, 4))
    model.states(histories(1, 40), last=True)

    (views,) = model._views.values()

    assert [len(view.absolute) for view in views] == [15, 7, 3, 1]
    assert views[-2].absolute.tolist() == [23, 31, 39]  # the last convolution reaches back twice by 8


@both
@pytest.mark.parametrize("insertion", [None, *INSERTIONS])
def test_padding_changes_nothing(kind: type[DilatedTrunk], insertion: str | None) -> None:
    model = trunk(kind)
    patches = grafted(model, insertion=insertion) if insertion else None
    items = histories(3, 12)
    wide = torch.cat([torch.full((3, 9), -1), items], 1)

    padded = model.states(wide, patches)

    assert torch.count_nonzero(padded[:, :9]) == 0
    torch.testing.assert_close(padded[:, 9:], model.states(items, patches), **CLOSE)
    for readout in ("tcl", "mean", "last"):
        vectors = model.user_vectors(wide, readout, patches)
        torch.testing.assert_close(vectors, model.user_vectors(items, readout, patches), **CLOSE)


def test_readouts() -> None:
    items = histories(2, 9)
    causal, open_ = trunk(NextItNet), trunk(GRec)
    end = torch.full((2, 1), causal.tcl)

    torch.testing.assert_close(causal.user_vectors(items, "last"), causal.states(items)[:, -1], **CLOSE)
    torch.testing.assert_close(causal.user_vectors(items, "mean"), causal.states(items).mean(1), **CLOSE)
    closed = causal.states(torch.cat([items, end], 1))
    torch.testing.assert_close(causal.user_vectors(items, "tcl"), closed[:, -1], **CLOSE)
    framed = open_.states(torch.cat([end, items, end], 1))
    torch.testing.assert_close(open_.user_vectors(items, "tcl"), framed[:, 0] + framed[:, -1], **CLOSE)


@both
def test_an_empty_history_has_a_vector(kind: type[DilatedTrunk]) -> None:
    model = trunk(kind)
    nothing = torch.full((2, 5), -1)

    assert torch.count_nonzero(model.user_vectors(nothing, "tcl")) > 0
    assert torch.count_nonzero(model.user_vectors(nothing, "mean")) == 0
    assert torch.count_nonzero(model.user_vectors(nothing, "last")) == 0


def test_unknown_items_are_read_alike() -> None:
    model = trunk(NextItNet)
    items = histories(1, 9)
    items[0, 4] = 7
    other = items.clone()
    other[0, 4] = 8
    assert not torch.allclose(model.states(model.tokens(items)), model.states(model.tokens(other)))

    model.known[[7, 8]] = False

    assert torch.equal(model.states(model.tokens(items)), model.states(model.tokens(other)))


def test_the_gap_behind_a_history_is_what_the_other_kind_guesses_from() -> None:
    model = trunk(GRec)
    items = histories(2, 9)

    gap = model.states(torch.cat([items, torch.full((2, 1), model.tcl)], 1))[:, -1]

    torch.testing.assert_close(model.encode(items), gap, **CLOSE)


def test_sizes_at_the_papers_widths() -> None:
    """peterrec.md (d): 266,752 weights of patches; tuned shares of 9.42, 2.68 and 0.16 %."""
    model = trunk(NextItNet, size=256, dilations=(1, 4) * 4)
    convolutions = [getattr(block, f"conv{half}") for block in model.blocks for half in (1, 2)]
    norms = [getattr(block, f"norm{half}") for block in model.blocks for half in (1, 2)]
    patches, wide, tuned = (
        sum(weight.numel() for weight in style(**changes).on(model, None).parameters())
        for changes in ({"tune_second_norm": False}, {"tune_second_norm": False, "reduction": 4}, {})
    )

    assert (patches, wide, tuned - patches) == (266_752, 529_408, 4_096)
    assert sum(weight.numel() for layer in convolutions for weight in layer.parameters()) == 3_149_824
    blocks = 3_149_824 + sum(weight.numel() for layer in norms for weight in layer.parameters())
    for items, labels, share in ((191_000, 20_000, 9.42), (645_000, 17_000, 2.68), (645_000, 6, 0.16)):
        head = labels * 256
        assert round(100 * (patches + head) / (items * 256 + blocks + head), 2) == share


@pytest.mark.parametrize(
    ("changes", "low", "high"),
    [
        ({"insertion": "serial"}, 0.0, 0.02),
        ({"insertion": "parallel", "inner_skip": False}, 0.0, 0.02),
        ({"insertion": "parallel", "inner_skip": True}, 0.5, 3.0),
        ({"insertion": "serial", "zero_init": True}, 0.0, 1e-6),
    ],
)
def test_how_much_new_patches_change(changes: dict[str, object], low: float, high: float) -> None:
    """Parallel patches with the released skip are no identity at first (peterrec.md, d)."""
    model = trunk(NextItNet, size=64).requires_grad_(False)
    for name, weight in model.blocks.named_parameters():
        if name.endswith(("conv1.weight", "conv2.weight")):
            weight.mul_(5)  # as in a trained trunk, whose convolutions outweigh fresh patches
    items = histories(20, 40)
    plain = model.user_vectors(items, "last")

    changed = model.user_vectors(items, "last", style(**changes).on(model, torch.Generator().manual_seed(0)))

    relative = float((changed.detach() - plain).norm() / plain.norm())
    assert low <= relative < high


def test_a_patch_must_divide_the_width() -> None:
    with pytest.raises(ConfigError, match=r"method\.patches\.reduction=3 must divide backbone\.embedding_size=16"):
        style(reduction=3).on(trunk(NextItNet), None)
