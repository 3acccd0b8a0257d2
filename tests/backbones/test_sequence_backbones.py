"""The promises of every sequence backbone, and the computation of each one in the plainest way."""

import math
import sys
from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from hydra.utils import get_class
from omegaconf import OmegaConf
from torch import Tensor, nn

from recretrain.backbones.ader_sasrec import AderSASRec
from recretrain.backbones.caser import Caser
from recretrain.backbones.dilated import DilatedTrunk
from recretrain.backbones.grec import GRec
from recretrain.backbones.gru4rec import GRU4Rec
from recretrain.backbones.nextitnet import NextItNet
from recretrain.backbones.optimizers import TensorFlowAdam
from recretrain.backbones.sasrec import SASRec
from recretrain.backbones.sasrec_trunk import SASRecTrunk
from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.softmax import cross_entropy
from recretrain.backbones.user_vectors import UserVectors
from recretrain.configuration.compose import conf_dir
from recretrain.data.kinds import Questions
from recretrain.data.vocabulary import Vocabulary
from recretrain.errors import ConfigError

ITEMS, KNOWN, LONGEST, SIZE, USERS = 30, 25, 6, 8, 3
SAME = {"atol": 1e-5, "rtol": 1e-5}
Make = Callable[..., SequenceBackbone]


def ader_sasrec(dropout: float = 0.0, n_items: int = ITEMS) -> AderSASRec:
    return AderSASRec(
        vocabulary=Vocabulary.of(n_users=USERS, n_items=n_items),
        embedding_size=SIZE,
        blocks=2,
        longest=LONGEST,
        dropout=dropout,
    ).eval()


def sasrec(dropout: float = 0.0, n_items: int = ITEMS, heads: int = 1, blocks: int = 2) -> SASRec:
    return SASRec(
        vocabulary=Vocabulary.of(n_users=USERS, n_items=n_items),
        embedding_size=SIZE,
        blocks=blocks,
        heads=heads,
        longest=LONGEST,
        dropout=dropout,
    ).eval()


def two_headed_sasrec(dropout: float = 0.0, n_items: int = ITEMS) -> SASRec:
    return sasrec(dropout, n_items, heads=2)


def gru4rec(
    dropout: float = 0.0, n_items: int = ITEMS, tied: bool = True, hidden: int = SIZE, layers: int = 1
) -> GRU4Rec:
    return GRU4Rec(
        vocabulary=Vocabulary.of(n_users=USERS, n_items=n_items),
        embedding_size=SIZE,
        hidden_size=hidden,
        layers=layers,
        tied=tied,
        longest=LONGEST,
        dropout=dropout,
    ).eval()


def deep_gru4rec(dropout: float = 0.0, n_items: int = ITEMS) -> GRU4Rec:
    return gru4rec(dropout, n_items, hidden=12, layers=2)


def untied_gru4rec(dropout: float = 0.0, n_items: int = ITEMS) -> GRU4Rec:
    return gru4rec(dropout, n_items, tied=False, hidden=10)


def caser(dropout: float = 0.0, n_items: int = ITEMS, users: bool = True) -> Caser:
    return Caser(
        vocabulary=Vocabulary.of(n_users=USERS, n_items=n_items),
        embedding_size=SIZE,
        horizontal=6,  # of fewer, all of a height may be dead
        vertical=2,
        longest=LONGEST,
        dropout=dropout,
        users=users,
    ).eval()


def caser_of_sessions(dropout: float = 0.0, n_items: int = ITEMS) -> Caser:
    return caser(dropout, n_items, users=False)


def nextitnet(dropout: float = 0.0, n_items: int = ITEMS, kind: type[DilatedTrunk] = NextItNet) -> DilatedTrunk:
    return kind(
        vocabulary=Vocabulary.of(n_users=USERS, n_items=n_items),
        embedding_size=SIZE,
        dilations=[1, 1],  # of the last item's seven predecessors, all are seen
        longest=LONGEST,
        dropout=dropout,
        relu_output=False,
    ).eval()


