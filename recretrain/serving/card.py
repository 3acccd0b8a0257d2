"""The README of an export: what was learned from what, how good it is, what it cost, and how it is used."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from torch import Tensor

from recretrain.configuration.compose import conf_dir
from recretrain.errors import ReportError
from recretrain.records import RunCard
from recretrain.report import render
from recretrain.sealed import read_card
from recretrain.serving.opened import Opened

PRODUCTS = """\
A score is the dot product of a user's embedding and an item's. The best 20 items of a user, with NumPy alone:

```python
import numpy as np
import pandas as pd

users = pd.read_parquet("users.parquet").set_index("user")
items = pd.read_parquet("items.parquet").query("offered")
user = users.index[0]  # a raw id
scores = np.stack(items["embedding"]) @ users.loc[user, "embedding"]
print(items["item"].iloc[np.argsort(-scores, kind="stable")[:20]].tolist())
```
"""
WEIGHTS = """\
Scores are no plain products of embeddings, so the network is needed to compute them: `recretrain recommend` does so
from the run folder. The weights alone, with NumPy:

```python
from safetensors.numpy import load_file

weights = load_file("weights.safetensors")
print({name: (value.shape, value.dtype) for name, value in weights.items()})
```
"""


def card(run: Opened, weights: Mapping[str, Tensor], tables: Mapping[str, Tensor], *, products: bool) -> str:
    """The text. `products`: scores are the dot products of the tables' rows."""
    facts = cast(RunCard, read_card(run.folder / "run.json"))
    parts = [
        f"# {facts['method']} on {facts['data']}",
        *_about(run, facts),
        "## Files",
        _files(tables),
        "## Use",
        PRODUCTS if products else WEIGHTS,
        "## Weights",
        "\n".join(_weights(weights)),
        "## Figures",
        _figures(run.folder),
        "## Cost",
        _cost(run.folder),
        "## Versions",
        ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
        + f"; {facts['device']}, {facts['precision']}, {facts['threads']} threads.",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _about(run: Opened, facts: RunCard) -> Iterator[str]:
    stream, learned = run.stream, [*run.task.past, run.task.period]
    synthetic = " These data were generated (synthetic): they say nothing about people." if stream.synthetic else ""
    periods = learned[0].name if len(learned) == 1 else f"{learned[0].name} to {learned[-1].name}"
    finished = f"{run.last + 1} of {facts['tasks']} tasks are finished"
    words = " ".join(facts["overrides"]) or "none"
    yield (
        f"`{facts['method']}` with the backbone `{facts['backbone']}`, retrained period by period by recretrain. "
        f"Learned periods: {periods} of {len(stream)} ({finished}).{synthetic}"
    )
    yield (
        f"Data `{facts['data']}` ({facts['data_source']}, digest {facts['data_digest']}): {stream.n_users:,} users, of "
        f"whom {int(run.met.sum()):,} were met by then; {stream.n_items:,} items, of which {len(run.catalogue):,} are "
        f"offered. Seed {facts['seed']}, digest {facts['digest']}, changes on the command line: {words}."
    )


def _files(tables: Mapping[str, Tensor]) -> str:
    held = {kind: f", `embedding` ({table.shape[1]} numbers)" for kind, table in tables.items()}
    return f"""\
| file | content |
|---|---|
| `weights.safetensors` | every tensor of the network; row n of a table of users or items is that of number n |
| `users.parquet` | `user` (raw id), `number`, `met` (in a learned period){held.get("user", "")} |
| `items.parquet` | `item` (raw id), `number`, `offered` (met by the last learned period){held.get("item", "")} |
| `config.yaml` | every setting of the run |"""


def _weights(weights: Mapping[str, Tensor]) -> Iterator[str]:
    yield from ("| tensor | shape | type |", "|---|---|---|")
    for name, value in weights.items():
        yield f"| `{name}` | {' x '.join(map(str, value.shape)) or 'one number'} | {str(value.dtype)[6:]} |"


def _figures(folder: Path) -> str:
    try:
        return render(folder, conf_dir=conf_dir(), format="github")
    except ReportError as error:
        return f"None: {error}."


def _cost(folder: Path) -> str:
    costs = [row for file in folder.glob("tasks/*/costs.csv") for row in _rows(file)]
    seconds, cpu = (sum(float(row[name]) for row in costs) for name in ("wall_seconds", "cpu_seconds"))
    memory = max(float(row["peak_memory_mb"]) for row in costs)
    return f"All {len(costs)} tasks: {seconds:,.1f} s, {cpu:,.1f} s of CPU time, {memory:,.0f} MB of memory at most."


def _rows(file: Path) -> Sequence[Mapping[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))
