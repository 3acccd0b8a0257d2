"""CPU seconds of CATN at the paper's sizes, beside a plain loop that reads the documents of every rating.

The released program is measured elsewhere: about 20 CPU seconds for 256 ratings, on another machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import Line, cpu_seconds, faster, interleaved
from recretrain.backbones.aspects import AspectEncoder, AspectStyle
from recretrain.backbones.catn import TARGET, AspectNet, Pairs, Texts
from recretrain.data.interactions import PAD, Interactions, Ragged
from recretrain.data.vocabulary import Vocabulary
from recretrain.methods.parts.reviews import donors

WORDS, SIZE, LONGEST, MEAN = 20_000, 300, 500, 214  # words of a document on average: those of Musical Instruments
RATINGS, RELEASED = 256, 20.0  # CPU seconds of the released program


def lines() -> Iterator[Line]:
    yield step("live", users=12, items=20, asked=4)
    yield step("released", users=12, items=20, asked=6)
    yield step("released", users=4, items=20, asked=10)
    yield released_program()
    yield answering()
    yield auxiliary()


def step(auxiliary: Literal["live", "released"], *, users: int, items: int, asked: float) -> Line:
    """A step's loss and gradients on 32 ratings."""
    net, pairs = network(auxiliary), batch(32, users, items)
    found, expected = net.rate(TARGET, pairs), plain(net, pairs)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    return faster(
        f"a step on 32 ratings of {users} users and {items} items, auxiliary {auxiliary}, against a loop of ratings",
        lambda: backward(net, net.rate(TARGET, pairs)),
        lambda: backward(net, plain(net, pairs)),
        asked=asked,
        repetitions=3,
    )


def released_program() -> Line:
    net, pairs = network("released"), batch(RATINGS, 160, 200)
    ours, _ = interleaved(lambda: backward(net, net.rate(TARGET, pairs)), lambda: None, 3)
    what = "a step on 256 ratings of 160 users and 200 items, against the released program's time elsewhere"
    return Line(what, f"{ours:.2f} s", f"{RELEASED:.0f} s", RELEASED / ours, 20)


@torch.no_grad()
def answering() -> Line:
    """Vectors of all users and items asked are read once; 4096 ratings, of which the plain way answers 32."""
    net, pairs = network("released"), batch(32, 12, 20)
    user, item = (torch.randint(n, (4096,), generator=generator()) for n in (12, 20))

    def kept() -> Tensor:
        of_user = net.user_vectors(TARGET, pairs.by_user.documents, None)
        of_item = net.item_vectors(TARGET, pairs.of_item.documents)
        return net.rated(user, item, of_user[user], of_item[item])

    ours, theirs = interleaved(kept, lambda: plain(net, pairs), 3)
    theirs *= 4096 / 32
    what = "answering 4096 ratings of 12 users and 20 items from kept vectors, against reading for each"
    return Line(what, f"{1000 * ours:.3g} ms", f"{theirs:.3g} s", theirs / ours, 50)


def auxiliary() -> Line:
    """Seconds of four times the rows, as a multiple: linear is 4, quadratic 16."""
    few, many = (cpu_seconds(lambda n=n: donors(rows(n), generator())) for n in (250_000, 1_000_000))  # type: ignore[misc]
    what = "drawing auxiliary reviews of 1,000,000 rows, against 250,000"
    return Line(what, f"{many:.2f} s", f"{few:.2f} s", many / few, 6, at_least=False)


