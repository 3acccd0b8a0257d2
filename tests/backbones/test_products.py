"""Products of matrices whose shapes change all the time must not fill the memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from recretrain.backbones import products

MANY = """
import torch
from recretrain.backbones.products import times

def held() -> int:
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) // 1024

torch.set_num_threads(1)
left, right = torch.randn(64, 64), torch.randn(20_000, 64)
with torch.no_grad():
    times(left, right)
    before = held()
    for rows in range(18_000, 18_120):
        times(left, right[:rows])
    print(held() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="this system does not tell what a process holds")
@pytest.mark.skipif(not products._has_onednn(), reason="this torch has no oneDNN")
def test_shapes_that_change_do_not_fill_the_memory() -> None:
    """120 shapes with a copy of 4.6 MB each are 550 MB."""
    found = subprocess.run([sys.executable, "-c", MANY], capture_output=True, text=True, check=True)

    assert int(found.stdout) < 200
