from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.search.workers.watching import LONGEST, PAUSE, Watch, seen

LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux shows it")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


@given(st.lists(st.floats(0.0, 100.0), max_size=30))
def test_time_is_what_was_seen_and_never_more(gaps: list[float]) -> None:
    watch, now = Watch(os.getpid(), None, 0.0), 0.0
    for gap in gaps:
        now += gap
        watch.look(now)
    assert 0 <= watch.seconds <= min(now, LONGEST * len(gaps)) + 1e-9
    assert not watch.is_over


@given(st.floats(0.01, 0.9))
def test_looking_often_counts_all_of_it(gap: float) -> None:
    watch = Watch(os.getpid(), 3.0, 0.0)
    n_looks = int(4.0 / gap) + 1
    for number in range(n_looks):
        watch.look((number + 1) * gap)
    assert watch.seconds == pytest.approx(n_looks * gap, abs=PAUSE + gap)
    assert watch.is_over


def test_a_driver_that_slept_counts_a_second() -> None:
    watch = Watch(os.getpid(), 60.0, 0.0)
    watch.look(0.5)
    watch.look(8 * 3600.0)
    assert watch.seconds == 1.5
    assert not watch.is_over


@LINUX
def test_a_worker_that_is_stopped_has_no_time(sleeper: subprocess.Popen[bytes]) -> None:
    watch = Watch(sleeper.pid, 1.0, 0.0)
    sleeper.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 10
    while not seen(sleeper.pid).is_stopped and time.monotonic() < deadline:
        time.sleep(0.01)
    for number in range(40):
        watch.look(number * 0.5)
    assert watch.seconds == 0
    sleeper.send_signal(signal.SIGCONT)
    while seen(sleeper.pid).is_stopped and time.monotonic() < deadline:
        time.sleep(0.01)
    watch.look(20.0)
    assert watch.seconds > 0


@LINUX
def test_memory_is_in_bytes(sleeper: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while seen(sleeper.pid).n_bytes < 1_000_000 and time.monotonic() < deadline:
        time.sleep(0.01)  # Python itself is still loaded
    assert 1_000_000 < seen(sleeper.pid).n_bytes < 200_000_000
    watch = Watch(os.getpid(), None, 0.0)
    watch.look(0.5)
    assert watch.peak_memory > seen(sleeper.pid).n_bytes  # this process has imported much


def test_a_process_that_is_gone_seems_to_hold_nothing() -> None:
    assert seen(2**22 + 1) == (False, 0)
