"""The quick encoder against one that convolves every document with all of its pads, in all its styles."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recretrain.backbones import aspects
from recretrain.backbones.aspects import AspectEncoder, AspectStyle
from recretrain.data.interactions import PAD, Ragged
from recretrain.errors import ConfigError

LONGEST, WORDS, SIZE = 9, 30, 7
STYLES = list(itertools.product(("learned", "uniform"), ("released", "masked"), (1, 3, 5)))


def encoder(attention, pads, window, *, abstract=True) -> AspectEncoder:
    style = AspectStyle(
        longest=LONGEST,
        window=window,
        filters=4,
        aspects=3,
        aspect_size=5,
        attention=attention,
        pad_softmax=pads,
        query_std=0.1,
    )
    made = AspectEncoder(style, SIZE, abstract=abstract)
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(weight.numel()))
    return made


def given() -> tuple[Tensor, Ragged, Tensor, Tensor]:
    """Words, documents of all lengths in no order with a hidden word, queries, and which are auxiliary."""
    draw = torch.Generator().manual_seed(1)
    lengths = torch.tensor([4, 0, LONGEST, 1, LONGEST - 1, 0, 3, LONGEST, 2, LONGEST - 1])
    ids = torch.randint(WORDS, (int(lengths.sum()),), generator=draw)
    ids[7] = PAD
    documents = Ragged(F.pad(lengths.cumsum(0), (1, 0)), ids)
    word = torch.randn(WORDS, SIZE, generator=draw)
    return word, documents, torch.randn(len(lengths), 3, 5, generator=draw), torch.arange(len(lengths)) % 3 == 1


def plain(net: AspectEncoder, word: Tensor, documents: Ragged, query: Tensor, abstract: Tensor) -> Tensor:
    """catn.md (c) as it is written, a document at a time, over all `longest` places."""
    vectors = []
    for place in range(len(documents)):
        ids = documents.rows(place, place + 1).values
        ids = F.pad(ids, (0, LONGEST - len(ids)), value=PAD)
        known = (ids >= 0).unsqueeze(1)
        states = convolved(word[ids.clamp(min=0)] * known, net.convolution, net.convolution_bias)
        if abstract[place]:
            states = convolved(states, net.abstraction, net.abstraction_bias)
        value, gate = F.linear(states, net.gates, net.gates_bias).chunk(2, 1)
        gated = (value * torch.sigmoid(gate) * known).view(LONGEST, 3, 5)
        vectors.append((attention(net, gated, known, query[place]).unsqueeze(2) * gated).sum(0))
    return torch.stack(vectors)


def attention(net: AspectEncoder, gated: Tensor, known: Tensor, query: Tensor) -> Tensor:
    logits = (gated * query).sum(2)
    if net.style.attention == "uniform":
        return torch.full_like(logits, 1 / LONGEST)
    if net.style.pad_softmax == "masked":
        logits = logits.masked_fill(~known, -1e9)
    return logits.softmax(0)


def convolved(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    kernel = weight.permute(2, 1, 0)
    return torch.relu(F.conv1d(rows.T.unsqueeze(0), kernel, bias, padding=kernel.shape[2] // 2)[0].T)


@pytest.mark.parametrize("in_chunks_of", [1, 25, 10_000])
@pytest.mark.parametrize(("attends", "pads", "window"), STYLES)
def test_aspect_vectors_and_their_gradients_are_the_plain_ones(attends, pads, window, in_chunks_of, monkeypatch):
    monkeypatch.setattr(aspects, "_CHUNK", {"cpu": in_chunks_of})
    net = encoder(attends, pads, window).double()
    word, documents, query, abstract = given()
    asked = torch.randn(len(documents), 3, 5, generator=torch.Generator().manual_seed(2)).double()

    found, gradients = {}, {}
    for name, way in (("ours", net), ("plain", lambda *args: plain(net, *args))):
        leaves = [word.double().requires_grad_(True), query.double().requires_grad_(True)]
        net.zero_grad()
        found[name] = way(leaves[0], documents, leaves[1], abstract)
        (found[name] * asked).sum().backward()
        weights = [weight for weight in [*leaves, *net.parameters()] if weight.grad is not None]
        gradients[name] = [weight.grad.clone() for weight in weights]

    torch.testing.assert_close(found["ours"], found["plain"], atol=1e-10, rtol=1e-10)
    assert len(gradients["ours"]) == len(gradients["plain"]) == (7 if attends == "uniform" else 8)
    for ours, theirs in zip(gradients["ours"], gradients["plain"], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("pads", ["released", "masked"])
def test_a_document_without_words_has_no_aspects(pads):
    net = encoder("learned", pads, 3, abstract=False)
    word, _, query, _ = given()
    empty = Ragged(torch.zeros(4, dtype=torch.long), torch.zeros(0, dtype=torch.long))

    found = net(word, empty, query[:3])

    assert torch.equal(found, torch.zeros(3, 3, 5))


def test_pads_take_their_share_as_released_and_none_if_masked():
    word, documents, query, _ = given()
    length = torch.diff(documents.offsets)

    released = encoder("learned", "released", 3).weights_of_words(word, documents, query)
    masked = encoder("learned", "masked", 3).weights_of_words(word, documents, query)

    torch.testing.assert_close(masked.sum(1), (length > 0).float().unsqueeze(1).expand(-1, 3))
    assert bool((released.sum(1)[length < LONGEST - 1] < 1).all())
    hidden = int(documents.row_of_value()[7])
    assert released[hidden, 7 - int(documents.offsets[hidden])].tolist() == [0, 0, 0]


def test_documents_do_not_see_their_neighbours():
    net = encoder("learned", "released", 5)
    word, documents, query, abstract = given()
    alone = torch.cat([net(word, documents.at(at), query[at], abstract[at]) for at in torch.arange(10).split(1)])

    torch.testing.assert_close(net(word, documents, query, abstract), alone, atol=1e-6, rtol=1e-5)


def test_a_window_without_a_middle_is_refused():
    with pytest.raises(ConfigError, match=r"style\.window=4"):
        encoder("learned", "released", 4)
