"""CATN's pieces against numbers computed with the released TensorFlow code (tests/reference/README.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recretrain.backbones.aspects import AspectEncoder, AspectStyle
from recretrain.backbones.catn import SOURCE, TARGET, AspectNet, Flow, Pairs, Texts
from recretrain.data.interactions import Ragged
from recretrain.data.vocabulary import Vocabulary
from recretrain.methods.learners.two_flows import FlowLoss, TwoFlowAdam

ARRAYS = np.load(Path(__file__).parent / "catn.npz")
FORWARD = {"atol": 1e-5, "rtol": 1e-5}
GRADIENT = {"atol": 2e-6, "rtol": 1e-4}
WEIGHT = {"atol": 5e-6, "rtol": 0.0}
USERS, SOURCE_ITEMS, TARGET_ITEMS, WORDS, LONGEST = 12, 9, 8, 50, 14
ASPECTS, SIZE = 3, 5
RATE, L2 = (float(value) for value in ARRAYS["hyper_lr_l2"])
NAMES: Mapping[Flow, str] = {SOURCE: "S", TARGET: "T"}
FLOWS = pytest.mark.parametrize("flow", [SOURCE, TARGET], ids=["S", "T"])
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "doubleS": {"auxiliary": "off"},
    "share": {"auxiliary": "off", "encoder_by": "none"},
    "simple": {"auxiliary": "off", "encoder_by": "none", "attention": "uniform", "interaction": "batch_mean"},
}


def array(name: str) -> Tensor:
    return torch.from_numpy(np.array(ARRAYS[name]))


def network(*, attention: Any = "learned", pad_softmax: Any = "released", **choices: Any) -> AspectNet:
    """The network with the released weights; the target's items stand behind the source's."""
    style = AspectStyle(
        longest=LONGEST,
        window=3,
        filters=6,
        aspects=ASPECTS,
        aspect_size=SIZE,
        attention=attention,
        pad_softmax=pad_softmax,
        query_std=0.1,
    )
    chosen = {"encoder_by": "flow", "auxiliary": "live", "merge": "code", "interaction": "weighted", **choices}
    vocabulary = Vocabulary.of(
        n_users=USERS, n_items=SOURCE_ITEMS + TARGET_ITEMS, word_vectors=array("param.word")[:WORDS]
    )
    net = AspectNet(vocabulary=vocabulary, style=style, words="trainable", dropout=0.0, **chosen)
    with torch.no_grad():
        for name, weight in released(net):
            weight.copy_(named("param.", name))
    return net


def released(net: AspectNet) -> Iterator[tuple[str, Tensor]]:
    """The released name of each weight, several joined by `+`."""
    yield "word", net.word
    for letter, encoder in zip("ST", net.encoders, strict=False):
        yield from released_set(f"enc{letter}", encoder)
    yield "query_s+query_t", net.query
    yield "corr.W", net.correlation
    if net.merging is not None:
        for ours, theirs in (("gate", "gate.weight"), ("out", "out.weight"), ("gate_bias", "gate.bias")):
            yield f"merge.{theirs}", getattr(net.merging, ours)
        yield "merge.out.bias", net.merging.out_bias
    yield "user_bias", net.user_bias
    yield "item_bias_s+item_bias_t", net.item_bias


def released_set(name: str, encoder: AspectEncoder) -> Iterator[tuple[str, Tensor]]:
    layers = [f"{name}.{kind}{aspect}" for kind in ("proj", "gate") for aspect in range(ASPECTS)]
    yield f"{name}.conv.weight", encoder.convolution
    yield f"{name}.conv.bias", encoder.convolution_bias
    yield "+".join(f"{layer}.weight" for layer in layers), encoder.gates
    yield "+".join(f"{layer}.bias" for layer in layers), encoder.gates_bias
    if encoder.abstraction is not None:
        yield f"{name}.conv_aux.weight", encoder.abstraction
        yield f"{name}.conv_aux.bias", encoder.abstraction_bias


def named(prefix: str, name: str) -> Tensor:
    """The recorded arrays of a name as one of our shape: matrices of gates are (in, out) there, pads have a row."""
    parts = [array(prefix + part) for part in name.split("+")]
    if name == "word":
        return parts[0][:WORDS]
    if name.startswith("query"):
        return torch.stack(parts)
    return torch.cat([part.T if ".proj" in name and part.dim() == 2 else part for part in parts])


def documents(kind: str, flow: Flow) -> Ragged:
    letter = {"item": "st", "user": "ts", "aux": "ts"}[kind][flow]
    words, known = array(f"{kind}_doc_{letter}"), array(f"{kind}_mask_{letter}") > 0
    length = known.sum(1)
    return Ragged(torch.cat([length.new_zeros(1), length.cumsum(0)]), words[known].long())


def pairs(flow: Flow) -> Pairs:
    user, item = (array(f"batch{NAMES[flow]}_{kind}") for kind in ("user", "item"))
    return Pairs(
        user,
        item + flow * SOURCE_ITEMS,
        by_user=Texts(documents("user", flow), user),
        of_item=Texts(documents("item", flow), item),
        auxiliary=Texts(documents("aux", flow), user),
    )


def ratings(flow: Flow) -> Tensor:
    return array(f"batch{NAMES[flow]}_rating")


def loss(net: AspectNet, flow: Flow) -> Tensor:
    flows = {flow: lambda places: (pairs(flow), ratings(flow))}
    return FlowLoss(net, None, flows, l2=L2).loss((flow, torch.zeros(0)))


@FLOWS
def test_aspects_merge_and_correlations(flow: Flow) -> None:
    net = network()
    name = f"flow{NAMES[flow]}."
    user, item, other = net.read(flow, pairs(flow))

    assert other is not None
    merged = net.merged(user, other)
    torch.testing.assert_close(user, array(f"{name}A_user"), **FORWARD)
    torch.testing.assert_close(item, array(f"{name}A_item"), **FORWARD)
    torch.testing.assert_close(other, array(f"{name}A_aux"), **FORWARD)
    torch.testing.assert_close(merged, array(f"{name}A_user_merged"), **FORWARD)
    torch.testing.assert_close(net.importance(flow), array(f"{name}S"), **FORWARD)
    torch.testing.assert_close(net.correlations(flow, merged, item), array(f"{name}S_ui"), **FORWARD)


@FLOWS
def test_the_attention_of_words(flow: Flow) -> None:
    net = network()
    for kind, domain in (("user", 1 - flow), ("item", flow)):
        words, at = documents(kind, flow), getattr(pairs(flow), kind) - (kind == "item") * flow * SOURCE_ITEMS
        query = net.query[domain].expand(len(words), -1, -1)

        found = net.encoders[flow].weights_of_words(net.word, words, query)[at]

        expected = array(f"flow{NAMES[flow]}.attn_{kind}")
        known = torch.arange(LONGEST) < torch.diff(words.offsets)[at].unsqueeze(1)
        torch.testing.assert_close(found, expected * known.unsqueeze(2), **FORWARD)  # theirs has the pads' shares too


@FLOWS
def test_ratings_and_the_loss_with_its_gradients(flow: Flow) -> None:
    net = network()
    name = f"flow{NAMES[flow]}."

    found = loss(net, flow)
    found.backward()

    torch.testing.assert_close(net.rate(flow, pairs(flow)), array(f"{name}rating"), **FORWARD)
    torch.testing.assert_close(net.penalty(), array(f"{name}l2"), **FORWARD)
    torch.testing.assert_close(found, array(f"{name}loss"), **FORWARD)
    for key, weight in released(net):
        gradient = torch.zeros_like(weight) if weight.grad is None else torch.as_tensor(weight.grad)
        torch.testing.assert_close(gradient, named(f"{name}grad.", key), **GRADIENT, msg=key)


def test_a_step_on_each_flow_with_one_adam() -> None:
    net = network()
    adam = TwoFlowAdam(list(net.parameters()), learning_rate=RATE)

    for flow in (SOURCE, TARGET):
        adam.zero_grad()
        loss(net, flow).backward()
        adam.step()
        for key, weight in released(net):
            stepped = named(f"adam_after{NAMES[flow]}.", key)
            torch.testing.assert_close(weight.detach(), stepped, **WEIGHT, msg=f"{NAMES[flow]} {key}")


@FLOWS
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_other_ways_to_score(variant: str, flow: Flow) -> None:
    net = network(**VARIANTS[variant])
    name = f"variant_{variant}.flow{NAMES[flow]}."

    torch.testing.assert_close(net.rate(flow, pairs(flow)), array(f"{name}rating"), **FORWARD)
    torch.testing.assert_close(net.penalty(), array(f"{name}l2"), **FORWARD)
    torch.testing.assert_close(loss(net, flow), array(f"{name}loss"), **FORWARD)


@FLOWS
def test_the_papers_order_of_the_merge_is_the_codes_by_other_weights(flow: Flow) -> None:
    net = network(merge="paper")
    assert net.merging is not None
    with torch.no_grad():
        net.merging.gate[:SIZE] *= -1
        net.merging.out.copy_(net.merging.out.roll(SIZE, 0))

    torch.testing.assert_close(net.rate(flow, pairs(flow)), array(f"flow{NAMES[flow]}.rating"), **FORWARD)


@FLOWS
def test_no_auxiliary_document_as_released_is_the_merge_of_empty_ones(flow: Flow) -> None:
    live, dead = network(), network(auxiliary="released")
    empty = Ragged(torch.zeros(USERS + 1, dtype=torch.long), torch.zeros(0, dtype=torch.long))
    given = pairs(flow)
    none = given._replace(auxiliary=None)

    torch.testing.assert_close(
        dead.rate(flow, none), live.rate(flow, given._replace(auxiliary=Texts(empty, given.user)))
    )
    assert not torch.allclose(dead.rate(flow, none), live.rate(flow, given), atol=1e-3)


@FLOWS
def test_vectors_that_are_kept_give_the_same_ratings(flow: Flow) -> None:
    net = network().eval()
    given = pairs(flow)
    assert given.auxiliary is not None

    user = net.user_vectors(flow, given.by_user.documents, given.auxiliary.documents)[given.by_user.at]
    item = net.item_vectors(flow, given.of_item.documents)[given.of_item.at]

    torch.testing.assert_close(
        net.rated(given.user, given.item, user, item), array(f"flow{NAMES[flow]}.rating"), **FORWARD
    )
