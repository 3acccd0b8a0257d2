import multiprocessing

import numpy as np
import pytest
import torch

from recretrain.engine import changes
from recretrain.engine import store as store_module
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


CPU = torch.device("cpu")


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the tables of these tests were large."""
    monkeypatch.setattr(changes, "LEAST", 1000)
    monkeypatch.setattr(store_module, "LEAST", 1000)


def table_after(index: int) -> torch.Tensor:
    """A table of 32 kB in which each task alters 100 rows of 2,000, others each time."""
    table = torch.zeros(2000, 4)
    for task in range(1, index + 1):
        table[100 * task : 100 * task + 100] = task
    return table


def learn(store: RunStore, tasks: int) -> None:
    for index in range(store.done(), tasks):
        store.commit(Costs(index, 1.0, 0.5, 100.0, 30, 10, 0), [], {}, {"table": table_after(index), "task": index})


def states(store: RunStore) -> list[str]:
    return sorted(str(path.relative_to(store.tasks)) for path in store.tasks.rglob("*.pt"))


def test_a_state_of_which_little_has_changed_is_its_changes_beside_the_whole_one(tmp_path, large):
    store = RunStore(tmp_path / "run")

    learn(store, 4)

    assert states(store) == ["0/state.pt", "3/changes.pt"]
    found = store.state(3, CPU)
    assert torch.equal(found["table"], table_after(3))
    assert (list(found), found["task"]) == (["table", "task"], 3)
    sizes = [(store.tasks / name).stat().st_size for name in states(store)]
    costs = (store.tasks / "3" / "costs.csv").read_text().splitlines()[1]
    assert costs.endswith(f",{sum(sizes)}")


def test_a_state_is_written_whole_once_its_changes_have_cost_as_much(tmp_path, large):
    """The base has 33 kB; the changes have 4, 6, 9, 11 and 14: 24 bytes a row, and some of the file itself."""
    store, kept = RunStore(tmp_path / "run"), []

    for tasks in range(1, 9):
        learn(store, tasks)
        kept.append(states(store))

    assert kept[4:] == [
        ["0/state.pt", "4/changes.pt"],
        ["0/state.pt", "5/changes.pt"],
        ["6/state.pt"],
        ["6/state.pt", "7/changes.pt"],
    ]
    assert torch.equal(store.state(7, CPU)["table"], table_after(7))


def test_a_small_state_is_always_whole_and_not_even_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "changes", lambda *_: pytest.fail("compared"))
    store = RunStore(tmp_path / "run")

    learn(store, 3)

    assert states(store) == ["2/state.pt"]


@pytest.mark.parametrize("name", ["0/state.pt", "3/changes.pt"])
def test_a_damaged_part_of_a_state_is_noticed_by_the_run_that_goes_on(tmp_path, large, name):
    store = RunStore(tmp_path / "run")
    learn(store, 4)
    content = bytearray((store.tasks / name).read_bytes())
    content[len(content) // 2] ^= 1
    (store.tasks / name).write_bytes(content)

    with pytest.raises(ConfigError, match=rf"{name} is damaged"):
        store.check()


@pytest.mark.parametrize("name", ["0/state.pt", "3/changes.pt"])
def test_a_lost_part_of_a_state_says_what_to_delete(tmp_path, large, name):
    store = RunStore(tmp_path / "run")
    learn(store, 4)
    (store.tasks / name).unlink()

    with pytest.raises(ConfigError, match=rf"{name} is gone, so the run cannot go on; delete"):
        store.state(3, CPU)


def test_what_an_older_task_was_told_by_is_not_missed(tmp_path, large):
    store = RunStore(tmp_path / "run")
    learn(store, 7)

    store.check()

    assert not (store.tasks / "0" / "state.pt").exists()
