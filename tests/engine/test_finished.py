"""A finished run is opened wherever it was learned, by as many devices as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from recretrain.configuration.compose import compose
from recretrain.engine.finished import finished
from recretrain.engine.runner import run
from recretrain.engine.store import RunStore
from recretrain.testing.streams import tasteful_slices
from tests.tiny import TINY


@pytest.mark.parametrize("devices", ["4", None], ids=["more than there are", "from before it was said"])
def test_a_run_is_opened_on_one_device(devices: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ((users, items),) = tasteful_slices(1, 700, n_users=30, n_items=60)
    rows = [f"{u},{i},{time}" for time, (u, i) in enumerate(zip(users, items, strict=True))]
    (tmp_path / "rows.csv").write_text("\n".join(["user,item,timestamp", *rows, ""]))
    paths = [f"data.path={tmp_path / 'rows.csv'}", f"paths.outputs={tmp_path / 'out'}", f"paths.cache={tmp_path / 'c'}"]
    config, choices = compose([*TINY, "method=popularity", *paths])
    folder = run(config, choices=choices, overrides=[])
    store = RunStore(folder)
    line = "  devices: 1\n"
    text = (folder / "config.yaml").read_text().split("\n", 1)[1]
    assert line in text
    written = text.replace(line, f"  devices: {devices}\n" if devices else "")
    store.write_config(written, folder.name.split("-")[1])

    asked, _, last = finished(folder)

    assert asked.machine.devices == 1
    assert last == store.done() - 1
