"""The same work by one library, in an environment of its own: `python benchmarks/peers_work.py LIBRARY DATA.npz`.

Prints its figures as JSON. Needs numpy and the library alone; `recretrain` is one of them.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SIZE, BATCH, EPOCHS, K = 64, 1024, 10, 20
_REMOVED = {  # names that numpy had and RecBole uses
    **{"float": float, "int": int, "bool": bool, "object": object, "long": int, "unicode": str, "complex": complex},
    **{"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_},
}


class Data(NamedTuple):
    user: Any  # [N] of rows to learn
    item: Any  # [N]
    asked: Any  # [Q] users of rows to foretell
    label: Any  # [Q]
    users: int
    items: int


class Measured(NamedTuple):
    start: float  # CPU seconds from the start of the process to the first step
    rows: float  # learned a CPU second
    training_mb: float  # peak of the process
    asked: float  # questions or users whose whole catalogue was ranked, a CPU second
    ranking_mb: float


def measured(train: Callable[[], object], rows: int, rank: Callable[[], object], asked: int) -> Measured:
    begun = time.process_time()
    train()
    trained, training_mb = time.process_time(), _peak_mb()
    rank()
    return Measured(
        begun, rows / (trained - begun), training_mb, asked / (time.process_time() - trained), _peak_mb()
    )  # fmt: skip


def recretrain(data: Data) -> Measured:
    """Log loss and Adam on batches; questions, several a user."""
    return _recretrain(data, plain=False)


def recretrain_bpr(data: Data) -> Measured:
    """The same by BPR and plain steps of a batch's rows."""
    return _recretrain(data, plain=True)


def _recretrain(data: Data, *, plain: bool) -> Measured:
    torch: Any = import_module("torch")
    from benchmarks.speed import CPU, figures
    from recretrain.backbones.mf import MF
    from recretrain.backbones.optimizers import DenseAdam, RowSGD
    from recretrain.data.batches import Batches
    from recretrain.data.interactions import Interactions
    from recretrain.data.kinds import Rankings
    from recretrain.data.negatives import NegativeSampler
    from recretrain.data.questions import seen_before
    from recretrain.data.vocabulary import Vocabulary
    from recretrain.engine.fitter import Fitter
    from recretrain.methods.learners.log_loss import BPRLoss, LogLoss

    user, item, asked, label = map(torch.from_numpy, data[:4])
    rows, generator = Interactions(user, item), torch.Generator().manual_seed(0)
    mf = MF(vocabulary=Vocabulary.of(n_users=data.users, n_items=data.items), embedding_size=SIZE, init_std=0.1)
    batches = Batches(rows, NegativeSampler.within(user, item, data.items), batch_size=BATCH, generator=generator)
    weights = list(mf.parameters())
    if plain:
        objective: Any = BPRLoss(mf, RowSGD(weights, learning_rate=0.08 * BATCH), reg=0.0)
    else:
        objective = LogLoss(mf, DenseAdam(weights, learning_rate=0.01), reg=0.0)
    fitter = Fitter(CPU, generator, "32-true")

    def rank() -> None:
        catalogue, seen = torch.arange(data.items), seen_before(asked, rows)
        figures(mf, Rankings(period=0, user=asked, labels=label, catalogue=catalogue, seen=seen))

    return measured(
        lambda: fitter(objective, batches, epochs=EPOCHS), EPOCHS * len(user), rank, len(asked)
    )  # fmt: skip


def recbole(data: Data) -> Measured:
    """BPR with Adam on batches; users."""
    for name, kind in _REMOVED.items():
        if not hasattr(np, name):
            setattr(np, name, kind)
    with tempfile.TemporaryDirectory() as folder:
        _write_atomic(data, Path(folder))
        settings = {
            **{"data_path": folder, "benchmark_filename": ["train", "valid", "test"], "embedding_size": SIZE},
            **{"load_col": {"inter": ["user_id", "item_id"]}, "train_batch_size": BATCH, "epochs": EPOCHS},
            **{"eval_batch_size": 256 * data.items, "topk": [K], "metrics": ["NDCG"], "valid_metric": f"NDCG@{K}"},
            **{"use_gpu": False, "state": "ERROR", "show_progress": False, "checkpoint_dir": folder},
        }
        config = import_module("recbole.config").Config(model="BPR", dataset="rows", config_dict=settings)
        library = import_module("recbole.data")
        dataset = library.create_dataset(config)
        train, _, test = library.data_preparation(config, dataset)
        model = import_module("recbole.model.general_recommender").BPR(config, train.dataset).to("cpu")
        trainer = import_module("recbole.trainer").Trainer(config, model)
        return measured(
            lambda: trainer.fit(train, saved=False, show_progress=False),
            EPOCHS * len(data.user),
            lambda: trainer.evaluate(test, load_best_model=False, show_progress=False),
            len(np.unique(data.asked)),
        )


def cornac(data: Data) -> Measured:
    """BPR with SGD a row, in Cython; users."""
    library = import_module("cornac")
    ids = {user: user for user in range(data.users)}, {item: item for item in range(data.items)}
    train, test = (
        library.data.Dataset.build(
            ((int(u), int(i), 1.0) for u, i in zip(*pair, strict=True)), global_uid_map=ids[0], global_iid_map=ids[1]
        )
        for pair in (data[:2], data[2:4])
    )
    model = library.models.BPR(k=SIZE, max_iter=EPOCHS, num_threads=1, verbose=False, seed=0)
    evaluation = import_module("cornac.eval_methods.base_method").ranking_eval
    metrics = [library.metrics.NDCG(k=K)]
    return measured(
        lambda: model.fit(train),
        EPOCHS * len(data.user),
        lambda: evaluation(model, metrics, train, test),
        len(np.unique(data.asked)),
    )


def implicit(data: Data) -> Measured:
    """BPR with SGD a row, in Cython; users, their top 20."""
    matrix = import_module("scipy.sparse").csr_matrix
    rows = matrix((np.ones(len(data.user), np.float32), (data.user, data.item)), shape=(data.users, data.items))
    kind = import_module("implicit.cpu.bpr").BayesianPersonalizedRanking
    model = kind(factors=SIZE, iterations=EPOCHS, num_threads=1, random_state=0)
    users = np.unique(data.asked)
    return measured(
        lambda: model.fit(rows, show_progress=False),
        EPOCHS * len(data.user),
        lambda: model.recommend(users, rows[users], N=K, filter_already_liked_items=True),
        len(users),
    )


def _write_atomic(data: Data, folder: Path) -> None:
    """RecBole's own files: what is learned, and what is asked, as validation too."""
    (folder / "rows").mkdir()
    for part, users, items in (
        ("train", data.user, data.item),
        ("valid", data.asked[:1], data.label[:1]),
        ("test", data.asked, data.label),
    ):
        lines = [f"{user}\t{item}" for user, item in zip(users.tolist(), items.tolist(), strict=True)]
        (folder / "rows" / f"rows.{part}.inter").write_text("\n".join(["user_id:token\titem_id:token", *lines, ""]))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


WORK: dict[str, Callable[[Data], Measured]] = {
    "recretrain": recretrain, "recretrain_bpr": recretrain_bpr,
    "recbole": recbole, "cornac": cornac, "implicit": implicit,
}  # fmt: skip

if __name__ == "__main__":
    with np.load(sys.argv[2]) as arrays:
        given = Data(*(arrays[name] for name in Data._fields[:4]), *(int(arrays[name]) for name in Data._fields[4:]))
    print(json.dumps(WORK[sys.argv[1]](given)._asdict()))
