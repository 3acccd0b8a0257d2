"""A run is on what is in its raw files, wherever they lie, and an edit is seen whatever it keeps."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from recretrain.configuration import compose as composing
from recretrain.configuration.compose import compose
from recretrain.engine.runner import run
from recretrain.errors import ConfigError
from recretrain.preparation.contents import content_of
from recretrain.records import OUTSIDE_DIGEST
from recretrain.testing.streams import tasteful_slices
from tests.tiny import TINY


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    ((users, items),) = tasteful_slices(1, 700, n_users=30, n_items=60)
    rows = [f"{u},{i},{time}" for time, (u, i) in enumerate(zip(users, items, strict=True))]
    file = tmp_path / "clicks.csv"
    file.write_text("\n".join(["user,item,timestamp", *rows]) + "\n")
    return file


def popularity(clicks: Path, *more: str, path: Path | None = None) -> Path:
    """The run on a table, at another `path` or there, with its outputs and prepared data beside it."""
    words = [*TINY, "method=popularity", "schedule.warm_up=start", f"data.path={path or clicks}"]
    words += [f"paths.outputs={clicks.parent / 'out'}", f"paths.cache={clicks.parent / 'cache'}", *more]
    config, choices = compose(words)
    return run(config, choices=choices, overrides=words)


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_the_same_table_at_two_places_is_one_run(clicks: Path) -> None:
    other = clicks.parent / "moved" / clicks.name
    other.parent.mkdir()
    shutil.copy(clicks, other)
    folder = popularity(clicks)
    before = times(folder)

    assert popularity(clicks, path=other) == folder
    assert times(folder) == before
    assert len(list((clicks.parent / "cache").glob("tiny-*"))) == 1


def test_an_edit_is_seen_that_keeps_size_and_time_of_change(clicks: Path) -> None:
    popularity(clicks)
    before = clicks.stat()
    text = clicks.read_text()
    clicks.write_text(text.replace("\n1,", "\n2,", 1))
    os.utime(clicks, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (clicks.stat().st_size, clicks.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)

    with pytest.raises(ConfigError, match="holds results on other data"):
        popularity(clicks)


def test_an_unchanged_file_is_read_once(clicks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remembered = clicks.parent / "contents"
    content = content_of(clicks, remembered)
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("read again"))

    assert content_of(clicks, remembered) == content
    assert len(list(remembered.iterdir())) == 1


@pytest.mark.parametrize("damage", [lambda text: text[:40], lambda text: "", lambda text: "f" + text[1:]])
def test_a_damaged_note_is_made_again(clicks: Path, damage) -> None:
    remembered = clicks.parent / "contents"
    content = content_of(clicks, remembered)
    (note,) = remembered.iterdir()
    note.write_text(damage(note.read_text()))

    assert content_of(clicks, remembered) == content


def test_a_run_goes_on_under_the_name_that_it_was_begun_with(clicks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        then = [key for key in OUTSIDE_DIGEST if key != "data.path"]
        patch.setattr(composing, "OUTSIDE_DIGEST", then)
        begun = popularity(clicks, "schedule.last_test=4")
    done = len(list((begun / "tasks").iterdir()))

    assert popularity(clicks) == begun
    assert len(list((begun / "tasks").iterdir())) > done
    assert [path.name for path in begun.parent.iterdir()] == [begun.name]
    assert popularity(clicks, "seed=1").name.partition("-")[2] != begun.name.partition("-")[2]


def test_a_cache_that_cannot_be_written_to_is_no_fault(clicks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = content_of(clicks, clicks.parent / "some")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)

    assert content_of(clicks, clicks.parent / "others") == wanted
