"""What is exported gives the same recommendations without recretrain and without torch."""

from __future__ import annotations

import re
import subprocess
import sys
from ast import literal_eval
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file

from recretrain.errors import ConfigError
from recretrain.serving.export import by_products
from recretrain.serving.run import Run


@pytest.fixture(scope="module")
def exported(ranked: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ranked.export(tmp_path_factory.mktemp("exports") / "deep" / "tiny")


def card_program(folder: Path) -> list[str]:
    """What the program of the README prints, run in the folder."""
    (program,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(literal_eval(done.stdout))


def test_the_weights_are_those_of_the_run(ranked: Run, exported: Path) -> None:
    weights = load_file(exported / "weights.safetensors")

    state = ranked._opened.method.backbone.state_dict()
    assert weights.keys() == state.keys() == {"user", "item"}
    assert all(np.array_equal(weights[name], state[name].numpy()) for name in state)


def test_embeddings_give_the_same_recommendations_with_numpy(ranked: Run, exported: Path) -> None:
    users, items = (pd.read_parquet(exported / f"{kind}.parquet") for kind in ("users", "items"))
    expected = ranked.recommend("all", k=20)

    users, items = users[users["met"]], items[items["offered"]]
    scores = np.stack(users["embedding"]) @ np.stack(items["embedding"]).T
    best = np.argsort(-scores, axis=1, kind="stable")[:, :20]

    assert expected["user"].tolist() == np.repeat(users["user"].to_numpy(), 20).tolist()
    assert expected["item"].tolist() == items["item"].to_numpy()[best].ravel().tolist()
    np.testing.assert_allclose(expected["score"], np.take_along_axis(scores, best, 1).ravel(), rtol=1e-4, atol=1e-6)


def test_the_program_of_the_card_recommends(ranked: Run, exported: Path) -> None:
    first = pd.read_parquet(exported / "users.parquet")["user"][0]

    assert card_program(exported) == ranked.recommend([first])["item"].tolist()


def test_numbers_are_rows_of_the_weights(exported: Path) -> None:
    items = pd.read_parquet(exported / "items.parquet")

    assert items.columns.tolist() == ["item", "number", "offered", "embedding"]
    assert items["number"].tolist() == list(range(len(items)))
    assert np.array_equal(np.stack(items["embedding"]), load_file(exported / "weights.safetensors")["item"])


def test_the_card_says_what_was_learned_from_what(ranked: Run, exported: Path) -> None:
    card = (exported / "README.md").read_text()

    assert "# fine_tune on tiny" in card
    assert "Learned periods: 0 to 5 of 7 (4 of 4 tasks are finished)." in card
    assert f"{ranked._opened.stream.n_users} users, of whom {int(ranked._opened.met.sum())} were met" in card
    for heading in ("Files", "Use", "Weights", "Figures", "Cost", "Versions"):
        assert f"\n## {heading}\n" in card
    assert re.search(r"^\| fine_tune +\| +1 \|", card, re.MULTILINE)
    assert f"torch {torch.__version__}" in card
    assert (exported / "config.yaml").read_text() == (ranked.folder / "config.yaml").read_text()


def test_a_network_says_that_it_is_needed(sessions: Run, tmp_path: Path) -> None:
    folder = sessions.export(tmp_path / "out")

    card, items = (folder / "README.md").read_text(), pd.read_parquet(folder / "items.parquet")
    assert "no plain products of embeddings" in card
    assert "(synthetic)" in card
    assert "embedding" in items.columns
    assert "embedding" not in pd.read_parquet(folder / "users.parquet").columns
    program = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[0]
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    assert "'item': ((" in done.stdout, done.stderr


def test_products_are_claimed_only_where_they_are_the_scores(
    ranked: Run, sessions: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = ranked._opened.method
    tables, score = method.backbone.embeddings(), type(method).score

    assert by_products(ranked._opened, tables)
    assert not by_products(sessions._opened, sessions._opened.method.backbone.embeddings())
    monkeypatch.setattr(type(method), "score", lambda self, asked: score(self, asked) + 0.1)
    assert not by_products(ranked._opened, tables)


def test_rating_methods_are_exported_too(films: Run, reviews: Run, tmp_path: Path) -> None:
    for name, run in (("films", films), ("reviews", reviews)):
        run.export(tmp_path / name)
    offered = pd.read_parquet(tmp_path / "reviews" / "items.parquet")["offered"]

    assert "layers.0.weight" in load_file(tmp_path / "films" / "weights.safetensors")
    assert set(np.flatnonzero(offered)) == set(reviews._opened.catalogue.tolist())
    assert not offered.all()  # items of the source domain are not recommended
    assert "no plain products" in (tmp_path / "reviews" / "README.md").read_text()


def test_a_folder_that_holds_something_is_left_alone(ranked: Run, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="tiny is there already; name a new folder"):
        ranked.export(exported)
    (tmp_path / "empty").mkdir()
    assert sorted(file.name for file in ranked.export(tmp_path / "empty").iterdir()) == [
        "README.md",
        "config.yaml",
        "items.parquet",
        "users.parquet",
        "weights.safetensors",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
