"""`kill -9` of random workers at random instants."""

from __future__ import annotations

import os
import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from subprocess import Popen

import pytest
from searches import Searches, fork_server, moment, seconds_until, workers

SEED = 2


@pytest.mark.slow
def test_killed_workers_are_replaced_and_change_nothing(
    tmp_path: Path, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    chance = random.Random(SEED)
    n_kills = n_faults(100)
    replaced: list[float] = []  # seconds until there is another process
    at_work: list[float] = []  # seconds until a trial that was hit told of an evaluation again
    for number in count():  # studies, until there were enough kills
        searches = Searches.prepared(tmp_path / str(number))
        killed = []
        with searches.begun() as process:
            searches.wait_for_trials(process)
            for moment_of_kill, seconds in kills(process, chance, n_kills - len(replaced)):
                killed.append(moment_of_kill)
                replaced.append(seconds)
            assert process.wait(timeout=300) == 0
        searches.finish()
        at_work += delays(searches, killed)
        if len(replaced) >= n_kills:
            break
    figure(
        f"kill -9 of workers: {len(replaced)} times (seed {SEED}) in {number + 1} studies, 0 "
        f"trials lost, changed or finished twice; another process after "
        f"{statistics.median(replaced):.3f} s (median), {max(replaced):.3f} s (longest); the "
        f"trial's next evaluation after {statistics.median(at_work):.3f} s, {max(at_work):.3f} s"
    )


@pytest.mark.slow
def test_a_killed_fork_server_is_started_again(tmp_path: Path) -> None:
    searches = Searches.prepared(tmp_path)
    with searches.begun() as process:
        searches.wait_for_trials(process)
        os.kill(fork_server(process.pid), signal.SIGKILL)
        assert process.wait(timeout=300) == 0
    searches.finish()


def kills(
    search: Popen[bytes], chance: random.Random, n_kills: int
) -> Iterator[tuple[float, float]]:
    """Kill workers until the search ends: (when, seconds until there were as many again)."""
    for _ in range(n_kills):
        time.sleep(chance.uniform(0.1, 0.8))
        before = workers(search.pid)
        if search.poll() is not None or not before:
            return
        now = time.time()
        os.kill(chance.choice(before), signal.SIGKILL)

        def is_replaced(before: list[int] = before) -> bool:
            new = set(workers(search.pid)) - set(before)
            return bool(new) or search.poll() is not None

        yield now, seconds_until(is_replaced)


def delays(searches: Searches, killed: list[float]) -> list[float]:
    """Seconds from each kill under a trial to the next that was heard of that trial."""
    found = []
    told = searches.events()
    for index, event in enumerate(told):
        if event["event"] != "Notice" or "Retrying." not in event["text"]:
            continue
        number = int(event["text"].split(":")[0].removeprefix("Trial "))
        kill = max((when for when in killed if when <= moment(event) + 0.001), default=None)
        heard = [
            moment(later)
            for later in told[index:]
            if later["event"] == "TrialEvaluated" and later["number"] == number
        ]
        if kill is not None and heard:
            found.append(heard[0] - kill)
    return found