def plain(net: AspectNet, pairs: Pairs) -> Tensor:
    """Each rating reads its own documents with all of their pads, an aspect at a time (catn.md, c).  # -> [B]"""
    by_user, of_item = (padded(text) for text in (pairs.by_user, pairs.of_item))
    assert pairs.auxiliary is not None
    others = padded(pairs.auxiliary)
    if net.auxiliary == "released":  # the released graph computes the branch, of documents without words
        others = torch.full_like(others, PAD)
    encoder = net.encoders[TARGET]
    assert isinstance(encoder, AspectEncoder)
    user = torch.stack([read(net, encoder, ids, 0, abstract=False) for ids in by_user])
    other = torch.stack([read(net, encoder, ids, 0, abstract=True) for ids in others])
    item = torch.stack([read(net, encoder, ids, 1, abstract=False) for ids in of_item])
    found = net.importance(TARGET) * net.correlations(TARGET, net.merged(user, other), item)
    return found.mean((1, 2)) + net.user_bias[pairs.user] + net.item_bias[pairs.item]


def read(net: AspectNet, encoder: AspectEncoder, ids: Tensor, domain: int, *, abstract: bool) -> Tensor:
    known = (ids >= 0).unsqueeze(1)
    states = convolved(net.word[ids.clamp(min=0)] * known, encoder.convolution, encoder.convolution_bias)
    if abstract:
        assert encoder.abstraction is not None
        assert encoder.abstraction_bias is not None
        states = convolved(states, encoder.abstraction, encoder.abstraction_bias)
    size, half = net.style.aspect_size, net.style.aspects * net.style.aspect_size
    found = []
    for aspect in range(net.style.aspects):
        own = slice(aspect * size, (aspect + 1) * size)
        gate = slice(half + own.start, half + own.stop)
        value = F.linear(states, encoder.gates[own], encoder.gates_bias[own])
        gated = value * torch.sigmoid(F.linear(states, encoder.gates[gate], encoder.gates_bias[gate])) * known
        found.append((gated @ net.query[domain, aspect]).softmax(0) @ gated)
    return torch.stack(found)


def convolved(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.relu(F.conv1d(rows.T.unsqueeze(0), weight.permute(2, 1, 0), bias, padding=1)[0].T)


def backward(net: AspectNet, ratings: Tensor) -> None:
    net.zero_grad()
    ratings.square().mean().backward()


def network(auxiliary: Literal["live", "released"]) -> AspectNet:
    style = AspectStyle(
        longest=LONGEST,
        window=3,
        filters=50,
        aspects=5,
        aspect_size=32,
        attention="learned",
        pad_softmax="released",
        query_std=0.5,
    )
    vectors = torch.randn(WORDS, SIZE, generator=generator())
    net = AspectNet(
        vocabulary=Vocabulary.of(n_users=1000, n_items=1000, word_vectors=vectors),
        style=style,
        words="trainable",
        encoder_by="flow",
        auxiliary=auxiliary,
        merge="paper",
        interaction="weighted",
        dropout=0.0,
    )
    net.draw(generator())
    return net


def batch(ratings: int, users: int, items: int) -> Pairs:
    user, item = (torch.arange(ratings) % n for n in (users, items))
    return Pairs(
        user,
        item,
        by_user=Texts(documents(users, 1), user),
        of_item=Texts(documents(items, 2), item),
        auxiliary=Texts(documents(users, 3), user),
    )


def documents(n: int, seed: int) -> Ragged:
    """Documents of 1 to 2 x MEAN words, frequent ones as rank^-1."""
    draw = generator(seed)
    length = torch.randint(1, 2 * MEAN, (n,), generator=draw)
    offsets = F.pad(length.cumsum(0), (1, 0))
    word = (WORDS ** torch.rand(int(offsets[-1]), generator=draw)).long() - 1
    return Ragged(offsets, word)


def padded(text: Texts) -> Tensor:
    """Each rating's document.  # -> [B, LONGEST]"""
    found = torch.full((len(text.at), LONGEST), PAD)
    for row, at in enumerate(text.at.tolist()):
        ids = text.documents.rows(at, at + 1).values
        found[row, : len(ids)] = ids
    return found


def rows(n: int) -> Interactions:
    draw = generator()
    user, item = (torch.randint(n // 10, (n,), generator=draw) for _ in range(2))
    return Interactions(user, item, {"rating": torch.randint(1, 6, (n,), generator=draw).float()})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
