"""Every file of conf/method keeps the contract; a new one is found here by itself."""

from pathlib import Path

import pytest
from contract import CHECKS, maker

from recretrain.configuration.compose import conf_dir

METHODS = sorted(path.stem for path in (conf_dir() / "method").glob("*.yaml"))


def test_there_are_methods_to_check():
    assert {"sml", "fine_tune", "full_retrain", "spmf", "frozen", "popularity"} <= set(METHODS)


OPTIONS = [  # choices that keep other state or read other rows
    ("fine_tune", {"negatives": "met"}),
    ("full_retrain", {"start": "cold"}),
    ("spmf", {"pool_start": "latest", "pool_size": 50}),
    (
        "sml",
        {"fresh_continues_from": "own", "inactive_rows": "kept", "adam": "per_period", "fresh_negatives": "period"},
    ),
    ("melu", {"order": "second", "local_learning_rate": 0.01, "local_steps": 3}),
    ("melu", {"adapts": "all"}),
    ("melu", {"start": "scratch", "drop_last": False}),
    ("session_fine_tune", {"inputs": "past", "start": "cold"}),
    ("ader", {"distil": False, "selection": "loss", "exemplars": 50}),
    ("ader", {"weight_adapts": False, "selection": "random", "quotas": "equal", "adam": "new"}),
]


@pytest.mark.parametrize(
    ("method", "options"), OPTIONS, ids=lambda given: given if isinstance(given, str) else "options"
)
@pytest.mark.parametrize("check", CHECKS[:-1], ids=lambda check: check.__name__)
def test_the_method_with_other_choices(method, options, check, tmp_path: Path):
    check(maker(method, **options), tmp_path / "stream")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_method(method, check, tmp_path: Path):
    check(maker(method), tmp_path / "stream")
