"""`kill -9` of a study whose folds join in later, at random instants."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from searches import Rows, Searches, everything, is_sound, seconds_until, session

SEED = 7
IN_STARTUP = 0.2  # share of the kills
STUDY = """
data: iris
validation: {folds: 5, racing: on}
model: {MLP: {width: {int: [4, 16]}, depth: 1, dropout: 0.1}}
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
training: {epochs: 20, batch_size: 16, early_stopping: {patience: 4}}
objective: {minimize: log_loss}
search: {trials: 40, sampler: TPE, parallel: 4, pruner: Median, attempts: 20, baselines: false}
"""


def write_racing_study(folder: Path) -> None:
    """Write a study of 40 trials, some of which never train all of their folds."""
    (folder / "study.yaml").write_text(STUDY)


@pytest.mark.slow
def test_a_racing_study_is_the_same_whenever_it_is_killed(
    tmp_path: Path, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    chance = random.Random(SEED)
    searches = Searches.prepared(tmp_path, write_racing_study)
    n_folds = {number: fold_count(rows) for number, rows in searches.table.items()}
    assert set(n_folds.values()) == {2, 5}, "some trials must be stopped with fewer folds"
    n_kills = n_faults(40)
    finished: Rows = {}
    for _ in range(n_kills):
        with searches.begun() as process:
            if chance.random() < IN_STARTUP:
                time.sleep(chance.uniform(0, searches.startup))
            else:
                searches.wait_for_trials(process)
                time.sleep(chance.uniform(0, searches.seconds / 20))
            process.kill()
            process.wait()
            seconds_until(lambda: not session(process.pid), process.pid)
        assert is_sound(searches.database)
        now = everything(searches.database)
        assert finished.items() <= now.items(), "a finished trial was lost or changed"
        finished = now
    searches.finish()
    figure(f"kill -9 of a racing study: {n_kills} times (seed {SEED}), 0 trials changed")


def fold_count(rows: list[object]) -> int:
    """Return how many folds of a trial have a curve."""
    curves = [row for row in rows if isinstance(row, tuple) and row[0] == "tunecli_curves"]
    return len({row[2] for row in curves})  # step, fold, …
