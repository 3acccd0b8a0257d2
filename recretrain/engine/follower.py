"""A further process of a run: it learns what the first one learns, and neither answers nor writes."""

from __future__ import annotations

from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from recretrain.engine.build import experiment
from recretrain.engine.costs import Meter
from recretrain.engine.fitter import Fitter
from recretrain.engine.peers import Peers
from recretrain.engine.seeds import seed_task
from recretrain.engine.store import RunStore
from recretrain.engine.together import Job, further


def follow(job: Job, peers: Peers) -> None:
    """Do the updates of the tasks that the first process does."""
    config = OmegaConf.create(job["config"])
    assert isinstance(config, DictConfig)
    config.logger = None
    asked = experiment(config, choices=job["choices"], overrides=[], prepared=job["prepared"])
    asked.machine.ready(job["threads"])
    method, device = asked.method(), asked.machine.device
    if job["done"]:
        method.load_state_dict(RunStore(Path(job["folder"])).state(job["done"] - 1, device))
    peers.wait()  # until all have read the state, which the first process replaces
    makers = asked.schedule.tasks(asked.stream, lambda what, rows: None)
    for index, make_task in list(enumerate(makers))[job["done"] :]:
        task, meter = make_task(), Meter(device)
        fit = Fitter(device, seed_task(asked.names.seed, index, device), asked.machine.precision, peers=peers)
        if not task.period.empty:
            method.update(task, fit)
        meter.stop()
        peers.summed(torch.tensor(meter.cpu_seconds))


if __name__ == "__main__":
    further(follow)
