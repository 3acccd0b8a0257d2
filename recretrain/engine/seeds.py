"""Every random number of a task derives from (seed, task index), so a resumed run draws what an unbroken one would."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch

BUILD = -1  # the index under which a run's first weights are drawn


def seed_task(seed: int, index: int, device: torch.device) -> torch.Generator:
    """Seed the global generators for one task and give it one of its own on `device`."""
    derived = int.from_bytes(hashlib.sha256(f"{seed}/{index}".encode()).digest()[:8], "little") >> 1
    torch.manual_seed(derived)
    np.random.seed(derived % 2**32)
    random.seed(derived)
    return torch.Generator(device=device).manual_seed(derived)
