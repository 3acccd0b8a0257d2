"""Ours beside the libraries that a user would pick, each in a process of its own: `make bench-peers`.

Needs the network for `pip install`, once: the environment is build/peers, and stays there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
from tabulate import tabulate

ROOT = Path(__file__).parents[1]
PLACE = ROOT / "build" / "peers"
OURS = ("recretrain", "recretrain_bpr")
PEERS = {"recbole": "1.2.1", "cornac": "3.0.1", "implicit": "0.7.3"}
ROWS, USERS, ITEMS, ASKED = 243_000, 30_000, 20_000, 5_000
REAL = "yelp2019/reviews.parquet"
ROUNDS = 3
COLUMNS = {  # what is measured, and in which direction it is better
    "start": "start, CPU s",
    "rows": "rows learned / CPU s",
    "asked": "ranked / CPU s",
    "training_mb": "peak MB, training",
    "ranking_mb": "peak MB, with ranking",
}

Ints = npt.NDArray[np.int64]
Figures = Mapping[str, float]


def main() -> None:
    peers = {name: reason for name in PEERS if (reason := _installed(name)) is not None}
    for name, reason in peers.items():
        print(f"{name} {PEERS[name]} is left out: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        for data in _written(Path(folder)):
            _show(data, [name for name in (*OURS, *PEERS) if name not in peers])


def _installed(name: str) -> str | None:
    """Install a library, if it is not there; why it cannot be, or None."""
    python = PLACE / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(PLACE)], check=True)
    torch = f"torch=={version('torch').partition('+')[0]}"  # RecBole's, as ours
    wanted = [f"{name}=={PEERS[name]}", *([torch] if name == "recbole" else [])]
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    return _last_line(done.stderr) if done.returncode else None


def _written(folder: Path) -> Iterator[Path]:
    """Files of data: generated of the size of yelp2019, and yelp2019 itself where it is."""
    generator = np.random.default_rng(0)
    shares = generator.random((2, ROWS * 5 // 4)) ** 2  # some far more often than others
    yield _divided(folder / "generated.npz", *(shares * [[USERS], [ITEMS]]).astype(np.int64))
    real = Path(os.environ.get("RECRETRAIN_DATA", ROOT / "data")) / REAL
    if real.is_file():
        from pyarrow.parquet import read_table

        table = read_table(real, columns=["user", "item"])
        yield _divided(folder / "yelp2019.npz", *(table[name].to_numpy().astype(np.int64) for name in ("user", "item")))


def _divided(file: Path, user: Ints, item: Ints) -> Path:
    """The first four fifths of the distinct pairs are learned; of the rest some are asked."""
    _, first = np.unique(np.stack([user, item], 1), axis=0, return_index=True)
    user, item = user[np.sort(first)], item[np.sort(first)]
    learned = len(user) * 4 // 5
    known = np.isin(user[learned:], user[:learned]) & np.isin(item[learned:], item[:learned])  # as some peers demand
    asked, label = (column[learned:][known][:ASKED] for column in (user, item))
    sizes = {"users": user.max() + 1, "items": item.max() + 1}
    np.savez(file, user=user[:learned], item=item[:learned], asked=asked, label=label, **sizes)
    return file


def _show(data: Path, names: list[str]) -> None:
    with np.load(data) as arrays:
        rows, asked = len(arrays["user"]), len(arrays["asked"])
        print(f"\n{data.stem}: {arrays['users']} users, {arrays['items']} items, {rows} rows, {asked} questions\n")
    found: dict[str, list[Figures]] = {name: [] for name in names}
    for _ in range(ROUNDS):  # in turns, so that what else the machine does meets all
        for name in names:
            done = _measured(name, data)
            if isinstance(done, str):
                print(f"{name} fails: {done}")
                names = [other for other in names if other != name]
            else:
                found[name].append(done)
    lines = list(_lines({name: figures for name, figures in found.items() if figures}))
    print(tabulate(lines, headers=["", *COLUMNS.values()], disable_numparse=True))


def _measured(name: str, data: Path) -> Figures | str:
    """The figures of a library, or the last line that it says."""
    python = sys.executable if name in OURS else str(PLACE / "bin" / "python")
    one_thread = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}
    own = {"PYTHONPATH": str(ROOT)} if name in OURS else {"PYTHONPATH": ""}
    command = [python, str(ROOT / "benchmarks" / "peers_work.py"), name, str(data)]
    done = subprocess.run(
        command, env={**os.environ, **one_thread, **own}, cwd=data.parent, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return _last_line(done.stderr)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def _lines(found: Mapping[str, list[Figures]]) -> Iterator[list[str]]:
    """Each library's medians, and how often ours is that."""
    middle = {name: {key: median(one[key] for one in ones) for key in COLUMNS} for name, ones in found.items()}
    for name, figures in middle.items():
        yield [f"{name} {PEERS.get(name, '')}".strip(), *(_told(key, figures[key]) for key in COLUMNS)]
        for ours in (own for own in OURS if own in middle and name in PEERS):
            yield [f"  {ours} / theirs", *(f"{middle[ours][key] / figures[key]:.2g}" for key in COLUMNS)]


def _told(key: str, value: float) -> str:
    return f"{value:.1f}" if key == "start" else f"{value:,.0f}"


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it says nothing"])[-1]


if __name__ == "__main__":
    main()
