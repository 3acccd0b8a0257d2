"""Single values that no constructor can use are named before anything is built."""

from __future__ import annotations

import functools
import re

import pytest

from recretrain.configuration.compose import compose
from recretrain.configuration.signatures import check
from recretrain.errors import ConfigError

REFUSED = [  # overrides, of which the last one is at fault, and what it must be
    ("eval.questions.catalogue=some", "sampled, full"),
    ("eval.questions.candidates=0", "at least 1"),
    ("eval.questions.history=0", "at least 1, or null"),
    ("eval.ks=[0]", "at least 1"),
    ("eval.ks=[]", "not empty"),
    ("eval.metrics=[]", "not empty"),
    ("eval=prefixes eval.questions.history=0", "at least 1, or null"),
    ("eval=episodes eval.metrics=[recall]", "mae, mse, rmse, mse_by_batch, ndcg_lin, ndcg_exp"),
    ("eval=episodes eval.questions.split=late", "random, in_time"),
    ("eval=episodes eval.questions.users=old", "all, new"),
    ("eval=episodes eval.questions.queries=0", "at least 1"),
    ("schedule.warm_up=never", "start, tests, or a whole number, at least 1"),
    ("schedule.choosing=-1", "at least 0"),
    ("trainer.device=tpu", "auto, cpu, cuda"),
    ("trainer.precision=16", "32-true, bf16-mixed"),
    ("trainer.threads=-1", "between 0 and 1024"),
    ("method.loops=0", "at least 1"),
    ("method.fresh.adam=some", "carried, new"),
    ("method.fresh.reg_scaling=by_hand", "summed, mean"),
    ("method.fresh.negatives=own", "stored, period"),
    ("method.fresh.epochs=0", "at least 1"),
    ("method.transfer.taught.by=last", "next, same"),
    ("method.transfer.taught.until=-1", "at least 0, or null"),
    ("method.transfer.network.filters=[0]", "at least 1"),
    ("method.pretraining.epochs=0", "at least 1"),
    ("method=fine_tune method.reads=some", "new, all, first"),
    ("method=fine_tune method.start=frozen", "warm, cold"),
    ("method=fine_tune method.learner.learning_rate=0", "greater than 0"),
    ("method=fine_tune method.learner.reg=-1", "at least 0"),
    ("method=fine_tune method.learner.negatives=all", "rows, met"),
    ("method=spmf method.pool_start=first", "reservoir, latest"),
    ("method=spmf method.pool_size=0", "at least 1"),
    ("method=popularity method.decay=2", "between 0 and 1"),
    ("method=rating_biases method.item_shrinkage=-1", "at least 0"),
    ("method=melu method.local.adapts=tables", "decisions, all"),
    ("method=melu method.local.order=third", "first, second"),
    ("method=melu method.local.steps=-1", "at least 0"),
    ("method=melu method.local.answer_steps=-1", "at least 0, or null"),
    ("method=melu method.reads=frozen", "new, all, first"),
    ("method=ader method.memory.selection=best", "herding, random, loss, loss_as_released"),
    ("method=ader method.memory.quotas=fair", "proportional, equal"),
    ("method=ader method.memory.size=0", "at least 1"),
    ("method=ader method.reads=first", "new, all"),
    ("method=ader method.weight=-0.1", "at least 0"),
    ("method=ader method.learner.validation=1", "between 0 and 1, both excluded"),
    ("method=ader method.learner.patience=0", "at least 1"),
    ("method=ader method.learner.inputs=all", "period, past"),
    ("method=ewc method.fisher_exemplars=0", "at least 1"),
]


@functools.cache
def sound(*words: str) -> bool:
    """Whether the words before the last one are not at fault; raises where they are."""
    config, _ = compose(list(words))
    check(config)
    return True


@pytest.mark.parametrize(("words", "wanted"), REFUSED, ids=[words for words, _ in REFUSED])
def test_a_value_that_cannot_be_used_is_named_with_those_that_can(words: str, wanted: str) -> None:
    *before, at_fault = words.split()
    key = at_fault.partition("=")[0]
    assert sound(*before)

    config, _ = compose([*before, at_fault])
    with pytest.raises(ConfigError, match=rf"^{re.escape(key)}\S*=.* must be .*{re.escape(wanted)}"):
        check(config)
