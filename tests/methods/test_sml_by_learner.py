"""SML over a learner is that learner until its transfer has learned, and is taught by the learner's own loss."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recretrain.backbones.mf import MF
from recretrain.data.schedule import Task
from recretrain.data.vocabulary import Vocabulary
from recretrain.errors import ConfigError
from recretrain.methods.learners.base import Learner, Lesson
from recretrain.methods.learners.log_loss import BPRLoss
from recretrain.methods.learners.next_item import NextItemLearner
from recretrain.methods.parts.teaching import ServedLoss, tables
from recretrain.methods.parts.transfer import DimensionGate
from recretrain.methods.sml_by_learner import SMLByLearner
from recretrain.testing import Case, case, learn
from recretrain.testing.contract import same

HELD = "method.transfer.taught.until=0"
FAIR = ("schedule.warm_up=tests", "method.lessons_from=1")
BPR = ("method.learner.batch_size=32", "method.learner.epochs=3")


def ranks(found: Case, folder) -> list[Tensor]:
    stream = found.stream(folder)
    method = found.method(stream)
    answers = []
    for task in found.tasks(stream):
        learn(method, task)
        answers += [found.answers(method, test) for test in task.tests().values()]
    assert len(answers) >= 3
    return answers


@pytest.mark.parametrize("warm_up", [("schedule.warm_up=start",), ("schedule.warm_up=tests",), FAIR])
def test_a_gate_held_at_one_answers_as_fine_tuning_by_the_learner_does(warm_up, tmp_path):
    tuned = ranks(case("fine_tune_bpr", *BPR, warm_up[0]), tmp_path / "fine_tune")

    assert same(ranks(case("sml_gate_bpr", *BPR, HELD, *warm_up), tmp_path / "held"), tuned)
    assert not same(ranks(case("sml_gate_bpr", *BPR, *warm_up), tmp_path / "taught"), tuned)


@pytest.mark.parametrize("backbone", ["ader_sasrec", "gru4rec", "caser"])
def test_a_gate_over_a_sequence_model_is_fine_tuning_until_it_is_taught(backbone, tmp_path):
    chosen = (f"backbone={backbone}", "backbone.dropout=0")
    tuned = ranks(case("session_fine_tune", *chosen), tmp_path / "fine_tune")

    assert same(ranks(case("sml_gate_next_item", *chosen, HELD), tmp_path / "held"), tuned)
    assert not same(ranks(case("sml_gate_next_item", *chosen), tmp_path / "taught"), tuned)


def test_by_the_log_loss_the_tables_are_those_of_sml_with_the_same_gate(tmp_path):
    """Two ways to the same figures: rows blended for a batch, and a loss that reads blended tables."""
    fit = {"learning_rate": 0.01, "epochs": 2, "batch_size": 32}
    sml = case(
        "sml_gate",
        *(f"method.fresh.{key}={value}" for key, value in fit.items()),
        "method.fresh.negatives=period",
        "method.fresh.adam=carried",
        "method.transfer.negatives=period",
    )
    general = case(
        "sml_gate_bpr",
        *(f"method.learner.{key}={value}" for key, value in fit.items()),
        "method.learner.loss=log",
        "method.learner.optimizer=dense",
        "method.learner.negatives=rows",
    )
    (expected, begun), (found, _) = (served(one, tmp_path / one.name) for one in (sml, general))

    for name, table in expected.items():
        torch.testing.assert_close(found[name], table, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(table, begun[name], atol=1e-3)


def served(found: Case, folder) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The tables after four tasks, and what fine-tuning alone would have served last."""
    stream = found.stream(folder)
    method = found.method(stream)
    for task in found.tasks(stream)[:4]:
        learn(method, task)
    return copy.deepcopy(tables(method.backbone)), method.fresh_rows


