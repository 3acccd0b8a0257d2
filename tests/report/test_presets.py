"""Every command that a table of conf/ names can be run, and makes runs that the table would show."""

from __future__ import annotations

from pathlib import Path

import pytest

from recretrain.config import compose
from recretrain.report import paper
from recretrain.reproduce import expand, sweeps

TABLES = paper.names(Path(__file__).parents[2] / "conf")


@pytest.mark.parametrize("name", TABLES)
def test_the_commands_of_a_table_compose_to_runs_it_has_a_row_for(name: str, conf_dir: Path) -> None:
    table = paper.load(conf_dir, name)
    jobs = [job for sweep in sweeps(name, [], None) for job in expand([word for word in sweep if "seed=" not in word])]

    assert jobs
    for job in jobs:
        config, choices = compose(job)

        assert choices["method"] in table.rows
        assert table.about(choices["data"])
        assert config.data.source == "raw"
        assert {"data": choices["data"], "schedule": choices["schedule"]}.items() >= table.only.items()


def test_adressa_has_the_settings_its_authors_give_for_it() -> None:
    adressa, _ = compose(["experiment=sml_adressa"])
    yelp, _ = compose(["experiment=sml_yelp"])

    settings = [(c.method.loops, c.method.fresh_epochs, c.method.transfer_epochs) for c in (adressa, yelp)]
    assert settings == [(7, 2, 2), (10, 1, 1)]


def test_a_presets_method_can_be_replaced_on_the_command_line() -> None:
    config, choices = compose(["experiment=sml_adressa_baselines", "method=spmf", "method.pool_start=latest"])

    assert choices["method"] == "spmf"
    assert config.method.pool_start == "latest"
