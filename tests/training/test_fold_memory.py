"""Data is in memory once, however many workers train on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ROLLUP = Path("/proc/self/smaps_rollup")
LARGEST_GROWTH = 1.3

WORKER = """
import sys
from pathlib import Path
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.workspace import Workspace
from tunecli.study_file.settings.settings import Component, DataSettings, ValidationSettings
from tunecli.training.outcome.metrics import measure  # what a worker has imported
import pandas, sklearn.compose, torch

def proportional():
    for line in open("/proc/self/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1])

def say(*words):
    print(*words, flush=True)
    sys.stdin.readline()

say("ready")
before = proportional()
say("measured")
folder = Path(sys.argv[1])
store = FoldStore(
    DataSettings(source="d.npz", test=0.2),
    ValidationSettings(holdout=0.2),
    Workspace(folder, folder / "cache"),
)
fold = store.folds(FeatureForm(Component(name="standard")), False)[0]
total = float(fold.x_train.sum() + fold.x_valid.sum())
say("loaded")
say(proportional() - before, total)
"""


def memory_of(n_workers: int, folder: Path) -> tuple[int, set[str]]:
    """Data memory of all workers together, in KiB, while all of them hold it; and sums over it."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(n_workers)
    ]
    answers: list[str] = []
    for _ in ("ready", "measured", "loaded", "memory"):
        answers = []
        for worker in workers:
            assert worker.stdout is not None
            answers.append(worker.stdout.readline())
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
    for worker in workers:
        worker.communicate()
        assert worker.returncode == 0
    return sum(int(a.split()[0]) for a in answers), {a.split()[1] for a in answers}


@pytest.mark.slow
@pytest.mark.skipif(not ROLLUP.exists(), reason="the memory of a process is read from /proc")
def test_four_workers_hold_the_data_of_one(tmp_path: Path, figure: Callable[[str], None]) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(90_000, 54)).astype(np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=random.integers(0, 7, len(x)))
    memory_of(1, tmp_path)  # fills the cache
    one, of_one = memory_of(1, tmp_path)
    four, of_four = memory_of(4, tmp_path)
    figure(f"data memory: {one / 1024:.0f} MiB of one worker, {four / 1024:.0f} MiB of four")
    assert of_one == of_four
    assert one > 15 * 1024  # the prepared features alone
    assert four <= LARGEST_GROWTH * one
