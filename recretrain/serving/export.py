"""A run's weights and embeddings in files that need neither recretrain nor torch to be read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from recretrain.errors import ConfigError
from recretrain.serving.asking import tomorrow
from recretrain.serving.card import card
from recretrain.serving.identities import Identities
from recretrain.serving.opened import Opened
from recretrain.serving.wishes import Wish

_CHECKED = 8  # users whose scores are compared with products of embeddings


def export(run: Opened, folder: Path) -> Path:
    """Write weights.safetensors, users.parquet, items.parquet, config.yaml and README.md into a new folder.

    Raises ConfigError where the folder holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already; name a new folder, or delete it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    aside.mkdir()
    try:
        _write(run, aside)
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def by_products(run: Opened, tables: Mapping[str, Tensor]) -> bool:
    """Whether scores are the dot products of users' and items' rows, by those of some users."""
    if tables.keys() != {"user", "item"}:
        return False
    users = torch.nonzero(run.met).squeeze(1)[:_CHECKED]
    asked = tomorrow(run, Wish(users=run.users.raw(users)))
    scores = run.scores(asked.test, slice(0, len(users)), asked.items).cpu()
    products = tables["user"][users] @ tables["item"][asked.items].T
    return bool(torch.allclose(scores, products.to(scores.dtype), rtol=1e-4, atol=1e-5))


def _write(run: Opened, folder: Path) -> None:
    weights = {name: value for name, value in run.method.backbone.state_dict().items() if isinstance(value, Tensor)}
    _write_weights(weights, folder / "weights.safetensors")
    tables = {kind: table.detach().cpu() for kind, table in run.method.backbone.embeddings().items()}
    offered = torch.zeros(run.stream.n_items, dtype=torch.bool).index_fill_(0, run.catalogue, True)
    _write_ids(run.users, {"met": run.met}, tables.get("user"), folder)
    _write_ids(run.items, {"offered": offered}, tables.get("item"), folder)
    shutil.copyfile(run.folder / "config.yaml", folder / "config.yaml")
    text = card(run, weights, tables, products=by_products(run, tables))
    (folder / "README.md").write_text(text, encoding="utf-8")


def _write_weights(weights: Mapping[str, Tensor], file: Path) -> None:
    try:
        from safetensors.torch import save_file
    except ImportError as error:
        raise ConfigError("export needs the package safetensors; pip install safetensors") from error
    save_file({name: value.detach().cpu().contiguous().clone() for name, value in weights.items()}, file)


def _write_ids(ids: Identities, told: Mapping[str, Tensor], table: Tensor | None, folder: Path) -> None:
    """One row for each user or item, by number."""
    columns = {ids.kind: pa.array(ids.keys), "number": pa.array(np.arange(len(ids.keys)))}
    columns |= {name: pa.array(values.numpy()) for name, values in told.items()}
    if table is not None:
        columns["embedding"] = pa.FixedSizeListArray.from_arrays(pa.array(table.numpy().ravel()), table.shape[1])
    pq.write_table(pa.table(columns), folder / f"{ids.kind}s.parquet")
