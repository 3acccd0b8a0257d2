"""A change passes one gate, here and there: `make check` and `make test`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

from recretrain import __version__

ROOT = Path(__file__).parents[1]
COMMANDS = ["make check", "make test"]


def test_the_gate_is_the_same_everywhere() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    script = (ROOT / ".ci" / "run").read_text().splitlines()

    assert [line for line in script if line.startswith("make ")] == COMMANDS
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == COMMANDS


def test_the_gate_checks_code_types_and_documents() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (recipe,) = re.findall(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)

    for tool in ("ruff check .", "ruff format --check .", "mypy\n", "scripts/blocks.py", "mypy --strict build/blocks"):
        assert tool in recipe


def test_modules_of_documents_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("```python\n# recretrain/methods/damped.py\nx = 1\n```\n\n```python\nnot one\n```\n")
    (tmp_path / "b.md").write_text("```yaml\n# c.py\n```\n\n```python\n# c.py\ny = 2\n```\n")

    subprocess.run(
        [sys.executable, ROOT / "scripts" / "blocks.py", tmp_path / "out", tmp_path / "a.md", tmp_path / "b.md"],
        check=True,
    )

    assert {file.name: file.read_text() for file in (tmp_path / "out").iterdir()} == {
        "damped.py": "x = 1\n",
        "c.py": "y = 2\n",
    }


def test_the_citation_names_this_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__
