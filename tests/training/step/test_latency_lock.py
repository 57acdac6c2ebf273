"""Who measures is alone, whoever else computes and however a process ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.synchronize import Event
from pathlib import Path

from tunecli.training.step.latency_lock import NOBODY_MEASURES, LatencyLock

CONTEXT = multiprocessing.get_context("fork")


def _work(folder: Path, log: Path, stop: Event) -> None:
    quiet = LatencyLock(folder)
    while not stop.is_set():
        with quiet.working(), log.open("a") as file:
            file.write(f"{time.monotonic()}\n")
            file.flush()
            time.sleep(0.002)
            file.write(f"{time.monotonic()}\n")


def _hold(folder: Path, held: Event) -> None:
    with LatencyLock(folder).alone():
        held.set()
        time.sleep(60)


def test_nobody_works_while_one_measures_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    stop, logs = CONTEXT.Event(), [tmp_path / f"{number}.log" for number in range(2)]
    workers = [CONTEXT.Process(target=_work, args=(tmp_path / "q", log, stop)) for log in logs]
    for worker in workers:
        worker.start()
    while not all(log.exists() for log in logs):
        time.sleep(0.01)
    spans = []
    for _ in range(20):
        with LatencyLock(tmp_path / "q").alone():
            begin = time.monotonic()
            time.sleep(0.005)
            spans.append((begin, time.monotonic()))
        time.sleep(0.005)
    stop.set()
    for worker in workers:
        worker.join(10)
    times = [float(line) for log in logs for line in log.read_text().split()]
    assert len(times) > 20
    assert not [t for t in times for begin, end in spans if begin < t < end]


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    held = CONTEXT.Event()
    holder = CONTEXT.Process(target=_hold, args=(tmp_path, held))
    holder.start()
    assert held.wait(60)
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    with LatencyLock(tmp_path).working():
        holder.join(10)


def test_without_a_folder_nobody_waits() -> None:
    with NOBODY_MEASURES.alone(), NOBODY_MEASURES.working():
        pass
