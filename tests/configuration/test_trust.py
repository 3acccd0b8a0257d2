"""The settings in a run folder are data: they build classes of the package and no others."""

from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from recretrain.commands.cli import main
from recretrain.configuration.compose import compose
from recretrain.configuration.trust import named_in, read
from recretrain.errors import ConfigError

FOREIGN = [
    "os.system",
    "builtins.eval",
    "torch.load",
    "pandas.read_pickle",
    "numpy.load",
    "subprocess.Popen",
    "recretrain.commands.run.os.system",  # what a module of ours imports
    "recretrain.methods.sml.torch.load",
    "recretrain.preparation.sources.table.duckdb.connect",
    "recretrain.commands.cli.main",
    "recretrain.engine.store.RunStore",  # ours, but nothing that settings are built of
    "recretrain.preparation.prepare.load_source",
    "recretrain.data.lineage.lineage",
    "mine.Method",
    "recretrainer.Method",
]
PLACES = [
    "schedule",
    "method",
    "backbone",
    "eval",
    "eval.questions",
    "data",
    "data.cut",
    "method.pretraining",
    "trainer",
]


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Those of a run, as its folder holds them."""
    config, _ = compose(["method=fine_tune", "data=yelp", f"paths.outputs={tmp_path}"])
    OmegaConf.resolve(config)
    file = tmp_path / "config.yaml"
    file.write_text(OmegaConf.to_yaml(config))
    return file


def change(file: Path, place: str, value: object) -> None:
    values = yaml.safe_load(file.read_text())
    *path, last = place.split(".")
    node = values
    for key in path:
        node = node[key]
    node[last] = value
    file.write_text(yaml.safe_dump(values))


def test_settings_of_a_run_come_back_as_they_were(settings: Path):
    config, _ = compose(["method=fine_tune", "data=yelp", f"paths.outputs={settings.parent}"])
    OmegaConf.resolve(config)

    assert OmegaConf.to_container(read(settings)) == OmegaConf.to_container(config)


@pytest.mark.parametrize("target", FOREIGN)
def test_no_class_or_function_but_the_package_s_own_is_built(target: str, settings: Path):
    change(settings, "schedule._target_", target)

    with pytest.raises(ConfigError, match=rf"config\.yaml: schedule names {target}, which is no class of recretrain"):
        read(settings)


@pytest.mark.parametrize("place", PLACES)
def test_nor_in_any_place(place: str, settings: Path):
    change(settings, f"{place}._target_", "os.system")

    with pytest.raises(ConfigError, match=r"names os\.system, which is no class of recretrain"):
        read(settings)


def test_nor_in_lists_or_below_keys_that_nobody_knows(settings: Path):
    change(settings, "eval.metrics", ["recall", {"deep": [{"_target_": "os.system"}]}])

    with pytest.raises(ConfigError, match=r"eval\.metrics\[1\]\.deep\[0\] names os\.system"):
        read(settings)


def test_what_one_trusts_may_be_named(settings: Path):
    change(settings, "method._target_", "mine.methods.Damped")

    assert read(settings, ["mine"]).method._target_ == "mine.methods.Damped"
    assert read(settings, ["mine.methods"]).method._target_ == "mine.methods.Damped"
    for other in ("min", "mine.method", "yours"):
        with pytest.raises(ConfigError, match="give --trust mine"):
            read(settings, [other])


def test_one_s_own_command_trusts_what_it_names():
    assert named_in(["method=fine_tune", "data=yelp"]) == []
    assert named_in(["method=fine_tune", "data=yelp", "method._target_=mine.Method"]) == ["mine"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a: &x [1]\nb: *x\n", "holds YAML references"),
        (b"a: ${oc.env:HOME}\n", "holds interpolations"),
        (b"a: [1\n", r"is damaged \("),
        (b"\xff\xfe", r"is damaged \("),
        (b"- 1\n", r"is damaged \(it holds no keys\)"),
        (b"a: !!python/object/apply:os.system [ls]\n", r"is damaged \("),
        (b"a: " + b"x" * 2**20, "holds more than 1 MB"),
    ],
    ids=lambda given: given[:12].decode("latin-1") if isinstance(given, bytes) else "",
)
def test_files_that_hold_no_settings_are_refused_in_one_line(content: bytes, why: str, tmp_path: Path):
    file = tmp_path / "config.yaml"
    file.write_bytes(content)

    with pytest.raises(ConfigError, match=rf"config\.yaml {why}") as refused:
        read(file)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("verb", ["recommend", "export", "evidence", "aspects", "advance"])
def test_every_verb_that_opens_a_run_folder_refuses(verb: str, settings: Path, capsys, monkeypatch):
    change(settings, "schedule", {"_target_": "os.system", "command": f"touch {settings.parent / 'ran'}"})
    (settings.parent / "run.json").write_text("{}")
    more = {"recommend": ["--users", "all", "--out", "top.csv"], "export": ["--out", "exported"]}
    monkeypatch.chdir(settings.parent)

    assert main([verb, str(settings.parent), *more.get(verb, [])]) == 1

    assert "names os.system, which is no class of recretrain" in capsys.readouterr().err
    assert not (settings.parent / "ran").exists()
