"""Work done by several processes together, each a fork of this one."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch.distributed import TCPStore

from recretrain.engine.peers import Peers

CPU = torch.device("cpu")


def together(count: int, work: Callable[[Peers], Any]) -> list[Any]:
    """What `work` gives in each of `count` processes; a failure of one is raised here."""
    context = multiprocessing.get_context("fork")
    store = TCPStore("127.0.0.1", 0, count, is_master=True, wait_for_workers=False)
    pipes = [context.Pipe(duplex=False) for _ in range(count)]
    children = [
        context.Process(target=_work, args=(rank, count, store.port, work, pipe[1])) for rank, pipe in enumerate(pipes)
    ]
    for child in children:
        child.start()
    try:
        found = [pipe[0].recv() if pipe[0].poll(60) else "hangs" for pipe in pipes]
    finally:
        for child in children:
            child.kill()
            child.join()
    assert not [result for result in found if isinstance(result, str)], found
    return [result[0] for result in found]


def _work(rank: int, count: int, port: int, work: Callable[[Peers], Any], pipe: Any) -> None:
    try:
        torch.set_num_threads(1)
        peers = Peers(rank, count, CPU, TCPStore("127.0.0.1", port, count, is_master=False))
        pipe.send((work(peers),))
    except BaseException:
        pipe.send(traceback.format_exc())
    pipe.close()
    multiprocessing.Event().wait()  # keep the connections until all are done
