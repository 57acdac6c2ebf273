from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tunecli.training.state.memory import PeakMemory, life_peak

CPU = torch.device("cpu")


def _can_begin_anew() -> bool:
    return os.access("/proc/self/clear_refs", os.W_OK)


def test_the_peak_is_in_bytes() -> None:
    before = life_peak()
    block = torch.ones(before // 4 + 50_000_000 // 4)  # larger than all that was ever held
    assert life_peak() - before > 30_000_000
    del block


@pytest.mark.skipif(not _can_begin_anew(), reason="only Linux lets a process forget its peak")
def test_what_was_freed_before_does_not_count() -> None:
    block = torch.ones(200_000_000 // 4)
    first = PeakMemory(CPU).n_bytes
    del block
    peak = PeakMemory(CPU)
    start = peak.n_bytes
    assert first - start > 150_000_000
    block = torch.ones(100_000_000 // 4)
    del block  # a peak, not what is held now
    assert 80_000_000 < peak.n_bytes - start < 120_000_000


LIFE = """
import sys
from pathlib import Path
import torch
from tunecli.training.state import memory
block = torch.ones(200_000_000 // 4)
del block
memory._CLEAR = Path(sys.argv[1])
assert memory.PeakMemory(torch.device("cpu")).n_bytes == memory.life_peak()
assert memory.life_peak() > 200_000_000
"""


def test_the_whole_life_counts_where_the_peak_cannot_begin_anew(tmp_path: Path) -> None:
    refused = tmp_path / "no such folder" / "clear_refs"
    run = subprocess.run(
        [sys.executable, "-c", LIFE, str(refused)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_it_is_the_devices() -> None:
    device = torch.device("cuda")
    block = torch.ones(200_000_000 // 4, device=device)
    del block
    peak = PeakMemory(device)
    start = peak.n_bytes
    block = torch.ones(100_000_000 // 4, device=device)
    del block
    assert peak.n_bytes - start >= 100_000_000
