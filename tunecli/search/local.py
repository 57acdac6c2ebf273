"""Local worker processes: one per job, alive as long as the search."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Any

from tunecli.search.machine import gpus
from tunecli.search.messages import (
    Answer,
    Event,
    Finished,
    FirstTask,
    Reply,
    Suspended,
    TrialJob,
    WorkerDied,
)

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess


@dataclass
class _Worker:
    """Attributes: `job`: what it trains now; `told`: it ended the job or was told to."""

    number: int
    process: BaseProcess
    connection: Connection
    job: TrialJob | None = None


class LocalExecutor:
    """An `Executor` of `n_workers` processes on this machine.

    Workers fork from a clean server process that has imported torch once; on macOS they are
    spawned. They are not daemonic, so that a user's code may start processes of its own; a thread
    in each ends it when the driver is gone.

    Args:
        first_task: for the first worker, before any job.
    """

    def __init__(self, first_task: FirstTask, n_workers: int) -> None:
        self.n_workers = n_workers
        self._context = _context()
        self._waiting: deque[TrialJob] = deque()
        self._stopping: dict[int, float] = {}  # when the patience with a trial ends
        self._taken_back: list[int] = []  # before any worker had begun
        self._workers = [
            self._start(number, first_task if number == 0 else None) for number in range(n_workers)
        ]

    def submit(self, job: TrialJob) -> None:
        """Hand `job` to a free worker, or keep it until one is free."""
        self._waiting.append(job)
        self._hand_out()

    def reply(self, number: int, go_on: bool) -> None:
        """Answer the newest evaluation of trial `number`."""
        self._tell(number, "go on" if go_on else "prune")

    def stop(self, number: int, grace: float) -> None:
        """Let trial `number` save after its next evaluation; kill it if that takes too long."""
        if any(job.number == number for job in self._waiting):
            self._waiting = deque(job for job in self._waiting if job.number != number)
            self._taken_back.append(number)
        else:
            self._stopping[number] = time.monotonic() + grace
            self._tell(number, "suspend")

    def kill(self, number: int) -> None:
        """End trial `number` with its worker, and start another in its place."""
        self._waiting = deque(job for job in self._waiting if job.number != number)
        for index, worker in enumerate(self._workers):
            if worker.job is not None and worker.job.number == number:
                _end(worker)
                self._workers[index] = self._start(worker.number, None)
        self._hand_out()

    def events(self, timeout: float) -> Sequence[Event]:
        """What the workers have said, and which of them died."""
        sources: list[Any] = [worker.connection for worker in self._workers]
        ready = set(wait(sources, timeout))
        told: list[Event] = []
        for index, worker in enumerate(self._workers):
            if worker.connection in ready:
                told += self._receive(index, worker)
        for event in told:
            if isinstance(event, Suspended | Finished):
                self._stopping.pop(event.number, None)
        told += self._kill_the_late()
        told += [Suspended(number, worker=-1, saved=True) for number in self._taken_back]
        self._taken_back.clear()
        self._hand_out()
        return told

    def _kill_the_late(self) -> list[Event]:
        now = time.monotonic()
        late = [number for number, deadline in self._stopping.items() if now >= deadline]
        for number in late:
            del self._stopping[number]
            self.kill(number)
        return [Suspended(number, worker=-1, saved=False) for number in late]

    def close(self) -> None:
        """End all workers."""
        self._waiting.clear()
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            _end(worker)
        self._workers = []

    def _tell(self, number: int, answer: Answer) -> None:
        for worker in self._workers:
            if worker.job is not None and worker.job.number == number:
                _send(worker.connection, Reply(answer))

    def _receive(self, index: int, worker: _Worker) -> list[Event]:
        told: list[Event] = []
        try:
            while worker.connection.poll():
                event: Event = worker.connection.recv()
                if isinstance(event, Finished | Suspended):
                    worker.job = None
                told.append(event)
        except (EOFError, OSError):
            _end(worker)
            number = worker.job.number if worker.job else None
            told.append(WorkerDied(number, worker.number, worker.process.exitcode))
            self._workers[index] = self._start(worker.number, None)
        return told

    def _hand_out(self) -> None:
        for worker in self._workers:
            if worker.job is None and self._waiting:
                worker.job = self._waiting.popleft()
                _send(worker.connection, worker.job)

    def _start(self, number: int, first_task: FirstTask | None) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(  # type: ignore[attr-defined]
            target=_run, args=(theirs, number, first_task, _gpu(number)), name=f"worker {number}"
        )
        with _unheard_by_workers():
            process.start()
        theirs.close()  # so that the pipe ends when the worker does
        return _Worker(number, process, ours)


def _gpu(number: int) -> str | None:
    """The GPU of a worker, each in turn; None where there are none."""
    found = gpus()
    return found[number % len(found)] if found else None


def _run(
    connection: Connection, number: int, first_task: FirstTask | None, gpu: str | None
) -> None:
    """A worker's process; CUDA, which nobody has touched yet, shows it one GPU only."""
    from tunecli.search.worker import worker_main  # torch: in the worker only

    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    worker_main(connection, number, first_task)


def _context() -> BaseContext:
    if sys.platform == "darwin":  # forking after Apple's frameworks have started threads crashes
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "tunecli.search.worker"])
    return context


@contextmanager
def _unheard_by_workers() -> Iterator[None]:
    """Keep Ctrl-C and a closing terminal, which reach every process of a terminal, from workers.

    Both are the driver's to handle. What is blocked here stays so in the processes that start
    meanwhile, from their first moment; this process hears it afterwards.
    """
    resource_tracker.ensure_running()  # it would unblock SIGINT here if it started meanwhile
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _send(connection: Connection, message: object) -> None:
    try:
        connection.send(message)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the worker is gone; `events` will say so


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.connection.close()
