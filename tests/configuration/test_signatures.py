"""Values live in conf/ only: the keys of a `_target_` node are the keyword-only parameters, which have no defaults."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from omegaconf import OmegaConf

from recretrain.configuration.compose import compose, conf_dir
from recretrain.configuration.hints import choices, fits
from recretrain.configuration.options import options
from recretrain.configuration.signatures import (
    ENGINE_GIVEN,
    check,
    check_node,
    is_ours,
    nodes,
    type_hints,
)
from recretrain.errors import ConfigError
from recretrain.values import AtLeast1, Within

INSIDE = {"pretraining": "pretraining@method.pretraining", "transfer": "transfer@method.transfer.network"}
GROUPS = ("method", "data", "schedule", "backbone", "eval", "trainer", "logger", "experiment", *INSIDE)
CHOICES = [(group, option) for group in GROUPS for option in options(conf_dir(), group)]
MUST_HAVE = {"method", "data", "schedule", "backbone", "eval"}  # nodes of every configuration


def composed(group: str, option: str) -> dict[str, Any]:
    overrides = ["data.path=x"] if option == "table" else []
    values = OmegaConf.to_container(compose([f"{INSIDE.get(group, group)}={option}", *overrides])[0], resolve=True)
    assert isinstance(values, dict)
    return values


def our_nodes(values: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], Any]]:
    found = [(path, node, _resolve(node["_target_"])) for path, node in nodes(values)]
    return [(path, node, target) for path, node, target in found if is_ours(target)]


@pytest.mark.parametrize(("group", "option"), CHOICES, ids=["=".join(choice) for choice in CHOICES])
def test_keys_are_the_parameters(group: str, option: str) -> None:
    found = our_nodes(composed(group, option))

    assert {path for path, _, _ in found} >= MUST_HAVE
    for path, node, target in found:
        keys = {key for key in node if not key.startswith("_")}
        parameters = inspect.signature(target).parameters.values()
        assert keys == {p.name for p in parameters} - ENGINE_GIVEN, path
        assert [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY or p.default is not p.empty] == [], path
        assert [p.name for p in parameters if type_hints(target).get(p.name, Any) in (Any, object)] == [], path
        check_node(path, node, within={})


@pytest.mark.parametrize(("group", "option"), CHOICES, ids=["=".join(choice) for choice in CHOICES])
def test_a_wrong_value_of_any_key_is_refused(group: str, option: str) -> None:
    """Every number, choice, truth value, list and nested node, with each kind of value it must not have."""
    accepted, tried = [], 0
    for path, node, target in our_nodes(composed(group, option)):
        for key, hint in type_hints(target).items():
            for value in wrong_values(hint) if key in node else ():
                tried += 1
                if not _refused(path, {**node, key: value}, f"{path}.{key}"):
                    accepted.append(f"{path}.{key}={value!r}")

    assert tried > 20
    assert accepted == []


def wrong_values(hint: Any) -> Iterator[Any]:
    """Values beside each constraint of a hint, whichever the hint does not allow after all left out."""
    yield from (value for value in [*_candidates(hint)] if not fits(value, hint))


def _candidates(hint: Any) -> Iterator[Any]:
    yield from ("no such choice", float("nan"), float("inf"), 0.5, 5, True, None, [object()], {"a": object()})
    if get_origin(hint) is Annotated:
        for limit in (extra for extra in hint.__metadata__ if isinstance(extra, Within)):
            yield from (limit.low - 1, limit.high + 1, *([limit.low, limit.high] if limit.inside else []))
    for argument in get_args(hint):
        if get_origin(argument) is not None:
            yield from _candidates(argument)
            yield from ([value] for value in _candidates(argument))


def test_wrong_values_are_found() -> None:
    assert {*map(str, wrong_values(AtLeast1 | None))} >= {"0", "nan", "0.5", "True", "no such choice"}
    assert list(wrong_values(Literal["a", "b"]))[:1] == ["no such choice"]
    assert [0] in list(wrong_values(Sequence[AtLeast1]))
    assert choices(Literal["a"] | None) == ["a"]


def _refused(path: str, node: Mapping[str, Any], name: str) -> bool:
    try:
        check_node(path, node, within={})
    except ConfigError as error:
        return str(error).startswith(name)
    return False


WITHOUT_RANGE = {"min_rating", "new_items_from", "merge_ids"}  # any number of stars, any year, any id


@pytest.mark.parametrize(("group", "option"), CHOICES, ids=["=".join(choice) for choice in CHOICES])
def test_every_number_has_a_range_and_no_constructor_many_arguments(group: str, option: str) -> None:
    for path, node, target in our_nodes(composed(group, option)):
        hints = {key: hint for key, hint in type_hints(target).items() if key in node}
        assert [key for key, hint in hints.items() if _plain_number(hint) and key not in WITHOUT_RANGE] == [], path
        most = 10 if target.__name__ == "Table" else 8  # all that an own table may need
        assert len(inspect.signature(target).parameters) <= most, path


def _plain_number(hint: Any) -> bool:
    """Whether a hint allows a number without a constraint."""
    return hint in (int, float) or (get_origin(hint) is not Annotated and any(map(_plain_number, get_args(hint))))


def test_a_number_without_range_is_seen() -> None:
    assert _plain_number(Sequence[int] | None)
    assert not _plain_number(Sequence[AtLeast1] | None)


def test_the_walk_found_the_methods() -> None:
    assert {option for group, option in CHOICES if group == "method"} >= {"sml", "fine_tune", "full_retrain", "spmf"}


class Part:
    def __init__(self, *, size: AtLeast1) -> None: ...


class Toy:
    def __init__(
        self, *, backbone: Any, rate: float, epochs: int | None, ks: Sequence[int], part: Part | None
    ) -> None: ...


def node(**values: Any) -> dict[str, Any]:
    return {"_target_": f"{__name__}.Toy", "rate": 1, "epochs": None, "ks": [1], "part": None, **values}


@pytest.fixture(autouse=True)
def _toys_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = is_ours
    monkeypatch.setattr(
        "recretrain.configuration.signatures.is_ours", lambda target: target in (Toy, Part) or ours(target)
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rat": 1}, "toy has no key 'rat'; did you mean rate\\? keys: epochs, ks, part, rate"),
        ({"rate": "fast"}, "toy.rate='fast' must be a number; change toy.rate"),
        ({"rate": True}, "toy.rate=true must be a number"),
        ({"epochs": 1.5}, "toy.epochs=1.5 must be a whole number or null"),
        ({"ks": 5}, "toy.ks=5 must be a list"),
        ({"ks": ["x"]}, r"toy.ks\[0\]='x' must be a whole number"),
        ({"backbone": 1}, "toy has no key 'backbone'"),
        ({"part": 5}, r"toy.part=5 must be keys with a _target_ \(a Part\) or null; set its keys one by one"),
        ({"part": {"size": 5}}, r"toy.part=\{size: 5\} must be keys with a _target_"),
        ({"part": {"_target_": "fractions.Fraction"}}, "toy.part._target_=fractions.Fraction is not a Part; name a"),
        ({"part": {"_target_": "fractions.Fracti"}}, "toy.part._target_=fractions.Fracti is not there; name a class"),
    ],
)
def test_a_value_that_does_not_fit_is_named(wrong: Mapping[str, Any], message: str) -> None:
    check_node("toy", node(), within={})

    with pytest.raises(ConfigError, match=message):
        check_node("toy", node(**wrong), within={})


def test_a_missing_value_is_named() -> None:
    without = node()
    del without["rate"]

    with pytest.raises(ConfigError, match=r"toy.rate has no value; give toy.rate=\.\.\."):
        check_node("toy", without, within={})


def test_nodes_inside_nodes_and_lists_are_found() -> None:
    inner = {"_target_": f"{__name__}.Part", "size": 1}

    found = nodes({"toy": node(part=inner), "list": [inner]})

    assert [path for path, _ in found] == ["toy", "toy.part", "list[0]"]


def test_classes_of_other_libraries_are_left_alone() -> None:
    check_node("logger", {"_target_": "fractions.Fraction", "whatever": 1}, within={})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["method=sml", "method.loops=x"], r"method\.loops='x'"),
        (["data=yelp", "data.generator.users=x"], r"data\.generator\.users='x' must be a whole number"),
        (["data=yelp", "data.generator=5"], r"data\.generator=5 must be keys with a _target_ \(a Generator\)"),
        (
            ["data=diginetica", "data.filters.min_item_clicks=abc"],
            r"data\.filters\.min_item_clicks='abc' must be a wh",
        ),
        (["data=table", "data.path=x", "data.columns.user=5"], r"data\.columns\.user=5 must be text"),
        (["method.pretraining=5"], r"method\.pretraining=5 must be keys with a _target_"),
        (["method.pretraining.epochs=x"], r"method\.pretraining\.epochs='x' must be a whole number"),
        (["method._target_=recretrain.methods.sml.SLM"], r"method\._target_=recretrain.methods.sml.SLM is not there"),
        (["~method._target_"], r"method names no class; choose method=\.\.\., or set method\._target_"),
    ],
)
def test_a_whole_configuration_is_checked(overrides: Sequence[str], message: str) -> None:
    check(compose(["method=sml"])[0])

    with pytest.raises(ConfigError, match=message):
        check(compose(overrides)[0])


def test_a_check_can_be_kept_to_some_nodes() -> None:
    config, _ = compose(["method.loops=x", "data.filters.k_core=x"])

    check(config, under=["eval"])

    with pytest.raises(ConfigError, match=r"data\.filters\.k_core"):
        check(config, under=["eval", "data"])


def test_inherited_fields_have_the_hints_of_the_module_they_were_written_in() -> None:
    from recretrain.preparation.sources.diginetica import Diginetica

    found = type_hints(Diginetica)

    assert found["path"] is str  # of Source, two classes up
    assert found["filters"].__name__ == "SessionFilters"  # of clicks.py, not imported in diginetica.py


def test_a_hint_that_cannot_be_resolved_is_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lazy.py").write_text("class Lazy:\n    def __init__(self, *, path: 'Path') -> None: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("recretrain.configuration.signatures.is_ours", lambda _: True)

    with pytest.raises(NameError, match="Path"):
        check_node("lazy", {"_target_": "lazy.Lazy", "path": "x"}, within={})


def test_a_user_s_class_is_checked_if_it_derives_from_one_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_scores.py").write_text(
        "from recretrain.methods.popularity import Popularity\n\n\n"
        "class Own(Popularity):\n    def __init__(self, *, decay: float) -> None: ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ConfigError, match=r"method\.decay='x' must be a number"):
        check_node("method", {"_target_": "own_scores.Own", "decay": "x"}, within={})


def _resolve(target: str) -> Any:
    from hydra.utils import get_object

    return get_object(target)
