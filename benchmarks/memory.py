"""Peak memory of preparing, answering, ADER, MeLU and pre-training for PeterRec, each in a process of its own.

`python -m benchmarks.memory generate|prepare|reviews|evaluate|cycles|melu|pretrain FOLDER` is such a process; it prints
megabytes.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmarks.measure import Line

if TYPE_CHECKING:
    from recretrain.data.questions import Arrivals

REVIEWS, USERS, ITEMS, PERIODS = 1_000_000, 30_000, 20_000, 12
QUESTIONS, CANDIDATES, SIZE = 75_000, 1000, 64


def lines(folder: Path) -> Iterator[Line]:
    _process("generate", folder)
    yield _at_most("preparing 1M reviews: peak MB", _process("prepare", folder), 1000)
    yield _at_most("preparing 2 x 100k reviews of two domains with texts: peak MB", _process("reviews", folder), 1000)
    what = "answering 75k questions x 1000 candidates: peak MB above the model"
    yield _at_most(f"{what}, candidates drawn", _process("evaluate", folder), 500)
    yield _at_most(f"{what}, candidates on disk", _process("evaluate", folder), 500)
    yield _at_most("an epoch of MeLU and its answers: peak MB", _process("melu", folder), 1000)
    yield _at_most("two cycles of ADER, 43105 items, 30000 exemplars: peak MB", _process("cycles", folder), 2000)
    yield _at_most("pre-training PeterRec's trunk, 645000 items: peak MB", _process("pretrain", folder), 2000)


def _at_most(what: str, megabytes: float, asked: float) -> Line:
    return Line(what, f"{megabytes:.0f} MB", "", megabytes, asked, at_least=False)


def generate(folder: Path) -> float:
    from recretrain.configuration.compose import conf_dir
    from recretrain.preparation.prepare import load_source

    source = load_source(conf_dir() / "data" / "yelp.yaml")
    options = vars(source.generator) | {"reviews": REVIEWS, "users": USERS, "items": ITEMS}
    type(source.needed_generator)(**options).write(folder)
    return peak_mb()


def prepare(folder: Path) -> float:
    from dataclasses import replace

    from recretrain.configuration.compose import conf_dir
    from recretrain.preparation.cut import ByCount
    from recretrain.preparation.prepare import load_source, prepare

    source = load_source(conf_dir() / "data" / "yelp.yaml", source="raw", path=str(folder))
    prepare(replace(source, cut=ByCount(periods=PERIODS)), data_root=folder, cache=folder / "prepared")
    return peak_mb()


def reviews(folder: Path, each: int = 100_000) -> float:
    """Generated reviews of two domains, `each` of them in either; then the preparation in a process of its own."""
    from dataclasses import replace

    from recretrain.configuration.compose import conf_dir
    from recretrain.preparation.prepare import load_source, prepare
    from recretrain.preparation.synthetic.reviews import AmazonReviews

    source = load_source(conf_dir() / "data" / "amazon_pair.yaml", source="raw", path=str(folder / "reviews"))
    if not (folder / "reviews").is_dir():
        generator = source.generator
        assert isinstance(generator, AmazonReviews)
        speech = replace(generator.speech, common=30_000)
        (folder / "reviews").mkdir()
        replace(generator, users=each // 15, items=each // 25, reviews=each, speech=speech).write(folder / "reviews")
        return _process("reviews", folder)
    prepare(source, data_root=folder, cache=folder / "prepared")
    return peak_mb()


def among(candidates: int, draws: Literal["stored", "counted"]) -> Arrivals:
    """Questions of an item among so many others."""
    from recretrain.data.questions import Arrivals

    return Arrivals(
        candidates=candidates,
        catalogue="sampled",
        history=None,
        history_space=None,
        had="left_out",
        seed=0,
        draws=draws,
    )


def evaluate(folder: Path) -> float:
    import torch

    from recretrain.backbones.mf import MF
    from recretrain.data.kinds import Rankings
    from recretrain.data.stream import Stream
    from recretrain.evaluation.rankings import half_ranks

    prepared = next((folder / "prepared").glob("yelp-*/stream.json")).parent
    stream = Stream(prepared, among(CANDIDATES, "stored"))
    mf = MF(vocabulary=stream.vocabulary, embedding_size=SIZE, init_std=0.1)
    before = peak_mb()
    asked = stream.questions(len(stream) - 1)
    assert isinstance(asked, Rankings)
    half = half_ranks(mf, asked, torch.device("cpu"))
    if len(half) < QUESTIONS:
        raise ValueError(f"{len(half)} questions instead of {QUESTIONS}: lower PERIODS")
    return peak_mb() - before


def cycles(folder: Path) -> float:
    from benchmarks import sessions

    sessions.cycles()
    return peak_mb()


def melu(folder: Path) -> float:
    from benchmarks import episodes

    episodes.run()
    return peak_mb()


def pretrain(folder: Path) -> float:
    from benchmarks import peterrec

    peterrec.pretrain()
    return peak_mb()


def _process(part: str, folder: Path) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", part, str(folder)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def peak_mb() -> float:
    """Of this process; on Linux not `ru_maxrss`, which starts at what the parent held."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes, on macOS


if __name__ == "__main__":
    named = (generate, prepare, reviews, evaluate, cycles, melu, pretrain)
    parts = {part.__name__: part for part in named}
    print(parts[sys.argv[1]](Path(sys.argv[2])))
