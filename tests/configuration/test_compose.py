"""The run folder names everything that can change results, and nothing else."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from omegaconf import OmegaConf, open_dict

from recretrain.configuration.compose import compose, conf_dir, digest, run_folder
from recretrain.configuration.later import fill
from recretrain.configuration.options import options
from recretrain.errors import ConfigError
from recretrain.records import LATER


def _digest(*overrides: str, with_seed: bool = True) -> str:
    return digest(compose(overrides)[0], with_seed=with_seed)


def test_compose_gives_values_and_choices() -> None:
    config, choices = compose(["method=fine_tune", "seed=4", "method.learner.epochs=2"])

    assert (config.seed, config.method.learner.epochs) == (4, 2)
    assert (choices["method"], choices["data"], choices["schedule"]) == ("fine_tune", "yelp", "next_period")
    assert "hydra" not in config


@pytest.mark.parametrize(
    "override",
    [
        "seed=1",
        "method.loops=9",
        "backbone.embedding_size=8",
        "eval.questions.seed=1",
        "schedule.start=9",
        "data.filters.min_rating=4",
        "data.cut.periods=20",
        "trainer.precision=bf16-mixed",
    ],
)
def test_what_changes_results_changes_the_digest(override: str) -> None:
    assert _digest(override) != _digest()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("method.fresh.learning_rate=1", "method.fresh.learning_rate=1.0"),
        ("method.transfer.weight_decay=1e-3", "method.transfer.weight_decay=0.001"),
        ("+method.list=[1,2.0]", "+method.list=[1.0,2]"),
    ],
)
def test_a_number_is_the_same_however_it_is_written(one: str, other: str) -> None:
    assert _digest(one) == _digest(other) != _digest()


@pytest.mark.parametrize(("method", "cut"), [("fine_tune", "months"), ("fine_tune", "forty"), ("sml_gate", "months")])
def test_keys_that_came_later_leave_earlier_runs_alone(method: str, cut: str) -> None:
    """The digest is that of a configuration without them, as it was before they came."""
    config, _ = compose([f"method={method}", "data=table", "data.path=rows.csv", f"cut@data.cut={cut}"])
    before = copy.deepcopy(config)
    with open_dict(before):
        for group, key in (key.rsplit(".", 1) for key in LATER):
            if (node := OmegaConf.select(before, group)) is not None:
                node.pop(key, None)

    assert before != config
    assert digest(before) == digest(config)


@pytest.mark.parametrize(
    "words", [["method=fine_tune", "data=table", "data.path=rows.csv"], ["method=sml"], ["data=qq"]]
)
def test_settings_from_before_a_key_came_get_it(words: list[str]) -> None:
    config, _ = compose(words)
    before = copy.deepcopy(config)
    taken = 0
    with open_dict(before):
        for group, key in (key.rsplit(".", 1) for key in LATER):
            node = OmegaConf.select(before, group)
            if OmegaConf.is_dict(node) and key in node:
                del node[key]
                taken += 1

    fill(before)

    assert taken > 1
    assert before == config


LATER_VALUES = {
    "data.where": "data.where='stars > 3'",
    "data.facts": "data.facts.user=users.csv",
    "data.filters.nulls": "data.filters.nulls=drop",
    "data.cut.empty": "data.cut.empty=merge",
    "data.cut.open": "data.cut.open=drop",
    "data.cut.since": "data.cut.since=2012-01-01",
    "eval.questions.had": "eval.questions.had=offered",
    "schedule.again": "schedule.again=2",
    "trainer.devices": "trainer.devices=2",
    "trainer.matmul": "trainer.matmul=high",
    "trainer.graphs": "trainer.graphs=true",
    "trainer.deterministic": "trainer.deterministic=true",
    "method.learner.loss": "method.learner.loss=bpr",
    "method.learner.optimizer": "method.learner.optimizer=rows",
    "method.pretraining.loss": "method.pretraining.loss=bpr",
    "method.pretraining.optimizer": "method.pretraining.optimizer=sgd",
    "eval.questions.draws": "eval.questions.draws=counted",
    "method.transfer.network.bound": "method.transfer.network.bound=3",
}


def test_every_key_that_came_later_has_another_value_here() -> None:
    assert LATER_VALUES.keys() == LATER.keys()


@pytest.mark.parametrize("key", LATER)
def test_keys_that_came_later_count_once_they_are_changed(key: str) -> None:
    method = "sml_gate" if key.startswith("method.transfer") else "fine_tune"
    table = (f"method={method}", "data=table", "data.path=rows.csv", "cut@data.cut=months")

    assert OmegaConf.select(compose(table)[0], key) == LATER[key]
    assert _digest(*table, LATER_VALUES[key]) != _digest(*table)


def test_seeds_of_one_setting_share_a_variant() -> None:
    assert _digest("seed=1", with_seed=False) == _digest("seed=2", with_seed=False)
    assert _digest("method.loops=9", with_seed=False) != _digest(with_seed=False)


def test_the_order_of_overrides_does_not_matter() -> None:
    assert _digest("seed=1", "method.loops=9") == _digest("method.loops=9", "seed=1")


def test_a_digest_is_ten_hex_digits() -> None:
    assert len(_digest()) == 10
    int(_digest(), 16)


def test_the_run_folder_reads_as_what_it_is() -> None:
    config, choices = compose(["method=fine_tune", "data=yelp", "seed=3", "paths.outputs=o"])

    assert run_folder(config, choices) == Path("o") / "yelp" / "fine_tune" / f"seed=3-{digest(config)}"


def test_ones_own_table_goes_by_its_name() -> None:
    config, choices = compose(["data=table", "data.name=clicks", "data.path=clicks.csv"])

    assert run_folder(config, choices).parts[1] == "clicks"


def test_a_preset_is_stronger_than_the_defaults_and_weaker_than_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    shutil.copytree(conf_dir(), tmp_path / "conf")
    (tmp_path / "conf" / "experiment" / "seven.yaml").write_text("# @package _global_\nseed: 7\n")
    monkeypatch.setattr("recretrain.configuration.compose.conf_dir", lambda: tmp_path / "conf")

    assert compose(["experiment=seven"])[0].seed == 7
    assert compose(["experiment=seven", "seed=8"])[0].seed == 8


@pytest.mark.parametrize("group", ["method", "data", "schedule", "eval", "backbone", "experiment", "trainer", "logger"])
def test_every_option_composes(group: str) -> None:
    found = options(conf_dir(), group)

    assert found
    for option in found:
        config, choices = compose([f"{group}={option}"])
        assert choices[group] == option
        assert config.seed == 0


def test_mistakes_are_config_errors() -> None:
    with pytest.raises(ConfigError, match="did you mean sml"):
        compose(["method=smll"])
