"""Every file of conf/method keeps the contract; a new one is found here by itself."""

from pathlib import Path

import pytest
from contract import CHECKS, maker

from recretrain.config import conf_dir

METHODS = sorted(path.stem for path in (conf_dir() / "method").glob("*.yaml"))


def test_there_are_methods_to_check():
    assert {"sml", "fine_tune", "full_retrain", "spmf", "frozen", "popularity"} <= set(METHODS)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_method(method, check, tmp_path: Path):
    check(maker(method), tmp_path / "stream")