def test_the_loss_reads_blends_and_teaches_their_networks_alone():
    torch.manual_seed(0)
    backbone = MF(vocabulary=Vocabulary.of(n_users=5, n_items=7), embedding_size=4, init_std=1.0)
    fresh = {name: table + 0.3 * torch.randn_like(table) for name, table in tables(backbone).items()}
    previous = {name: torch.randn_like(table) for name, table in fresh.items()}
    nets = nn.ModuleDict({name: DimensionGate(embedding_size=4) for name in fresh})
    batch = (torch.tensor([0, 4, 4]), torch.tensor([1, 6, 0]), torch.tensor([2, 2, 5]))
    before = copy.deepcopy(backbone.state_dict())

    loss = ServedLoss(BPRLoss(backbone, None, reg=0.0), backbone, previous, fresh, nets, None).loss(batch)
    loss.backward()

    less_one = {name: torch.zeros(4, requires_grad=True) for name in fresh}
    user, item = (fresh[name] + less_one[name] * (fresh[name] - previous[name]) for name in ("user", "item"))
    u, positive, negative = batch
    expected = F.softplus((user[u] * item[negative]).sum(1) - (user[u] * item[positive]).sum(1)).mean()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    for name, net in nets.items():
        torch.testing.assert_close(net.less_one.grad[0], less_one[name].grad)
        assert less_one[name].grad.abs().min() > 0
    assert all(weight.grad is None and weight.requires_grad for weight in backbone.parameters())
    assert backbone.user is dict(backbone.named_parameters())["user"]
    assert all(torch.equal(weight, before[name]) for name, weight in backbone.state_dict().items())


def test_no_other_weight_of_a_sequence_model_has_a_gradient_of_the_lesson(tmp_path):
    found = case("sml_gate_next_item", "backbone=gru4rec")
    stream = found.stream(tmp_path / "s")
    method = found.method(stream)
    first, second = found.tasks(stream)[:2]
    learn(method, first)
    loss, batches = method.learner.lessons(method.backbone, alone(second), FakeFit(), batch_size=8)
    rows = tables(method.backbone)
    for weight in method.backbone.parameters():
        weight.grad = None

    ServedLoss(loss, method.backbone, rows, rows, method.transfer.nets, None).loss(next(iter(batches))).backward()

    assert all(weight.grad is None for weight in method.backbone.parameters())
    assert all(weight.grad is not None for weight in method.transfer.nets.parameters())


def test_items_of_the_period_that_teaches_take_part_though_no_fit_has_known_them(tmp_path):
    """The soft-max of the lesson is over them too; their rows are served as they were drawn."""
    found = case("sml_gate_next_item")
    stream = found.stream(tmp_path / "s")
    method = found.method(stream)
    first, second = found.tasks(stream)[:2]
    learn(method, first)
    assert isinstance(method.learner, NextItemLearner)
    method.learner.known = 1

    loss, batches = method.learner.lessons(method.backbone, alone(second), FakeFit(), batch_size=8)

    assert loss._known == int(second.period.train.item.max()) + 1
    assert method.learner.known == 1
    assert sum(len(batch.label) for batch in batches) > 8


def alone(task: Task) -> Lesson:
    return Lesson(task.period, task.past, whole=False, cold=False)


class FakeFit:
    device = torch.device("cpu")
    generator = torch.Generator()


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("sml_gate_next_item", ["backbone=nextitnet"], "NextItNet has no table of them that grows with the data"),
        (
            "sml_gate_bpr",
            ["backbone=gru4rec", "eval=prefixes"],
            "LogLossLearner trains a backbone of kind MF, not GRU4Rec",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_in_words(name, overrides, message, tmp_path):
    found = case(name, *overrides)
    stream = found.stream(tmp_path / "s")

    with pytest.raises(ConfigError, match=message):
        found.method(stream)


def test_a_learner_without_such_a_loss_is_refused_before_anything_is_learned(tmp_path):
    found = case("sml_gate_bpr")
    method = found.method(found.stream(tmp_path / "s"))

    class Alone(Learner[MF]):
        trains = MF

        def fit(self, backbone, lesson, fit): ...

        def renew(self): ...

    with pytest.raises(ConfigError, match=r"Alone has no loss of single batches .* a TeachingLearner"):
        SMLByLearner(
            backbone=method.backbone,
            learner=Alone(),
            pretraining=None,
            transfer=method.transfer,
            loops=1,
            continues_from="own",
            inactive_rows="kept",
            lessons_from=None,
        )