def grec(dropout: float = 0.0, n_items: int = ITEMS) -> DilatedTrunk:
    return nextitnet(dropout, n_items, GRec)


def sasrec_trunk(dropout: float = 0.0, n_items: int = ITEMS) -> SASRecTrunk:
    return SASRecTrunk(
        vocabulary=Vocabulary.of(n_users=USERS, n_items=n_items),
        embedding_size=SIZE,
        blocks=2,
        heads=2,
        longest=LONGEST,
        dropout=dropout,
    ).eval()


MAKERS = [
    ader_sasrec,
    sasrec,
    two_headed_sasrec,
    gru4rec,
    deep_gru4rec,
    untied_gru4rec,
    caser,
    caser_of_sessions,
    nextitnet,
    grec,
    sasrec_trunk,
]
every = pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def histories(rows: int = 20, known: int = KNOWN, shortest: int = 1) -> Tensor:
    """Of every length."""
    length = torch.arange(rows) % (LONGEST + 1 - shortest) + shortest
    column = torch.arange(LONGEST, 0, -1)
    return torch.where(column <= length.unsqueeze(1), torch.randint(known, (rows, LONGEST)), -1)


def users(history: Tensor) -> Tensor:
    return torch.arange(len(history)) % USERS


def represent(model: SequenceBackbone, history: Tensor) -> Tensor:
    return model.represent(history, users(history))


def items_of(row: Tensor) -> Tensor:
    return row[row >= 0]


def test_every_sequence_backbone_of_conf_is_tested_here():
    found = {get_class(str(OmegaConf.load(path)["_target_"])) for path in (conf_dir() / "backbone").glob("*.yaml")}

    tested = {type(make()) for make in MAKERS} | {UserVectors}  # which looks at no history: test_user_vectors.py
    assert {kind for kind in found if issubclass(kind, SequenceBackbone)} == tested


@every
def test_a_history_gives_the_same_alone_without_padding_and_among_others(make: Make):
    model, history = make(), histories()

    together = represent(model, history)
    padded = model.encode(history)
    alone = torch.cat([model.encode(items_of(row).unsqueeze(0)) for row in history])

    assert together.shape == (len(history), model.output.shape[1])
    torch.testing.assert_close(padded, alone, **SAME)
    torch.testing.assert_close(together, model.completed(alone, users(history)), **SAME)


@every
def test_only_the_last_items_matter(make: Make):
    model, history = make(), histories()
    longer = torch.cat([torch.randint(KNOWN, (len(history), 3)), history.clamp(min=0)], 1)

    torch.testing.assert_close(represent(model, longer), represent(model, longer[:, 3:]), **SAME)


@every
def test_every_item_that_is_looked_at_matters(make: Make):
    model = make()
    history = torch.arange(LONGEST).unsqueeze(0)
    before = model.encode(history)

    for place in range(LONGEST):
        other = history.clone()
        other[0, place] = KNOWN - 1
        assert not torch.allclose(model.encode(other), before, atol=1e-7), f"column {place}"


def prefixes_are_encoded_one_by_one(model: SequenceBackbone) -> None:
    history = histories(shortest=0)

    found = model.encode_all(history)

    assert found.shape == (len(history), LONGEST, model.width)
    for place in range(LONGEST):
        present = history[:, place] >= 0
        expected = model.encode(history[present, : place + 1])
        torch.testing.assert_close(found[present, place], expected, **SAME)
        assert not found[~present, place].any()


@every
def test_the_vector_at_a_position_is_that_of_the_history_up_to_it(make: Make):
    prefixes_are_encoded_one_by_one(make())
    assert not make().encode_all(torch.full((2, LONGEST), -1)).any()


@every
def test_a_network_that_looks_ahead_by_one_is_found(make: Make):
    class LooksAhead(type(make())):
        def encode_all(self, history: Tensor) -> Tensor:
            honest = super().encode_all(history)
            return torch.cat([honest[:, 1:], honest[:, -1:]], 1) * (history >= 0).unsqueeze(2)

    model = make()
    model.__class__ = LooksAhead

    with pytest.raises(AssertionError):
        prefixes_are_encoded_one_by_one(model)


