"""Autoencoders of rating rows: what they read, what they decode, and what reviews tell them."""

from pathlib import Path

import pytest
import torch

from recretrain.data.interactions import PAD, Ragged
from recretrain.engine.fitter import Fitter
from recretrain.engine.seeds import seed_task
from recretrain.methods.dfm import Coder, Entries, pooled, review_vectors
from recretrain.methods.emcdr import MappedFactors
from recretrain.testing import case
from recretrain.testing.contract import learn


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


OWNER, OTHER = torch.tensor([2, 0, 2, 2]), torch.tensor([1, 4, 0, 3])
VALUE = torch.tensor([1.0, -2.0, 0.5, 0.25])


def coder(told: torch.Tensor) -> Coder:
    return Coder(Entries.of(OWNER, OTHER, VALUE, (3, 5), told), 6, 2, generator())


def test_an_owner_has_the_ratings_that_are_his() -> None:
    entries = Entries.of(OWNER, OTHER, VALUE, (3, 5), torch.zeros(3, 0))

    rated, value = entries.at(torch.tensor([2, 1, 0]))

    assert rated.offsets.tolist() == [0, 3, 3, 4]
    assert rated.values.tolist() == [1, 0, 3, 4]
    assert value.tolist() == [1.0, 0.5, 0.25, -2.0]


def test_a_code_and_its_decoding_are_those_of_dense_layers() -> None:
    told = torch.tensor([[0.1, 0.2], [0.0, 0.0], [-0.3, 0.4]])
    made = coder(told)
    ids = torch.tensor([2])
    rated, value = made.entries.at(ids)
    kept = torch.tensor([True, False, True])

    made.requires_grad_(False)
    code = made.encode(ids, kept, rated, value)
    error, of_told = made.errors(ids, code, rated, value)

    read = torch.zeros(1, 5)
    read[0, [1, 3]] = torch.tensor([1.0, 0.25]) / 3**0.5  # the second is noise
    hidden = torch.tanh(read @ made.read)
    hidden = torch.tanh(torch.cat([hidden, told[2:]], 1) @ made.into.weight.T)
    wanted = torch.cat([hidden, told[2:]], 1) @ made.code.weight.T
    assert torch.allclose(code, wanted, atol=1e-6)
    back = torch.tanh(torch.cat([wanted, told[2:]], 1) @ made.back.weight.T)
    decoded = (back @ made.written.T)[0, [1, 0, 3]]
    assert float(error) == pytest.approx(float((decoded - VALUE[[0, 2, 3]]).square().mean()), abs=1e-6)
    assert float(of_told) == pytest.approx(float((wanted @ made.told.weight.T - told[2]).square().mean()), abs=1e-6)


def test_codes_are_of_owners_with_ratings_and_without_noise() -> None:
    made = coder(torch.zeros(3, 0))

    codes = made.all_codes()

    assert codes[1].tolist() == [0.0, 0.0]
    ids = torch.tensor([0])
    rated, value = made.entries.at(ids)
    assert torch.allclose(codes[0], made.encode(ids, torch.ones(1), rated, value)[0], atol=1e-6)


def test_reviews_are_pooled_by_their_largest_value_and_absent_ones_are_zero() -> None:
    vectors = torch.tensor([[1.0, -5.0], [-2.0, -1.0], [-3.0, 7.0]])

    found = pooled(torch.tensor([[0, 1, PAD], [PAD, PAD, PAD], [1, PAD, PAD]]), vectors)

    assert found.tolist() == [[1.0, -1.0], [0.0, 0.0], [-2.0, -1.0]]


def test_reviews_of_rows_that_are_not_learned_are_not_told(tmp_path: Path) -> None:
    small = case("r_dfm", "schedule=own_tests")
    stream = small.stream(tmp_path)
    backbone, period = small.method(stream).backbone, stream[0]
    gone = period.train.user == period.train.user[0]

    user, item = review_vectors(period.train.rows(~gone), [period], backbone, 500)

    texts = stream.texts(0)
    assert isinstance(texts.tokens, Ragged)
    assert float(user[period.train.user[0]].abs().sum()) == 0
    who = int(period.train.user[~gone][0])
    of_target = stream.vocabulary.item_space[texts.rows.item] == 1
    mine = torch.nonzero((texts.rows.user == who) & of_target).squeeze(1)
    words = texts.tokens.at(mine).values
    assert torch.equal(user[who], stream.vocabulary.word_vectors[words].amax(0))
    assert item.shape == (stream.n_items, stream.vocabulary.word_vectors.shape[1])


def test_factors_of_autoencoders_learn_what_biases_leave(tmp_path: Path) -> None:
    small = case("dfm", "schedule=own_tests", "method.factors.steps.epochs=60", "method.factors.steps.batch_size=64")
    stream = small.stream(tmp_path)
    method, task = small.method(stream), small.tasks(stream)[0]
    assert isinstance(method, MappedFactors)
    fit = Fitter(torch.device("cpu"), seed_task(0, 0, torch.device("cpu")), "32-true")
    one = method.factors.prepare(task.period.context, [task.period], method.backbone)

    tables = one.fit({"rank": 4, "decoded": 0.1}, None, fit)

    rows = task.period.context
    rating = rows.other["rating"].double()
    flat = one.mean + tables.user[rows.user, 0] + tables.item[rows.item, 0]
    found = tables.factors(one.mean).predict(rows.user, rows.item)
    assert float((found - rating).square().mean()) < 0.8 * float((flat - rating).square().mean())
    learn(method, task)
    assert {note.name for note in method.notes()} >= {"rank", "decoded", "map_weight_decay", "valid_mse"}
