"""Products of matrices whose shapes change all the time must not fill the memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

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


MF_OF_MANY = """
import torch
from types import SimpleNamespace
from recretrain.backbones.mf import MF

def held() -> int:
    return int(next(line for line in open("/proc/self/status") if line.startswith("RssAnon")).split()[1]) // 1024

torch.set_num_threads(1)
mf = MF(vocabulary=SimpleNamespace(n_users=300, n_items=20_000), embedding_size=64, init_std=0.1)
user = torch.arange(256)
def score(known: int) -> None:
    mf.score(SimpleNamespace(user=user, catalogue=None, candidates=torch.arange(known - 1000, known).repeat(256, 1)))

score(18_500)
before = held()
for known in range(18_501, 18_601):
    score(known)
print(held() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="this system does not tell what a process holds")
def test_candidates_up_to_ever_another_item_do_not_break_up_the_heap() -> None:
    """A chunk's scores are 19 MB; 100 sizes of them, kept between copies of oneDNN, were 200 to 370 MB."""
    found = subprocess.run([sys.executable, "-c", MF_OF_MANY], capture_output=True, text=True, check=True)

    assert int(found.stdout) < 100


@pytest.mark.parametrize("size", [16, 64, 128])
@pytest.mark.parametrize("rows", [1, 7, 256])
@torch.no_grad()
def test_a_product_does_not_depend_on_the_rows_beside_it(rows: int, size: int) -> None:
    """What is scored among more items than are asked for is scored alike."""
    left, right = torch.randn(rows, size), torch.randn(5000, size)
    whole = products.times(left, right)

    assert all(torch.equal(products.times(left, right[:some]), whole[:, :some]) for some in (453, 1000, 2048, 4999))
