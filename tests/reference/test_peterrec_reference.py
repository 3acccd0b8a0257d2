"""PeterRec's pieces against numbers computed with the released TensorFlow code (tests/reference/README.md)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.dilated import DilatedTrunk
from recretrain.backbones.grec import GRec
from recretrain.backbones.nextitnet import NextItNet
from recretrain.backbones.optimizers import TensorFlowAdam
from recretrain.backbones.patches import PatchStyle
from recretrain.backbones.sampled_softmax import Drawn, LogUniform, expected, sampled_cross_entropy
from recretrain.data.vocabulary import Vocabulary
from recretrain.methods.learners.labels import Labelled, LabelObjective, LossOf
from recretrain.methods.learners.source import FullSoftmax, Guess, SourceLoss, next_items
from recretrain.methods.peterrec import PatchedTrunk

ARRAYS = np.load(Path(__file__).parent / "peterrec.npz")
FORWARD = {"atol": 1e-5, "rtol": 1e-5}
GRADIENT = {"atol": 2e-6, "rtol": 1e-4}
WEIGHT = {"atol": 5e-6, "rtol": 0.0}
ITEMS, LABELS, SIZE = 40, 12, 16
L2 = 0.02
VARIANTS = {  # name of the arrays -> trunk, insertion
    "causal_parallel": (NextItNet, "parallel"),
    "causal_serial": (NextItNet, "serial"),
    "noncausal_parallel": (GRec, "parallel"),
    "noncausal_serial": (GRec, "serial"),
    "causal_serial1": (NextItNet, "serial_one"),
}
TRAINED = ("causal_parallel", "causal_serial", "noncausal_parallel")  # those that released scripts use


def array(name: str) -> Tensor:
    return torch.from_numpy(np.array(ARRAYS[name]))


def trunk(kind: type[DilatedTrunk], *, relu_output: bool = False, tokens: int = ITEMS) -> DilatedTrunk:
    """The trunk with the released weights: row 0 is [TCL], [MASK] and unknown, and an item besides.

    `tokens`: number of items of the vocabulary, those of the labels' space among them.
    """
    space = (torch.arange(tokens) >= ITEMS).long()
    made = kind(
        vocabulary=Vocabulary.of(n_users=1, n_items=tokens, spaces=("source", "labels"), item_space=space),
        embedding_size=SIZE,
        dilations=array("dilations").tolist(),
        longest=11,
        dropout=0.0,
        relu_output=relu_output,
    ).eval()
    with torch.no_grad():
        made.item[:ITEMS] = array("param.embedding")
        made.item[-2:] = array("param.embedding")[0]
        made.output[:ITEMS] = torch.cat([array("param.logits.weight").T, array("param.logits.bias").unsqueeze(1)], 1)
        for name, weight in released_blocks(made.blocks):
            weight.copy_(array(f"param.{name}").reshape(weight.shape))
    return made


def released_blocks(blocks: nn.ModuleList) -> Iterator[tuple[str, Tensor]]:
    """The released name of each weight of the blocks."""
    for place, block in enumerate(blocks):
        for half in (1, 2):
            convolution, norm = getattr(block, f"conv{half}"), getattr(block, f"norm{half}")
            yield f"block{place}.conv{half}.weight", convolution.weight
            yield f"block{place}.conv{half}.bias", convolution.bias
            yield f"block{place}.ln{half}.gain", norm.weight
            yield f"block{place}.ln{half}.bias", norm.bias


def released_patches(patches: nn.ModuleList) -> Iterator[tuple[str, Tensor]]:
    """The released name of each weight of the patches and of the second norms; matrices are (in, out) there."""
    for place, own in enumerate(patches):
        for half, patch in ((1, own.first), (2, own.second)):
            for layer in ("down", "up") if patch is not None else ():
                yield f"block{place}.patch{half}.{layer}.weight", getattr(patch, layer).weight
                yield f"block{place}.patch{half}.{layer}.bias", getattr(patch, layer).bias
        yield f"block{place}.ln2.gain", own.norm.weight
        yield f"block{place}.ln2.bias", own.norm.bias


def as_ours(name: str, value: Tensor) -> Tensor:
    return value.T if ".patch" in name and value.dim() == 2 else value


def patched(name: str) -> PatchedTrunk:
    """Trunk, patches and head of a variant. The labels' ids are ITEMS + their number."""
    kind, insertion = VARIANTS[name]
    style = PatchStyle(
        insertion=insertion, inner_skip=True, reduction=4, activation="gelu", tune_second_norm=True, zero_init=False
    )
    shared = trunk(kind, tokens=ITEMS + LABELS).requires_grad_(False)
    ids = torch.arange(ITEMS, ITEMS + LABELS)
    net = PatchedTrunk(shared, ids, patches=style, tunes=[], readout="tcl", of_source=False)
    with torch.no_grad():
        for released, weight in released_patches(net.patches):
            weight.copy_(as_ours(released, array(f"param.{released}")))
        net.head.copy_(array("param.head.table"))
    return net


