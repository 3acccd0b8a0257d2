import multiprocessing

import numpy as np
import pytest
import torch

from recretrain.engine.store import RunStore
from recretrain.errors import ConfigError
from recretrain.records import Costs, Row


def commit(store: RunStore, index: int) -> None:
    costs = Costs(index, 1.0, 0.5, 100.0, 30, 10, 0)
    rows = [Row(index, 5, "test", "all", "recall", 20, 0.25, 30)]
    store.commit(costs, rows, {"5_test": np.arange(3, dtype=np.int32)}, {"table": torch.full((2,), float(index))})


def test_a_committed_task_has_all_its_files(tmp_path):
    store = RunStore(tmp_path / "run")

    commit(store, 0)

    folder = tmp_path / "run" / "tasks" / "0"
    assert (folder / "rows.csv").read_text().splitlines() == [
        "task,period,test,group,metric,k,value,n",
        "0,5,test,all,recall,20,0.25,30",
    ]
    size = (folder / "state.pt").stat().st_size
    assert (folder / "costs.csv").read_text().splitlines()[1] == f"0,1.0,0.5,100.0,30,10,{size}"
    assert np.load(folder / "ranks.npz")["5_test"].tolist() == [0, 1, 2]


def test_only_the_newest_state_is_kept(tmp_path):
    store = RunStore(tmp_path / "run")

    commit(store, 0)
    commit(store, 1)

    assert store.done() == 2
    assert [p.parent.name for p in store.tasks.glob("*/state.pt")] == ["1"]
    assert store.state(1, torch.device("cpu"))["table"].tolist() == [1.0, 1.0]


def test_a_task_that_was_cut_off_while_written_is_not_done(tmp_path):
    store = RunStore(tmp_path / "run")
    commit(store, 0)
    half = store.tasks / ".1"
    half.mkdir()
    (half / "rows.csv").write_text("half a l")

    assert store.done() == 1
    commit(store, 1)
    assert store.done() == 2


def test_a_lost_state_says_what_to_delete(tmp_path):
    store = RunStore(tmp_path / "run")
    commit(store, 0)
    (store.tasks / "0" / "state.pt").unlink()

    with pytest.raises(ConfigError, match="so the run cannot go on; delete"):
        store.state(0, torch.device("cpu"))


def hold(folder, taken, done) -> None:
    with RunStore(folder).locked():
        taken.set()
        done.wait(20)


def test_a_second_process_is_kept_out_of_a_run_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    taken, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / "run", taken, done))
    other.start()
    try:
        assert taken.wait(60)
        with pytest.raises(ConfigError, match="another process is working in"), RunStore(tmp_path / "run").locked():
            pass
    finally:
        done.set()
        other.join()
    with RunStore(tmp_path / "run").locked():
        pass


def test_texts_are_replaced_whole(tmp_path):
    store = RunStore(tmp_path / "run")

    store.write_card({"a": 1})
    store.write_card({"a": 2})

    assert store.card() == {"a": 2}
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["run.json", "tasks"]
