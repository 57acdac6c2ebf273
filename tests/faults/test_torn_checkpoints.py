"""Saves of a checkpoint that are killed at random instants."""

from __future__ import annotations

import mmap
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checkpoint_cases import CONFIG, begun, equal

from tunecli.training.state.checkpoints import Checkpoints

SEED = 4


def save_for_ever(folder: Path, states: list[dict[str, Any]], n_saved: mmap.mmap) -> None:
    checkpoints = Checkpoints(folder, CONFIG)
    while True:
        number = int.from_bytes(n_saved[:8])
        checkpoints.save(states[number % len(states)])
        n_saved[:8] = (number + 1).to_bytes(8)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a process to kill it")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_killed_save_leaves_the_previous_checkpoint_or_the_new_one(
    tmp_path: Path, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    chance = random.Random(SEED)
    states = [begun(n_rounds=n_rounds).state_dict() for n_rounds in (1, 2, 3, 4, 5)]
    n_saved = mmap.mmap(-1, 8)  # shared with the child, and exact at its death
    n_kills, n_new, n_torn = n_faults(100), 0, 0
    for _ in range(n_kills):
        child = os.fork()
        if not child:
            save_for_ever(tmp_path / "7", states, n_saved)
        while not int.from_bytes(n_saved[:8]):
            time.sleep(0.001)
        time.sleep(0.03 + chance.random() / 50)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        number = int.from_bytes(n_saved[:8])
        state = Checkpoints(tmp_path / "7", CONFIG).load()
        assert state is not None
        previous, new = states[(number - 1) % len(states)], states[number % len(states)]
        is_new = len(state["curve"]) == len(new["curve"])
        assert equal(state["folds"], (new if is_new else previous)["folds"])
        n_new += is_new
        n_torn += len(list((tmp_path / "7").iterdir())) > 1 + len(state["folds"])
        if is_new:  # as the next save shall find it
            n_saved[:8] = (number + 1).to_bytes(8)
    assert n_torn, "some kills must fall into a save"
    figure(
        f"kill -9 while checkpoints are saved: {n_kills} times (seed {SEED}), {n_torn} of them "
        f"in the middle of a save; {n_kills - n_new} times the previous one loads, {n_new} times "
        "the new one, 0 times half"
    )