@every
def test_gradients_reach_every_position(make: Make):
    model, plain, history = make(), make(), histories()
    plain.load_state_dict(model.state_dict())
    weight = torch.randn(len(history), LONGEST, model.width)

    (model.encode_all(history) * weight).sum().backward()
    places = [(row, stop) for row, stop in torch.nonzero(history >= 0).tolist()]
    sum((plain.encode(history[row : row + 1, : stop + 1]) * weight[row, stop]).sum() for row, stop in places).backward()

    torch.testing.assert_close(model.item.grad, plain.item.grad, atol=1e-4, rtol=1e-4)


@every
def test_a_frozen_table_gets_no_gradient_and_the_rest_theirs(make: Make):
    model, plain = make(), make()
    plain.load_state_dict(model.state_dict())
    history, label = histories(), torch.randint(KNOWN, (20,))
    tables = {id(model.item), id(model.output)}

    for one, freezes in ((model, True), (plain, False)):
        one.item.requires_grad_(not freezes)
        one.output.requires_grad_(not freezes)
        cross_entropy(represent(one, history), one.output, label, KNOWN).backward()

    wanted = dict(plain.named_parameters())
    for name, parameter in model.named_parameters():
        if id(parameter) in tables:
            assert parameter.grad is None, name
        else:
            assert torch.equal(parameter.grad, wanted[name].grad), name


@every
def test_an_empty_history_is_zero_before_it_is_completed_and_disturbs_nobody(make: Make):
    model, history = make(), histories(shortest=0)
    empty = (history >= 0).sum(1) == 0
    rest = model.completed(torch.zeros(len(history), model.width), users(history))

    features = represent(model, history)

    assert int(empty.sum()) == 3
    assert torch.equal(features[empty], rest[empty])
    torch.testing.assert_close(features[~empty], model.represent(history[~empty], users(history)[~empty]), **SAME)


@every
@pytest.mark.parametrize("known", [KNOWN, ITEMS])
def test_gradients_are_those_of_plain_autograd(make: Make, known: int, monkeypatch: pytest.MonkeyPatch):
    model, plain = make(), make()
    plain.load_state_dict(model.state_dict())
    history, label = histories(40), torch.randint(KNOWN, (40,))
    train = model.train(), plain.train()

    loss = cross_entropy(represent(train[0], history), model.output, label, known)
    loss.backward()
    for module in {sys.modules[kind.__module__] for kind in type(model).__mro__}:
        if hasattr(module, "take"):
            monkeypatch.setattr(module, "take", lambda table, index: table[index])
    expected = F.cross_entropy(represent(train[1], history) @ plain.output[:known].T, label)
    expected.backward()

    torch.testing.assert_close(loss, expected, **SAME)
    wanted = dict(plain.named_parameters())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        torch.testing.assert_close(parameter.grad, wanted[name].grad, atol=1e-6, rtol=1e-4, msg=name)
        if not name.endswith("key.bias"):  # which moves all scores of a query alike
            assert float(parameter.grad.abs().max()) > 1e-5, f"{name} gets no gradient"


@every
def test_every_item_that_is_looked_at_gets_a_gradient_and_no_other(make: Make):
    """Item 0, whose row is read in place of padding, gets none."""
    model, history = make(), histories()
    history = torch.where(history == 0, 1, history)
    features = represent(model, history)

    (features * torch.randn_like(features)).sum().backward()

    moved = torch.nonzero(model.item.grad[:ITEMS].abs().amax(1)).squeeze(1)  # behind them [MASK] and unknown
    assert torch.equal(moved, torch.unique(history[history >= 0]))


@every
def test_weights_are_drawn_anew_and_the_same_from_the_same_generator(make: Make):
    model, other = make(), make()
    before = deepcopy(model.state_dict())
    for parameter in model.parameters():
        parameter.data.add_(1.0)

    model.draw(torch.Generator().manual_seed(1))
    other.draw(torch.Generator().manual_seed(1))

    drawn = model.state_dict()
    for name, weight in other.state_dict().items():
        assert torch.equal(drawn[name], weight), name
        assert torch.isfinite(weight).all(), name
        assert weight.dim() == 1 or not torch.equal(weight, before[name]), f"{name} was not drawn again"


