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

from tunecli.search.workers.watching import (
    LAG,
    LONGEST,
    PAUSE,
    KernelKills,
    Watch,
    counters,
    n_kills,
    own_counters,
    seen,
)

EVENTS = "low 0\nhigh 0\nmax 7\noom 3\noom_kill {}\noom_group_kill 0\n"  # memory.events
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"  # memory.oom_control
VMSTAT = "nr_free_pages 5\noom_kill {}\nnuma_hit 9\n"  # /proc/vmstat
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


@pytest.mark.parametrize("form", [EVENTS, CONTROL, VMSTAT])
def test_every_form_of_the_count_is_read(form: str) -> None:
    assert n_kills(form.format(12)) == 12


def test_what_holds_no_count_counts_nothing() -> None:
    assert n_kills("") == n_kills("oom 3\nold_oom_kill 4\n") == 0


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ("0::/job/7\n", ["job/7/memory.events"]),
        ("0::/\n", ["memory.events"]),
        (
            "9:name=systemd:/\n4:cpu,memory:/docker/ab:c\n0::/\n",
            [
                "memory/docker/ab:c/memory.oom_control",
                "memory/memory.oom_control",
                "memory.events",
            ],
        ),
        ("4:memory:/\n", ["memory/memory.oom_control"]),
        ("", []),
    ],
)
def test_where_the_counts_of_a_process_are(
    groups: str, expected: list[str], tmp_path: Path
) -> None:
    files = counters(groups, tmp_path)
    assert files == (Path("/proc/vmstat"), *(tmp_path / name for name in expected))


@pytest.mark.skipif(not Path("/proc/vmstat").exists(), reason="only Linux counts")
def test_this_process_has_counts() -> None:
    assert any(file.exists() and "oom_kill" in file.read_text() for file in own_counters())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "memory.events"
    path.write_text(EVENTS.format(4))
    return path


def test_each_count_explains_one_death(file: Path, tmp_path: Path) -> None:
    kills = KernelKills([file, tmp_path / "not there"], now=0.0)
    assert not kills.explain_one()
    file.write_text(EVENTS.format(6))
    assert [kills.explain_one() for _ in range(3)] == [True, True, False]


def test_one_kill_that_two_files_count_explains_one_death(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "vmstat"
    other.write_text(VMSTAT.format(0))
    kills = KernelKills([file, other], now=0.0)
    file.write_text(EVENTS.format(5))
    other.write_text(VMSTAT.format(1))
    assert [kills.explain_one() for _ in range(2)] == [True, False]


def test_a_kill_is_remembered_for_a_while_and_then_forgotten(file: Path) -> None:
    kills = KernelKills([file], now=0.0)
    file.write_text(EVENTS.format(5))
    kills.look(LAG + 1)  # counted, but the process may take its time to go
    kills.look(LAG + 2)
    file.write_text(EVENTS.format(5))
    assert kills.explain_one()
    kills.look(2 * LAG + 2)
    assert not kills.explain_one()

    file.write_text(EVENTS.format(6))
    kills.look(3 * LAG + 3)
    kills.look(4 * LAG + 4)  # a death after this has another cause
    assert not kills.explain_one()
