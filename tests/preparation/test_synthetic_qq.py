"""Generated histories and labels: read as the real ones, learnable, and told how far one can get."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from recretrain.preparation.prepare import describe, load_source, prepare
from recretrain.preparation.synthetic.qq import QQUsers

CONF = Path(__file__).parents[2] / "conf"
OPTIONS = {"users": 1500, "items": 300, "labels": 90, "topics": 16, "longest": 30, "follows": 0.6, "sharpness": 5.0}


def generator(**changes) -> QQUsers:
    return QQUsers(**{**OPTIONS, "seed": 0, **changes})


def written(folder: Path, **changes) -> dict[str, str]:
    folder.mkdir()
    return {file.name: file.read_text() for file in generator(**changes).write(folder)}


def bounds(folder: Path) -> dict[str, tuple[float, float]]:
    with (folder / "bounds.csv").open() as file:
        return {row["task"]: (float(row["bayes"]), float(row["majority"])) for row in csv.DictReader(file)}


def test_a_seed_gives_the_same_files_and_another_seed_others(tmp_path: Path):
    first, again, other = (written(tmp_path / n, users=50, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2)))

    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_all_five_tasks_are_read_like_real_ones_and_marked_synthetic(tmp_path: Path):
    source = load_source(CONF / "data/qq.yaml", generator={"users": 300})

    card = describe(prepare(source, data_root=tmp_path / "none", cache=tmp_path / "cache"))

    assert card["source"] == "synthetic"
    assert [period["name"] for period in card["periods"]] == ["source", "gender", "click", "like", "age", "life"]
    assert card["n_users"] == 300
    assert not any(period["context"] for period in card["periods"])


def test_histories_are_filled_up_on_the_left_and_labels_differ(tmp_path: Path):
    files = written(tmp_path / "a", users=400)

    rows = [[*map(int, line.split(","))] for line in files["original_desen_pretrain_3.csv"].splitlines()]
    real = np.array(rows) > 0
    assert real.shape == (400, 30)
    assert (np.diff(real.astype(int), axis=1) >= 0).all()  # once begun, no 0 again
    assert (int(real.sum(1).min()), int(real.sum(1).max())) == (20, 30)
    for name, most in (("click", 5), ("like", 3)):
        lines = files[f"original_desen_finetune_{name}_nouserID_3.csv"].splitlines()
        labels = [line.partition(",,")[2].split(",") for line in lines]
        assert [line.partition(",,")[0] for line in lines] == files["original_desen_pretrain_3.csv"].splitlines()
        assert all(len(own) == len(set(own)) <= most for own in labels)


def test_the_bounds_enclose_what_a_bag_of_items_reaches(tmp_path: Path):
    files = written(tmp_path / "a", seed=1)
    bag = np.zeros((1500, 301))
    for user, line in enumerate(files["original_desen_pretrain_3.csv"].splitlines()):
        bag[user, [*map(int, line.split(","))]] = 1
    gender = np.array([line[-1] for line in files["original_desen_gender_3.csv"].splitlines()])

    reached = LogisticRegression(C=0.1).fit(bag[:1000], gender[:1000]).score(bag[1000:], gender[1000:])

    bayes, majority = bounds(tmp_path / "a")["gender"]
    assert majority == pytest.approx(max((gender == "1").mean(), (gender == "2").mean()), abs=1e-4)
    assert majority + 0.05 < reached < bayes + 0.03  # one standard error of 500 users is .016


def test_without_sharpness_nothing_can_be_learned(tmp_path: Path):
    written(tmp_path / "a", sharpness=0.0)

    assert [bayes for bayes, _ in bounds(tmp_path / "a").values()] == pytest.approx([1 / 2, 1 / 8, 1 / 6], abs=1e-4)
