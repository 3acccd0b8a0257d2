"""First weights of tables go by id."""

import math

import pytest
import torch

from recretrain.backbones.ader_sasrec import AderSASRec
from recretrain.backbones.caser import Caser
from recretrain.backbones.drawing import glorot_rows_, normal_rows_, uniform_rows_
from recretrain.backbones.gru4rec import GRU4Rec
from recretrain.backbones.mf import MF
from recretrain.backbones.sasrec import SASRec
from recretrain.data.vocabulary import Vocabulary

FILLS = {
    "normal": lambda table, generator: normal_rows_(table, 0.1, generator),
    "uniform": lambda table, generator: uniform_rows_(table, 0.1, generator),
}
LONG = 1500  # more than a block


def seeded(number: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(number)


@pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS)
@pytest.mark.parametrize("rows", [1, 17, 1023, 1024, 1025])
def test_a_row_is_the_same_however_many_follow(fill, rows: int):
    short, long = torch.empty(rows, 5), torch.empty(LONG, 5)
    states = []
    for table in (short, long):
        generator = seeded()
        fill(table, generator)
        states.append(generator.get_state())

    assert torch.equal(short, long[:rows])
    assert torch.equal(*states)  # what is drawn next does not depend on it either


@pytest.mark.parametrize("fill", FILLS.values(), ids=FILLS)
def test_rows_blocks_tables_and_seeds_differ(fill):
    generator = seeded()
    tables = [torch.empty(2 * 1024, 5) for _ in range(2)]
    for table in tables:
        fill(table, generator)
    other = torch.empty(2 * 1024, 5)
    fill(other, seeded(4))

    every = torch.cat([*tables, other])
    assert len(every.unique(dim=0)) == len(every)


def test_rows_follow_their_distribution():
    normal, uniform, glorot = (torch.empty(LONG, 40) for _ in range(3))
    normal_rows_(normal, 0.5, seeded())
    uniform_rows_(uniform, 0.5, seeded())
    glorot_rows_(glorot, seeded())

    assert float(normal.std()) == pytest.approx(0.5, rel=0.02)
    assert abs(float(normal.mean())) < 0.01
    assert float(uniform.std()) == pytest.approx(0.5 / math.sqrt(3), rel=0.02)
    assert float(uniform.abs().max()) == pytest.approx(0.5, rel=0.01)
    assert float(glorot.abs().max()) == pytest.approx(math.sqrt(6 / (LONG + 40)), rel=0.01)


SIZES = {"embedding_size": 16, "longest": 5, "dropout": 0.0}
GROWING = {
    "mf": lambda v: MF(vocabulary=v, embedding_size=16, init_std=0.1),
    "caser": lambda v: Caser(vocabulary=v, horizontal=2, vertical=1, users=True, **SIZES),
    "gru4rec": lambda v: GRU4Rec(vocabulary=v, hidden_size=16, layers=1, tied=False, **SIZES),
    "sasrec": lambda v: SASRec(vocabulary=v, blocks=1, heads=1, **SIZES),
    "ader_sasrec": lambda v: AderSASRec(vocabulary=v, blocks=1, **SIZES),
}


@pytest.mark.parametrize("name", GROWING)
def test_a_backbone_s_first_weights_do_not_depend_on_later_ids(name: str):
    few, many = (Vocabulary.of(n_users=n, n_items=n + 3) for n in (20, 3000))
    weights = []
    for vocabulary in (few, many):
        model = GROWING[name](vocabulary)
        model.draw(seeded())
        weights.append(model.state_dict())

    for key, weight in weights[0].items():
        later = weights[1][key]
        if key in GROWING[name](few).by_id:
            assert weight.shape != later.shape
            later = later[: len(weight)]
            if name in ("gru4rec", "sasrec", "ader_sasrec"):  # but for the scale, which counts all rows
                weight, later = weight / weight.abs().max(), later / later.abs().max()
                torch.testing.assert_close(weight, later)
                continue
        assert torch.equal(weight, later), key
