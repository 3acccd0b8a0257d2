"""The method that the README shows keeps the contract, from outside the package."""

import re
from pathlib import Path

import pytest
from contract import CHECKS, maker

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def searchpath(tmp_path, monkeypatch) -> str:
    (code,) = re.findall(r"```python\n# recretrain/methods/damped.py\n(.*?)```", README.read_text(), re.DOTALL)
    (values,) = re.findall(r"```yaml\n(.*?damped.yaml\n.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "damped_of_readme.py").write_text(code)
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "damped.yaml").write_text(values.replace("recretrain.methods.damped", "damped_of_readme"))
    monkeypatch.syspath_prepend(tmp_path)
    return f"hydra.searchpath=[file://{tmp_path}]"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_readme_s_method(check, searchpath, tmp_path):
    check(maker("damped", searchpath), tmp_path / "stream")
