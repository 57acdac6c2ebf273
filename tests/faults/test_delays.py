"""Workers that are held up at random, on one, two and four jobs."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from in_process import drive
from searches import Searches, everything, workers

from tunecli.study_file.study_file import StudyFile

SEED = 5
FORMULAS = """
data: digits
model: {choice: [MLP, {CNN: {channels: {int: [8, 32]}}}]}
optimizer: {AdamW: {lr: {float: [1e-4, 10.0], log: true}}}
search: {parallel: 4, sampler: TPE, pruner: Median}
"""


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2, 4])
def test_delays_change_nothing(tmp_path: Path, n_jobs: int, figure: Callable[[str], None]) -> None:
    searches = Searches.prepared(tmp_path)
    with searches.begun("--jobs", str(n_jobs)) as process:
        searches.wait_for_trials(process)
        n_delays = hold_up(process, random.Random(SEED + n_jobs))
        assert process.wait() == 0
    assert everything(searches.database) == searches.table
    figure(f"{n_jobs} jobs, {n_delays} delays of workers (seed {SEED + n_jobs}): table equal")


def hold_up(search: subprocess.Popen[bytes], chance: random.Random) -> int:
    """Stop random workers for up to a third of a second each until the search ends."""
    n_delays = 0
    while search.poll() is None:
        for worker in workers(search.pid):
            if chance.random() < 0.5:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGSTOP)
                threading.Timer(chance.uniform(0, 0.3), resume, [worker]).start()
                n_delays += 1
        time.sleep(0.4)
    return n_delays


def resume(worker: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(worker, signal.SIGCONT)


@pytest.mark.slow
def test_the_order_of_events_changes_nothing(
    tmp_path: Path, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    study = StudyFile.from_text(FORMULAS, "study.yaml").completed("classification", 1797)
    tables = set()
    n_orders = n_faults(100)
    for seed in range(n_orders):
        url = f"sqlite:///{tmp_path / f'{seed}.db'}"
        trials = drive(study, url, 20, n_workers=(1, 2, 4)[seed % 3], seed=seed)
        tables.add(repr([(t.number, t.params, t.outcome, t.value, t.curve) for t in trials]))
    assert len(tables) == 1
    figure(f"{n_orders} orders of events on 1, 2 and 4 workers (seeds 0 …): one table")