@every
def test_the_global_generator_is_left_alone_where_one_is_given(make: Make):
    model = make()
    before = torch.get_rng_state()

    model.draw(torch.Generator().manual_seed(1))

    assert torch.equal(torch.get_rng_state(), before)


@every
def test_dropout_works_in_training_only(make: Make):
    model, history = make(dropout=0.5), histories()

    assert torch.equal(represent(model, history), represent(model, history))
    model.train()
    assert not torch.allclose(represent(model, history), represent(model, history))


@every
def test_candidates_and_catalogue_are_scored_alike(make: Make):
    model, history = make(), histories(shortest=0)
    user = users(history)
    candidates = torch.stack([torch.randperm(KNOWN)[:9] for _ in history])
    some = torch.arange(0, KNOWN, 2)

    def scores(offered: Tensor | None, catalogue: Tensor | None) -> Tensor:
        return model.score(Questions(user=user, candidates=offered, catalogue=catalogue, history=history))

    full = scores(None, torch.arange(KNOWN))
    expected = represent(model, history) @ model.output[:KNOWN].T

    torch.testing.assert_close(full, expected.detach(), **SAME)
    torch.testing.assert_close(scores(candidates, None), full.gather(1, candidates), **SAME)
    torch.testing.assert_close(scores(None, some), full[:, some], **SAME)


@every
def test_it_learns_that_an_item_is_followed_by_the_next(make: Make):
    model = make(n_items=20)
    adam = TensorFlowAdam(list(model.parameters()), learning_rate=0.03)
    history = (torch.arange(60).unsqueeze(1) + torch.arange(LONGEST)) % 20
    history = torch.where(histories(60, known=1) < 0, -1, history)
    label = (history[:, -1] + 1) % 20

    for _ in range(60):
        adam.zero_grad()
        cross_entropy(represent(model.train(), history), model.output, label, 20).backward()
        adam.step()
    found = represent(model.eval(), history) @ model.output.T

    assert float((found.argmax(1) == label).float().mean()) > 0.95


def plain_sasrec(model: SASRec, history: Tensor) -> Tensor:
    """Every position of every block, over the whole left-padded history."""
    present = history >= 0
    causal = torch.ones(LONGEST, LONGEST, dtype=torch.bool).tril()
    seen = (causal & present.unsqueeze(1)) | torch.eye(LONGEST, dtype=torch.bool)
    x = model.item[history.clamp(min=0)] * math.sqrt(SIZE) + model.position
    for block in model.blocks:
        normed = block.before_attention(x)
        projected = normed @ block.attention.in_proj_weight.T + block.attention.in_proj_bias
        q, k, v = (part.unflatten(2, (block.heads, -1)).transpose(1, 2) for part in projected.split(SIZE, 2))
        found = F.scaled_dot_product_attention(q, k, v, attn_mask=seen.unsqueeze(1))
        x = x + block.attention.out_proj(found.transpose(1, 2).flatten(2))
        x = x + block.narrow(torch.relu(block.widen(block.before_network(x))))
    return F.layer_norm(x[:, -1], (SIZE,), model.norm.weight, model.norm.bias, 1e-8)


def shaken(model: nn.Module) -> nn.Module:
    """Biases and gains too are other than at the start."""
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("blocks", [1, 2, 3])
@pytest.mark.parametrize("learning", [False, True])
def test_sasrec_is_the_plain_computation(heads: int, blocks: int, learning: bool):
    model, history = shaken(sasrec(heads=heads, blocks=blocks)), histories(30)

    with torch.set_grad_enabled(learning):
        ours = represent(model.train(learning), history)
        expected = plain_sasrec(model, history)

    torch.testing.assert_close(ours, expected, **SAME)


