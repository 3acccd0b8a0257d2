"""CPU seconds of training, negatives and ranking, beside the plain way (benchmarks/plain.py) and a raw loop."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from benchmarks import plain
from benchmarks.measure import Line, faster
from recretrain.backbones.mf import MF
from recretrain.backbones.optimizers import DenseAdam
from recretrain.data.batches import Batches
from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Rankings
from recretrain.data.negatives import NegativeSampler
from recretrain.data.questions import Arrivals, seen_before
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine.fitter import Fitter
from recretrain.evaluation.rankings import RankEvaluator, half_ranks_and_ties
from recretrain.methods.learners.log_loss import LogLoss
from recretrain.records import Row

CPU = torch.device("cpu")
ROWS, SIZE, BATCH = 76_000, 64, 1024  # a period of Yelp as SML cuts it; its embedding size and batch
KS = (5, 10, 20)


@dataclass(frozen=True)
class Scale:
    users: int
    items: int

    def __str__(self) -> str:
        return f"{self.users / 1000:g}k x {self.items / 1000:g}k"


DEMO, YELP, LARGE = Scale(1_500, 3_000), Scale(30_000, 20_000), Scale(100_000, 50_000)


def lines() -> Iterator[Line]:
    yield training(YELP)
    yield training(LARGE)
    yield negatives(YELP)
    yield candidate_ranking(YELP)
    yield candidate_ranking(LARGE)
    yield catalogue_ranking(LARGE)
    yield lightning(DEMO)
    yield lightning(YELP)


class Training:
    """Our way: whole batches, gradients written into the tables, fused Adam, Lightning's loop."""

    def __init__(self, scale: Scale) -> None:
        self.rows = interactions(scale)
        self.generator = torch.Generator().manual_seed(1)
        sampler = NegativeSampler.within(self.rows.user, self.rows.item, scale.items)
        self.batches = Batches(self.rows, sampler, batch_size=BATCH, generator=self.generator)
        self.mf = MF(
            vocabulary=Vocabulary.of(n_users=scale.users, n_items=scale.items), embedding_size=SIZE, init_std=0.1
        )
        self.adam = DenseAdam(list(self.mf.parameters()), learning_rate=0.01)

    def fit(self, epochs: int) -> None:
        Fitter(CPU, self.generator, "32-true")(LogLoss(self.mf, self.adam, reg=0.0), self.batches, epochs=epochs)

    def raw(self, epochs: int) -> None:
        """The same without Lightning."""
        objective = LogLoss(self.mf, self.adam, reg=0.0)
        for _ in range(epochs):
            for batch in self.batches:
                loss = objective.loss(batch)
                self.adam.zero_grad()
                loss.backward()
                self.adam.step()


def training(scale: Scale) -> Line:
    ours = Training(scale)
    model = plain.Embeddings(scale.users, scale.items, SIZE)
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    return faster(
        f"training, an epoch, {scale}, against a per-sample loader",
        lambda: ours.fit(1),
        lambda: plain.train_epoch(model, adam, ours.rows, BATCH),
        asked=4,
        repetitions=3,
    )


def lightning(scale: Scale) -> Line:
    ours = Training(scale)
    return faster(
        f"Lightning's loop, 3 epochs, {scale}, against a raw loop",
        lambda: ours.fit(3),
        lambda: ours.raw(3),
        asked=0.85,
        repetitions=7,
    )


def negatives(scale: Scale) -> Line:
    rows = interactions(scale)
    sampler = NegativeSampler.within(rows.user, rows.item, scale.items)
    rejection = plain.Rejection(rows)
    generator = torch.Generator().manual_seed(1)
    return faster(
        f"negatives of an epoch, {scale}, against rejection in Python",
        lambda: sampler.draw(rows.user, generator),
        rejection.epoch,
        asked=20,
        repetitions=7,
    )


def candidate_ranking(scale: Scale) -> Line:
    mf, asked = model(scale), interactions(scale, 2000, seed=2)
    candidates = torch.randint(scale.items, (len(asked), 999), dtype=torch.int32)
    test = Rankings(period=0, user=asked.user, labels=asked.item, candidates=candidates)
    return faster(
        f"ranking 1 + 999 candidates, {scale}, against a top-k a question",
        lambda: figures(mf, test),
        lambda: plain.rank_candidates(mf, test, KS),
        asked=2.5,
        repetitions=7,
    )


def catalogue_ranking(scale: Scale) -> Line:
    mf, asked, before = model(scale), interactions(scale, 1000, seed=2), interactions(scale)
    seen = seen_before(asked.user, before)
    test = Rankings(period=0, user=asked.user, labels=asked.item, catalogue=torch.arange(scale.items), seen=seen)
    had = defaultdict(list)
    for user, item in zip(before.user.tolist(), before.item.tolist(), strict=True):
        had[user].append(item)
    return faster(
        f"ranking all items, {scale}, against a top-k a question",
        lambda: figures(mf, test),
        lambda: plain.rank_catalogue(mf, test, had, KS),
        asked=6,
        repetitions=7,
    )


def figures(mf: MF, test: Rankings) -> list[Row]:
    questions = Arrivals(candidates=999, catalogue="sampled", history=None, history_space=None, had="left_out", seed=0)
    evaluator = RankEvaluator(questions=questions, ks=KS, metrics=["recall", "ndcg"])
    return list(evaluator.rows(0, "test", test, *half_ranks_and_ties(mf, test, CPU)))


def model(scale: Scale) -> MF:
    return MF(vocabulary=Vocabulary.of(n_users=scale.users, n_items=scale.items), embedding_size=SIZE, init_std=0.1)


def interactions(scale: Scale, rows: int = ROWS, seed: int = 0) -> Interactions:
    """Some users and items far more often than others."""
    generator = torch.Generator().manual_seed(seed)
    shares = torch.rand(2, rows, generator=generator) ** 2
    return Interactions((shares[0] * scale.users).long(), (shares[1] * scale.items).long())
