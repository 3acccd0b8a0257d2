"""Any file of a run, finished or not, in any way not as it was written: noticed by whoever reads it, or harmless."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from recretrain.commands.cli import main
from recretrain.configuration.compose import compose
from recretrain.engine.runner import run
from recretrain.errors import Mistake, ReportError
from recretrain.report.runs.answers import answers
from recretrain.report.runs.reading import read_runs
from recretrain.testing.streams import tasteful_slices
from tests.reliability import runs
from tests.tiny import TINY

CARDS = ("files.json", "run.json", "config.yaml")  # an end of a line in them tells nothing
WORDS = ("is damaged", "is gone", "is of another run", "lacks files", "holds results on other data")
NOT_READ = ("run.lock", ".lock")  # files whose content nobody looks at


def repeat(place: Path, *more: str) -> Path:
    words = [*TINY, "method=fine_tune", "backbone.embedding_size=4", "method.learner.epochs=1"]
    words += ["method.pretraining.epochs=1", "schedule.warm_up=start", "data.cut.periods=6", "schedule.first_test=3"]
    words += [f"data.path={place / 'clicks.csv'}", f"paths.outputs={place / 'out'}", f"paths.cache={place / 'cache'}"]
    words += more
    config, choices = compose(words)
    return run(config, choices=choices, overrides=words)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Places of a run that is half done and of one that is done, with a second run beside it."""
    place = tmp_path_factory.mktemp("damages") / "now"
    place.mkdir()
    ((users, items),) = tasteful_slices(1, 400, n_users=20, n_items=40)
    rows = [f"{u},{i},{time}" for time, (u, i) in enumerate(zip(users, items, strict=True))]
    (place / "clicks.csv").write_text("\n".join(["user,item,timestamp", *rows]) + "\n")
    repeat(place, "schedule.last_test=4")
    half = shutil.copytree(place, place.with_name("half"), symlinks=True)
    repeat(place)
    repeat(place, "seed=1")
    return {"now": place, "half": half, "whole": shutil.copytree(place, place.with_name("whole"))}


def put(made: Mapping[str, Path], state: str) -> Path:
    shutil.rmtree(made["now"])
    shutil.copytree(made[state], made["now"])
    return made["now"]


def flipped(content: bytes, at: int, _: bytes) -> bytes:
    place = at % max(1, len(content))
    return content[:place] + bytes([content[place] ^ (1 << at % 8)]) + content[place + 1 :] if content else b""


def cut(content: bytes, at: int, _: bytes) -> bytes:
    return content[: at % max(1, len(content))]


DAMAGES: Mapping[str, Callable[[bytes, int, bytes], bytes | None]] = {
    "flipped": flipped,
    "cut": cut,
    "doubled": lambda content, *_: content * 2,
    "emptied": lambda *_: b"",
    "longer": lambda content, *_: content + b"\0",
    "gone": lambda *_: None,
    "another's": lambda content, at, other: other,
}


def damaged(place: Path, data: st.DataObject) -> tuple[Path, str, bool]:
    """One file below the place that is not as it was; its path, how, and whether anything changed."""
    files = [path for path in sorted(place.rglob("*")) if path.is_file() and path.name != "clicks.csv"]
    path = data.draw(st.sampled_from([path for path in files if not path.name.endswith(NOT_READ)]), label="file")
    how = data.draw(st.sampled_from(list(DAMAGES)), label="how")
    alike = [other for other in files if other.suffix == path.suffix and other != path]
    other = data.draw(st.sampled_from(alike or [path]), label="other").read_bytes()
    before = path.read_bytes()
    after = DAMAGES[how](before, data.draw(st.integers(0, 10**6), label="at"), other)
    if after is None:
        path.unlink()
    else:
        path.write_bytes(after)
    event(how)
    return path, how, after != before


def figures(folder: Path) -> Mapping[str, object]:
    """Rows, answers and the state of a run."""
    kept = runs.kept(folder)
    return {name: content for name, content in kept.items() if name.endswith(("rows.csv", "ranks.npz", "state.pt"))}


def one_message(refused: Mistake) -> str:
    assert len(str(refused).splitlines()) <= 3, refused
    return str(refused)


@pytest.mark.parametrize("state", ["half", "whole"])
@given(data=st.data())
def test_the_same_command_refuses_or_gives_what_an_unbroken_run_gives(
    state: str, data: st.DataObject, made: Mapping[str, Path]
) -> None:
    place = put(made, state)
    damaged(place, data)

    try:
        folder = repeat(place)
    except Mistake as refused:
        assert any(word in one_message(refused) for word in WORDS)  # noqa: PT017 - it may also go on
    else:
        assert runs.differences(figures(folder), figures(made["whole"] / folder.relative_to(place))) == []


@given(data=st.data())
def test_verify_notices_whatever_is_wrong_with_results(data: st.DataObject, made: Mapping[str, Path], capsys) -> None:
    place = put(made, "whole")
    path, _, changed = damaged(place / "out", data)

    code = main(["verify", str(place / "out")])

    said = capsys.readouterr().err
    if code == 1:
        assert any(word in said for word in WORDS), said
    elif changed and ".pretrained" not in path.parts:  # these weights say for themselves what they are
        assert path.name in CARDS, path
        assert figures_read(place) == figures_read(made["whole"]), path


@given(data=st.data())
def test_a_report_tells_the_same_figures_or_leaves_the_run_out(data: st.DataObject, made: Mapping[str, Path]) -> None:
    place = put(made, "whole")
    wanted = figures_read(place)
    damaged(place / "out", data)

    for name, told in figures_read(place).items():
        assert told == wanted[name]


def figures_read(place: Path) -> Mapping[str, str]:
    """What a report reads of each run that it does not leave out: figures, answers, card and method."""
    found = {}
    for one in read_runs(place / "out"):
        if one.damage is None and one.complete:
            try:
                told = answers(one, ["recall@20"], "test", "all").tolist()
            except ReportError as refused:
                one_message(refused)
                continue
            found[one.folder.name] = f"{one.rows.to_csv()}{told}{one.card}{one.config.get('method')}"
    return found