def test_sasrec_says_which_heads_do_not_fit():
    with pytest.raises(ConfigError, match=r"backbone\.heads=3 must divide .*; change one of them"):
        sasrec(heads=3)


def plain_gru(model: GRU4Rec, items: Tensor) -> Tensor:
    """Cell by cell, layer by layer."""
    steps = [model.item[item].unsqueeze(0) for item in items]
    for layer in range(model.gru.num_layers):
        cell = nn.GRUCell(model.gru.input_size if layer == 0 else model.gru.hidden_size, model.gru.hidden_size)
        cell.load_state_dict({name: getattr(model.gru, f"{name}_l{layer}") for name in cell.state_dict()})
        state = torch.zeros(1, model.gru.hidden_size)
        steps = [state := cell(step, state) for step in steps]
    return steps[-1]


@pytest.mark.parametrize(
    ("hidden", "tied", "narrows"), [(SIZE, True, False), (12, True, True), (SIZE, False, False), (12, False, False)]
)
def test_gru4rec_is_a_loop_of_cells(hidden: int, tied: bool, narrows: bool):
    model, history = shaken(gru4rec(hidden=hidden, tied=tied, layers=2)), histories()

    states = torch.cat([plain_gru(model, items_of(row)) for row in history])
    expected = states @ model.narrow.weight.T + model.narrow.bias if narrows else states

    torch.testing.assert_close(represent(model, history), expected, **SAME)
    assert (model.output is model.item) == tied
    assert model.output.shape == (ITEMS, SIZE if tied else hidden)


def plain_caser(model: Caser, items: Tensor) -> Tensor:
    """Window by window."""
    image = torch.zeros(LONGEST, SIZE)
    image[LONGEST - len(items) :] = model.item[items]
    found = []
    for weights, bias in zip(model.vertical.weight[:, :, 0], model.vertical.bias, strict=True):
        found.append(sum(w * row for w, row in zip(weights, image, strict=True)) + bias)
    for height, filters in enumerate(model.horizontal, start=1):
        for weights, bias in zip(filters.weight, filters.bias, strict=True):
            windows = [image[top : top + height] for top in range(LONGEST - height + 1)]
            values = [torch.relu((weights.T * window).sum() + bias) for window in windows]
            found.append(torch.stack(values).max().unsqueeze(0))
    return torch.relu(model.together.weight @ torch.cat(found) + model.together.bias)


def test_caser_is_a_loop_over_windows_beside_the_user_and_a_bias():
    model, history = shaken(caser()), histories()

    windows = torch.stack([plain_caser(model, items_of(row)) for row in history])
    joined = torch.cat([windows, model.user[users(history)]], 1)
    scores = joined @ model.output[:, : 2 * SIZE].T + model.output[:, 2 * SIZE]

    torch.testing.assert_close(represent(model, history) @ model.output.T, scores, **SAME)
    assert model.output.shape == (ITEMS, 2 * SIZE + 1)


def test_caser_of_sessions_knows_no_user():
    model, history = shaken(caser_of_sessions()), histories()

    windows = torch.stack([plain_caser(model, items_of(row)) for row in history])

    torch.testing.assert_close(represent(model, history)[:, :SIZE], windows, **SAME)
    assert model.user is None
    assert model.output.shape == (ITEMS, SIZE + 1)


def test_weights_start_as_their_sources_say():
    n = 4000
    glorot, gate = math.sqrt(6 / (n + SIZE)), math.sqrt(6 / (2 * SIZE))

    for model in (sasrec(n_items=n), gru4rec(n_items=n)):
        assert 0.99 * glorot < float(model.item.detach().abs().max()) <= glorot
    for weight in (gru4rec().gru.weight_hh_l0, sasrec().blocks[0].attention.in_proj_weight):
        assert 0.95 * gate < float(weight.detach().abs().max()) <= gate
    tables = caser(n_items=n)
    assert float(tables.item.detach().std()) == pytest.approx(1 / SIZE, rel=0.05)
    assert float(tables.output[:, :-1].detach().std()) == pytest.approx(1 / (2 * SIZE), rel=0.05)
    assert not tables.output[:, -1].any()
