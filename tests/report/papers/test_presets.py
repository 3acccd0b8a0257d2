"""Every command that a table of conf/ names can be run, and makes runs that the table would show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from recretrain.commands.reproduce import sweeps
from recretrain.configuration.compose import compose, digest, expand
from recretrain.report.papers import loading
from recretrain.report.papers.card import TableCard

TABLES = loading.names(Path(__file__).parents[3] / "conf")


def as_dict(config: DictConfig) -> dict[str, Any]:
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def once(word: str, table: TableCard) -> str:
    """One value alone of a key whose values are groups of the table."""
    key, _, values = word.partition("=")
    return f"{key}={values.split(',')[0]}" if key in table.scope.parted_by else word


@pytest.mark.parametrize("name", TABLES)
def test_the_commands_of_a_table_compose_to_runs_it_has_a_row_for(name: str, conf_dir: Path) -> None:
    table = loading.load(conf_dir, name)
    kept = [[once(word, table) for word in sweep if "seed=" not in word] for sweep in sweeps(name, [], None)]
    jobs = [job for sweep in kept for job in expand(sweep)]

    assert jobs
    for job in jobs:
        config, choices = compose(job)

        assert table.row(choices["method"], as_dict(config)) is not None
        assert table.scope.has(choices["data"])
        assert config.data.source == "raw"
        facts = {key: choices[key] for key in ("data", "schedule", "eval")}
        assert facts.items() >= table.scope.only.items()


def test_adressa_has_the_settings_its_authors_give_for_it() -> None:
    adressa, _ = compose(["experiment=sml_adressa"])
    yelp, _ = compose(["experiment=sml_yelp"])

    settings = [(c.method.loops, c.method.fresh.epochs, c.method.transfer.epochs) for c in (adressa, yelp)]
    assert settings == [(7, 2, 2), (10, 1, 1)]


def test_a_presets_method_can_be_replaced_on_the_command_line() -> None:
    config, choices = compose(["experiment=sml_adressa_baselines", "method=spmf", "method.pool_start=latest"])

    assert choices["method"] == "spmf"
    assert config.method.pool_start == "latest"


def test_every_row_of_ader_has_a_command(conf_dir: Path) -> None:
    made = {}
    for name in ("ader_table", "ader_ablation"):
        table = loading.load(conf_dir, name)
        jobs = [compose(job) for sweep in sweeps(name, [], None) for job in expand(sweep)]
        made[name] = [(choices["data"], table.row(choices["method"], as_dict(config))) for config, choices in jobs]

    rows = {"session_fine_tune", "session_dropout", "ewc", "session_joint", "ader"}
    assert sorted(made["ader_table"]) == sorted((data, row) for data in ("diginetica", "yoochoose") for row in rows)
    er = ["er_herding", "er_random", "er_loss", "er_loss_as_released", "er_herding_light"]
    variants = [*er, "ader_equal", "ader_fix"]
    assert made["ader_ablation"] == [("diginetica", row) for row in ("ader", *variants, "ader_10k", "ader_20k")]


def test_yoochoose_has_the_batches_and_ader_the_weight_that_its_authors_give_for_it() -> None:
    jobs = [compose(job) for sweep in sweeps("ader_table", [], None) for job in expand(sweep)]

    batches = {(choices["data"], config.method.learner.batch_size) for config, choices in jobs}
    weights = {(choices["data"], config.method.weight) for config, choices in jobs if choices["method"] == "ader"}
    assert batches == {("diginetica", 256), ("yoochoose", 512)}
    assert weights == {("diginetica", 0.8), ("yoochoose", 1.0)}


def test_aders_preset_for_diginetica_says_only_that_the_data_must_be_there() -> None:
    preset, _ = compose(["experiment=ader_diginetica"])
    plain, _ = compose(["method=ader", "data=diginetica", "data.source=raw"])

    assert digest(preset) == digest(plain)


def test_peterrecs_rows_have_commands_and_no_variant_stands_in_the_main_table(conf_dir: Path) -> None:
    made: dict[str, list[str | None]] = {}
    for name in ("peterrec_table", "peterrec_patches", "peterrec_downstream"):
        table = loading.load(conf_dir, name)
        data = "movielens_profiles" if name == "peterrec_patches" else "qq"
        jobs = [compose(job) for sweep in sweeps(name, [f"data={data}"], "0") for job in expand(sweep)]
        made[name] = [table.row(choices["method"], as_dict(config)) for config, choices in jobs]
        assert set(made[name]) == set(table.rows) - ({"mtl"} if name == "peterrec_table" else set())  # too slow on qq

    assert all(len(set(rows)) == len(rows) for rows in made.values())
    orders = [
        compose(job)[0].schedule.order
        for sweep in sweeps("peterrec_downstream", ["data=movielens_profiles"], "0")
        for job in expand(sweep)
    ]
    assert orders.count(None) == len(orders) / 2  # the other half is in the other order
    table = loading.load(conf_dir, "peterrec_table")
    for changed in ("method.patches.insertion=parallel", "schedule.order=[like,click,gender]"):
        config, _ = compose(["experiment=peterrec_ttl", changed])
        assert table.row("peterrec", as_dict(config)) is None