def test_the_trunks_states() -> None:
    source = array("source_seq")
    causal, both = trunk(NextItNet), trunk(GRec)

    torch.testing.assert_close(causal.states(source[:, :-1]), array("causal.trunk_hidden"), **FORWARD)
    torch.testing.assert_close(both.states(source), array("noncausal.trunk_hidden"), **FORWARD)
    torch.testing.assert_close(both.states(array("cloze_input")), array("noncausal.cloze_hidden"), **FORWARD)


def test_the_full_soft_max_of_pre_training_and_its_gradients() -> None:
    model = trunk(NextItNet, relu_output=True)
    objective = SourceLoss(model, None, FullSoftmax().over(torch.ones(ITEMS)), torch.Generator())

    loss = objective.loss(next_items(model, array("source_seq")))
    loss.backward()

    torch.testing.assert_close(loss, array("causal.pretrain_loss_full"), **FORWARD)
    gradient = {"causal.pretrain_grad": model.item.grad[:ITEMS]}
    torch.testing.assert_close(
        torch.as_tensor(gradient["causal.pretrain_grad"]), array("causal.pretrain_grad.embedding"), **GRADIENT
    )
    for name, weight in released_blocks(model.blocks):
        torch.testing.assert_close(
            weight.grad, array(f"causal.pretrain_grad.{name}").reshape(weight.shape), **GRADIENT, msg=name
        )
    table = torch.cat(
        [array("causal.pretrain_grad.logits.weight").T, array("causal.pretrain_grad.logits.bias").unsqueeze(1)], 1
    )
    torch.testing.assert_close(torch.as_tensor(model.output.grad), table, **GRADIENT)


def test_the_cloze_loss_is_that_of_the_hidden_positions() -> None:
    model = trunk(GRec, relu_output=True)
    positions = array("cloze_positions")
    rows = torch.arange(len(positions)).repeat_interleave(positions.shape[1])
    guess = Guess(array("cloze_input"), (rows, positions.flatten()), array("cloze_items").flatten())

    loss = SourceLoss(model, None, FullSoftmax().over(torch.ones(ITEMS)), torch.Generator()).loss(guess)

    torch.testing.assert_close(loss, array("noncausal.cloze_loss_full"), **FORWARD)


def test_the_sampled_soft_max() -> None:
    model = trunk(NextItNet)
    with torch.no_grad():
        model.output.copy_(torch.cat([array("param.softmax_w"), array("param.softmax_b").unsqueeze(1)], 1))
    guess = next_items(model, array("source_seq"))
    drawn = Drawn(
        array("sampled.ids").long(),
        array("sampled.expected_sampled").log().float(),
        array("sampled.expected_true").flatten().log().float(),
    )

    features = model.biased(model.states(guess.tokens)[guess.at])

    assert bool((guess.label.unsqueeze(1) == drawn.items).any()), "no accidental hit is tested"
    loss = sampled_cross_entropy(features, model.output, guess.label, drawn)
    torch.testing.assert_close(loss, array("sampled.loss"), **FORWARD)


