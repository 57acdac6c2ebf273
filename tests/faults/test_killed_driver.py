"""`kill -9` of the driver at random instants of one study, resumed each time."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from searches import Rows, Searches, everything, is_sound, seconds_until, session, workers

SEED = 1
IN_STARTUP = 0.3  # share of the kills


@pytest.mark.slow
def test_nothing_is_lost_whenever_the_driver_is_killed(
    tmp_path: Path, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    chance = random.Random(SEED)
    searches = Searches.prepared(tmp_path)
    n_kills = n_faults(100)
    longest = searches.seconds / 20  # one and a half trials, so that some are left for the last
    finished: Rows = {}
    gone = []
    for _ in range(n_kills):
        with searches.begun() as process:
            if chance.random() < IN_STARTUP:
                time.sleep(chance.uniform(0, searches.startup))
            else:
                searches.wait_for_trials(process)
                time.sleep(chance.uniform(0, longest))
            assert process.poll() is None, "the search ended before the kills did"
            process.kill()
            process.wait()
            gone.append(seconds_until(lambda: not session(process.pid), process.pid))
        assert is_sound(searches.database)
        now = everything(searches.database)
        assert finished.items() <= now.items(), "a finished trial was lost or changed"
        finished = now
    searches.finish()
    figure(
        f"kill -9 of the driver: {n_kills} times (seed {SEED}), {len(finished)} trials finished "
        f"between kills, 0 lost, changed or left running; all processes gone after "
        f"{statistics.median(gone):.3f} s (median), {max(gone):.3f} s (longest)"
    )


@pytest.mark.slow
def test_workers_that_do_nothing_go_with_the_driver_too(tmp_path: Path) -> None:
    """A stopped process runs no thread, like one that hangs in native code."""
    searches = Searches.prepared(tmp_path)
    with searches.begun() as process:
        searches.wait_for_trials(process)
        for worker in workers(process.pid):
            os.kill(worker, signal.SIGSTOP)
        process.kill()
        process.wait()
        seconds_until(lambda: not session(process.pid), process.pid)
    searches.finish()


@pytest.mark.slow
def test_nothing_stays_of_a_search_that_was_stopped_and_then_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every process is stopped: the resource tracker, too, which ends by itself alone."""
    with TemporaryDirectory() as folder:  # short: a socket's path has at most 107 bytes
        temporary = Path(folder)
        monkeypatch.setenv("TMPDIR", folder)
        searches = Searches.prepared(tmp_path / "searches")
        with searches.begun() as process:
            searches.wait_for_trials(process)
            os.killpg(process.pid, signal.SIGSTOP)
            process.kill()
            process.wait()
            seconds_until(lambda: not session(process.pid), process.pid)
        assert list(temporary.glob("pymp-*"))
        searches.finish()
        assert not list(temporary.glob("pymp-*"))
