"""Milliseconds on a GPU: steps, rankings and what holds them back. `python -m benchmarks.gpu [cuda|cpu] [scale]`.

Synchronised wall time, medians; `cpu 0.02` rehearses it in small. Figures go to benchmarks.gpu.json below $OUT.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import torch
from tabulate import tabulate

from benchmarks import peterrec, sessions
from benchmarks.measure import repeated
from recretrain.backbones import softmax
from recretrain.backbones.mf import MF
from recretrain.backbones.optimizers import DenseAdam, TensorFlowAdam
from recretrain.data.batches import Batches
from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Histories, Rankings
from recretrain.data.negatives import NegativeSampler
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine.fitter import Fitter
from recretrain.engine.machine import device_named
from recretrain.evaluation import rankings
from recretrain.evaluation.rankings import half_ranks
from recretrain.methods.learners.labels import Labelled, LabelObjective, LossOf
from recretrain.methods.learners.log_loss import LogLoss
from recretrain.methods.learners.next_item import PrefixBatches
from recretrain.methods.learners.next_item import plain as plain_loss
from recretrain.methods.parts.exemplars import Candidates, herding, proportional
from recretrain.methods.replay import representations

Work = Callable[[], object]


class Bench:
    """What is measured on one device; `scale` shrinks tables and rows."""

    def __init__(self, device: torch.device, scale: float) -> None:
        self.device = device
        self.scale = scale

    def lines(self) -> Iterator[tuple[str, float | str]]:
        for part in (self.mf, self.ranking, self.ader, self.exemplars, self.peterrec):
            try:
                yield from part()
            except Exception as error:  # the other figures of a short lease are not lost with one of them
                yield part.__name__, f"{type(error).__name__}: {error}"[:200]

    def n(self, full: int) -> int:
        return max(64, int(full * self.scale))

    def generator(self) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(0)

    def drawn(self, below: int, *shape: int) -> torch.Tensor:
        return torch.randint(below, shape, generator=self.generator(), device=self.device)

    def timed(self, work: Work, repetitions: int = 5, per: int = 1) -> float:
        """Milliseconds of one of the `per` things that `work` does, after one unmeasured call."""
        work()
        self.wait()
        times = []
        for _ in range(repetitions):
            start = time.perf_counter()
            work()
            self.wait()
            times.append((time.perf_counter() - start) * 1e3 / per)
        return median(times)

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def mf(self) -> Iterator[tuple[str, float | str]]:
        rows = self.n(76_000)
        for users, items in ((self.n(30_000), self.n(20_000)), (self.n(1_000_000), self.n(200_000))):
            given = Interactions(self.drawn(users, rows), self.drawn(items, rows))
            vocabulary = Vocabulary.of(n_users=users, n_items=items)
            model = MF(vocabulary=vocabulary, embedding_size=64, init_std=0.1).to(self.device)
            adam = DenseAdam(list(model.parameters()), learning_rate=0.01)
            sampler = NegativeSampler.within(given.user, given.item, items)
            batches = Batches(given, sampler, batch_size=1024, generator=self.generator())
            loss = LogLoss(model, adam, reg=0.0)
            name = f"MF {users} x {items}, a step of 1024"
            for how, graphs in (("by the fitter", False), ("recorded", True)):
                fitter = Fitter(self.device, self.generator(), "32-true", graphs=graphs)
                yield f"{name}, {how}", self.timed(partial(fitter, loss, batches, epochs=1), 3, len(batches))
            fixed = next(iter(batches))

            def step(adam=adam, loss=loss, fixed=fixed) -> None:  # type: ignore[no-untyped-def]
                adam.zero_grad()
                loss.loss(fixed).backward()
                adam.step()

            yield f"{name}, bare", self.timed(partial(repeated, step, 20), 5, 20)

    def ranking(self) -> Iterator[tuple[str, float | str]]:
        users, items, asked = self.n(100_000), self.n(50_000), self.n(20_000)
        vocabulary = Vocabulary.of(n_users=users, n_items=items)
        model = MF(vocabulary=vocabulary, embedding_size=64, init_std=0.1).to(self.device)
        user, label = torch.randint(users, (asked,)), torch.randint(items, (asked,))
        candidates = torch.randint(items, (asked, 999), dtype=torch.int32)
        test = Rankings(period=0, user=user, labels=label, candidates=candidates)
        every = Rankings(period=0, user=user, labels=label, catalogue=torch.arange(items))
        for chunk in (256, rankings.chunk_of(test, self.device), 16384):
            yield (
                f"{asked} questions of 1 + 999, {chunk} at once",
                self.timed(partial(half_ranks, model, test, self.device, chunk), 3),
            )
        for chunk in (150, rankings.chunk_of(every, self.device), 8192):
            yield (
                f"{asked} questions of {items}, {chunk} at once",
                self.timed(partial(half_ranks, model, every, self.device, chunk), 3),
            )

    def ader(self) -> Iterator[tuple[str, float | str]]:
        given = sessions.sessions().to(self.device)
        steps = 3 if self.scale < 1 else 20
        before = softmax._CHUNK, softmax._GPU_CHUNK
        for precision in ("highest", "high"):
            torch.set_float32_matmul_precision(precision)
            for chunk in before:
                softmax._CHUNK = softmax._GPU_CHUNK = chunk
                model = sessions.backbone().to(self.device).train()
                adam = TensorFlowAdam(list(model.parameters()), learning_rate=5e-4)
                batches = itertools.cycle(PrefixBatches(given, 256, sessions.LONGEST, self.generator(), None))

                def step(model=model, adam=adam, batches=batches) -> None:  # type: ignore[no-untyped-def]
                    adam.zero_grad()
                    plain_loss(model, sessions.ITEMS, next(batches)).backward()
                    adam.step()

                name = f"ADER, a step of 256, soft-max of {chunk} items at once, products {precision}"
                yield name, self.timed(partial(repeated, step, steps), 3, steps)
                if self.device.type == "cuda" and precision == "highest":
                    yield f"{name}: calls", self.calls(step)
        softmax._CHUNK, softmax._GPU_CHUNK = before
        torch.set_float32_matmul_precision("highest")

    def calls(self, step: Work) -> str:
        """Launches, copies and waits of a step."""
        from torch.profiler import ProfilerActivity, profile

        wanted = ("cudaLaunchKernel", "cudaMemcpyAsync", "cudaStreamSynchronize")
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
            for _ in range(10):
                step()
        counts = {event.key: event.count / 10 for event in seen.key_averages() if event.key in wanted}
        return ", ".join(f"{counts.get(name, 0):g} {name}" for name in wanted)

    def exemplars(self) -> Iterator[tuple[str, float | str]]:
        model, given = sessions.backbone().to(self.device).eval(), sessions.sessions().to(self.device)
        some = given.at(torch.arange(min(4_000, len(given)), device=self.device))
        test = Histories(
            period=1,
            user=torch.zeros(len(some), dtype=torch.long),
            labels=some.labels.cpu(),
            catalogue=torch.arange(sessions.ITEMS),
            history=some.histories(sessions.LONGEST).to("cpu", torch.int32),
        )
        for chunk in (173, rankings.chunk_of(test, self.device)):
            yield (
                f"ADER, {len(some)} prefixes ranked in {sessions.ITEMS}, {chunk} at once",
                self.timed(partial(half_ranks, model, test, self.device, chunk), 3),
            )
        candidates = Candidates(
            some if self.scale < 1 else given,
            features=lambda: representations(model, candidates.prefixes),
            losses=lambda: torch.zeros(1),
        )
        count = torch.bincount(candidates.prefixes.labels.cpu(), minlength=sessions.ITEMS)
        kept = min(sessions.EXEMPLARS, len(candidates) // 2)
        quota = torch.minimum(proportional(count, kept, torch.Generator().manual_seed(0)), count)
        choose = partial(herding, candidates, quota, self.generator())
        yield f"ADER, {kept} of {len(candidates)} chosen by herding", self.timed(choose, 1)

    def peterrec(self) -> Iterator[tuple[str, float | str]]:
        for name, released in (("serial", False), ("no patches, features kept apart", None)):
            trunk = peterrec.trunk(peterrec.FOUR, peterrec.LONGEST)
            net = peterrec.network(trunk, released=released).to(self.device)
            tuned = list(net.tuned().values())
            labels = peterrec.labels().to(self.device)
            rows = peterrec.rows(peterrec.BATCH, peterrec.LONGEST)
            columns = (rows.history, rows.user, rows.label, rows.others)
            given = Labelled(*(column.to(self.device) for column in columns))
            adam = TensorFlowAdam(tuned, learning_rate=1e-3)
            objective = LabelObjective(net, adam, given, LossOf("softmax", labels, 0.0), self.generator(), None)
            every = torch.arange(len(given), device=self.device)

            def step(adam=adam, objective=objective, every=every) -> None:  # type: ignore[no-untyped-def]
                adam.zero_grad()
                objective.loss((every,)).backward()
                adam.step()

            what = f"PeterRec, a step of {len(given)} x {peterrec.LONGEST + 1}, four blocks, {name}"
            yield what, self.timed(partial(repeated, step, 10), 5, 10)
            if self.device.type == "cuda":
                yield f"{what}: calls", self.calls(step)


def main(name: str = "auto", scale: str = "1") -> None:
    device = device_named(name)
    torch.set_num_threads(1)
    print(torch.__version__, torch.cuda.get_device_name() if device.type == "cuda" else "cpu", flush=True)
    found: dict[str, float | str] = {}
    file = Path(os.environ.get("OUT", "."), "benchmarks.gpu.json")
    for what, value in Bench(device, float(scale)).lines():
        found[what] = value
        print(what, value if isinstance(value, str) else f"{value:.3g} ms", flush=True)
        file.write_text(json.dumps(found, indent=1))
    cells = [[what, value if isinstance(value, str) else f"{value:.3g} ms"] for what, value in found.items()]
    print(tabulate(cells, headers=["measured", "figure"], disable_numparse=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