def test_expected_counts_of_distinct_draws_are_tensor_flows() -> None:
    """The release's sampler ranks by id; the number of tries that its counts imply is one whole number."""
    chance = LogUniform(torch.arange(ITEMS), ITEMS).chance
    true = array("sampled.expected_true").flatten().double()
    label = array("source_seq")[:, 1:].flatten()
    tries = torch.log1p(-true) / torch.log1p(-chance[label])

    assert float(tries.std()) < 1e-4
    count = round(float(tries.mean()))
    torch.testing.assert_close(expected(chance, count)[label], true, atol=1e-6, rtol=1e-6)
    sampled = expected(chance, count)[array("sampled.ids").long()]
    torch.testing.assert_close(sampled, array("sampled.expected_sampled").double(), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_states_of_a_patched_trunk(name: str) -> None:
    net = patched(name)
    source = array("source_seq")
    closed = F.pad(source, (1, 1) if name.startswith("non") else (0, 1), value=0)

    torch.testing.assert_close(net.trunk.states(closed, net.patches), array(f"{name}.hidden"), **FORWARD)


@pytest.mark.parametrize("name", TRAINED)
def test_user_vectors_and_scores(name: str) -> None:
    net = patched(name)
    features = net.features(array("source_seq"))
    asked = [array("target_pos").unsqueeze(1), array("target_neg").reshape(6, -1), array("eval_candidates")]

    torch.testing.assert_close(features, array(f"{name}.user_vector"), **FORWARD)
    for labels, expected_scores in zip(asked, ("pos_score", "neg_score", "cand_scores"), strict=True):
        found = net.scores(features, labels.long() + ITEMS)
        torch.testing.assert_close(found, array(f"{name}.{expected_scores}").reshape(found.shape), **FORWARD)
    if name == "causal_serial":
        torch.testing.assert_close(net.scores(features, net.items), array(f"{name}.all_scores"), **FORWARD)


@pytest.mark.parametrize("name", TRAINED)
def test_the_loss_its_gradients_and_a_step_of_what_is_tuned(name: str) -> None:
    net = patched(name)
    for weight in net.tuned().values():
        weight.requires_grad_(True)
    optimizer = TensorFlowAdam(list(net.tuned().values()), learning_rate=1e-3)
    objective = with_given_negatives(net, "pointwise")
    before = {key: value.clone() for key, value in net.state_dict().items() if key not in net.names}

    loss = objective.loss((torch.arange(6),))
    loss.backward()

    torch.testing.assert_close(loss, array(f"{name}.loss"), **FORWARD)
    own = {**dict(released_patches(net.patches)), "head.table": net.head}
    for released, weight in own.items():
        gradient = as_ours(released, array(f"{name}.grad.{released}"))
        torch.testing.assert_close(torch.as_tensor(weight.grad), gradient, **GRADIENT, msg=released)
    optimizer.step()
    for released, weight in own.items():
        stepped = as_ours(released, array(f"{name}.adam1.{released}"))
        torch.testing.assert_close(weight.detach(), stepped, **WEIGHT, msg=released)
    after = net.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_the_bpr_loss_of_the_rank_sampling_script() -> None:
    net = patched("causal_serial")

    loss = with_given_negatives(net, "bpr").loss((torch.arange(6),))

    torch.testing.assert_close(loss, array("causal_serial.bpr_loss"), **FORWARD)


class Given(LossOf):
    """The loss with the recorded negatives."""

    def drawn(self, label: Tensor, generator: torch.Generator) -> Tensor:
        return array("target_neg").reshape(6, -1) + ITEMS


def with_given_negatives(net: PatchedTrunk, loss: str) -> LabelObjective:
    label = array("target_pos").long() + ITEMS
    rows = Labelled(array("source_seq"), torch.arange(6), label, label.new_empty(6, 0))
    given = Given(loss, net.items, L2)
    return LabelObjective(net, None, rows, given, torch.Generator(), None)
