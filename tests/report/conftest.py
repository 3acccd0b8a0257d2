from pathlib import Path

import pytest

from tests.report.folders import RunFolders


@pytest.fixture
def runs(tmp_path: Path) -> RunFolders:
    return RunFolders(tmp_path / "outputs")


@pytest.fixture
def conf_dir() -> Path:
    return Path(__file__).parents[2] / "conf"
