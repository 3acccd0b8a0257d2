"""The method that docs/start.md shows keeps the contract, from outside the package, and type-checks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from recretrain.testing import CHECKS, case

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/start.md").read_text()


@pytest.fixture
def searchpath(tmp_path, monkeypatch) -> str:
    (code,) = re.findall(r"```python\n# recretrain/methods/damped.py\n(.*?)```", PAGE, re.DOTALL)
    (values,) = re.findall(r"```yaml\n(.*?damped.yaml\n.*?)```", PAGE, re.DOTALL)
    (tmp_path / "damped_of_page.py").write_text(code)
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "damped.yaml").write_text(values.replace("recretrain.methods.damped", "damped_of_page"))
    monkeypatch.syspath_prepend(tmp_path)
    return f"hydra.searchpath=[file://{tmp_path}]"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_method_of_the_page(check, searchpath, tmp_path):
    check(case("damped", searchpath), tmp_path / "stream")


@pytest.mark.slow
def test_the_method_of_the_page_type_checks(searchpath, tmp_path):
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]

    done = subprocess.run([*command, str(tmp_path / "damped_of_page.py")], capture_output=True, text=True, cwd=ROOT)

    assert done.returncode == 0, done.stdout
