"""Train jobs in local worker processes that live as long as the search."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from threading import Thread
from typing import TYPE_CHECKING, Any

from tunecli.data.rows.workspace import HERE, Workspace
from tunecli.parent_death import end_with_the_parents_pipe, ignore_the_drivers_signals, unheard
from tunecli.search.events.events import Printed
from tunecli.search.workers import messages, resource_tracking
from tunecli.search.workers.fork_server import DRIVER
from tunecli.search.workers.job_queue import JobQueue
from tunecli.search.workers.machine import gpu_of, gpus
from tunecli.search.workers.main_module import hidden_main_module
from tunecli.search.workers.output import OutputLines, print_into
from tunecli.search.workers.watching import KernelKills, Watch, own_counters
from tunecli.temporary_folder import claim

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess


PATIENCE = 1.0  # seconds that a worker has to end by itself
IN_VAIN = 3  # times that a worker is replaced without having had a trial


@dataclass
class _Worker:
    """One worker process.

    Attributes:
        job: its current job; None between jobs.
        deadline: when a job that is to stop is killed, by the monotonic clock.
        output: what it prints.
        watch: the watch of its current or last job.
        last_words: the reason for its end.
    """

    number: int
    process: BaseProcess
    connection: Connection
    output: OutputLines
    watch: Watch
    job: messages.Job | None = None
    deadline: float = math.inf
    last_words: str = ""


class LocalExecutor:
    """An `Executor` of `n_workers` processes on this machine.

    Workers fork from a clean server process that has imported torch once; on macOS they are
    spawned. They are not daemonic, so that user code may start its own processes; they end with
    the driver. The first workers start in a thread, so that this process reacts to Ctrl-C in the
    seconds that torch takes to load. A worker that dies is replaced at once. If workers die
    repeatedly without having had a trial, the next one starts only when there is a trial.

    Args:
        first_task: task of the first worker before any job; None for none.
        workspace: where workers find and cache the data.
    """

    def __init__(
        self,
        first_task: messages.FirstTask | None,
        n_workers: int,
        workspace: Workspace = HERE,
    ) -> None:
        self._workspace = workspace
        self.n_workers = n_workers
        self._context = _context()
        self._waiting = JobQueue()
        self._unsaid: list[messages.Event] = []  # events of trials and workers that never began
        self._workers: dict[int, _Worker] = {}
        self._in_vain: Counter[int] = Counter()  # starts of a worker since it had a trial
        self._is_ending = False
        self._kernel_kills = KernelKills(own_counters(), time.monotonic())
        self._closed = False
        start_server()
        self._starting = Thread(target=self._start_first, args=(first_task,), daemon=True)
        self._starting.start()

    def submit(self, job: messages.Job) -> None:
        """Hand `job` to a free worker, or keep it until one is free."""
        self._waiting.append(job)
        self._hand_out()

    def reply(self, number: int, go_on: bool) -> None:
        """Answer the newest evaluation of trial `number`."""
        if worker := self._worker_of(number):
            _send(worker.connection, "go on" if go_on else "prune")

    def stop(self, number: int, grace: float) -> None:
        """Let trial `number` save after its next evaluation; kill it after `grace` seconds."""
        self._is_ending = True
        if self._waiting.withdraw(number):
            self._unsaid.append(messages.Suspended(number, saved=True))
        elif worker := self._worker_of(number):
            worker.deadline = time.monotonic() + grace
            _send(worker.connection, "suspend")

    def kill(self, number: int) -> None:
        """End job `number` with its worker, and replace the worker."""
        self._waiting.withdraw(number)
        if worker := self._worker_of(number):
            self._end(worker)
        self._hand_out()

    def events(self, timeout: float, calls: Sequence[Connection] = ()) -> Sequence[messages.Event]:
        """Return the workers' events, and which workers died.

        Args:
            calls: pipes that end the waiting as soon as something arrives in one of them.
        """
        if self._starting.is_alive():
            self._starting.join(timeout)
            return []
        workers = list(self._workers.values())
        sources: list[Any] = [*calls, *(worker.connection for worker in workers)]
        sources += [worker.output.reader for worker in workers if worker.output.is_open]
        sources += [worker.process.sentinel for worker in workers]
        ready = set(wait(sources, 0 if self._unsaid else timeout))
        events, self._unsaid = self._unsaid, []
        for worker in workers:
            if worker.output.reader in ready:
                events += _printed(worker)
            if ready & {worker.connection, worker.process.sentinel}:
                events += self._receive(worker, is_dead=worker.process.sentinel in ready)
        events += self._end_overdue()
        self._hand_out()
        return events

    @property
    def is_up(self) -> bool:
        """Whether the first workers have been started."""
        return not self._starting.is_alive()

    def _end_overdue(self) -> list[messages.Event]:
        """End the jobs that did not stop in time, and those that have exceeded their `max_time`.

        They may hang in native code.
        """
        now = time.monotonic()
        self._kernel_kills.look(now)
        events: list[messages.Event] = []
        for worker in list(self._workers.values()):
            if worker.job is None:
                continue
            worker.watch.look(now)
            if now >= worker.deadline:
                events += _printed(worker, is_last=True)
                self._end(worker)
                events.append(messages.Suspended(worker.job.number, saved=False))
            elif worker.watch.is_over:
                worker.process.terminate()  # user code may handle it and clean up
                worker.process.join(PATIENCE)
                events += _printed(worker, is_last=True)
                self._end(worker)
                events.append(worker.watch.out_of_time(worker.job, worker.number))
        return events

    def close(self) -> None:
        """End all workers."""
        self._closed = True
        self._waiting.clear()
        for worker in self._workers.copy().values():
            worker.process.kill()
        for worker in self._workers.copy().values():
            self._end(worker)

    def _worker_of(self, number: int) -> _Worker | None:
        """Return the worker that has a job now."""
        workers = self._workers.values()
        return next((w for w in workers if w.job is not None and w.job.number == number), None)

    def _receive(self, worker: _Worker, *, is_dead: bool) -> list[messages.Event]:
        """Return a worker's events; a process that it left behind may keep its pipe open."""
        events: list[messages.Event] = []
        try:
            while worker.connection.poll():
                event: messages.Event | str = worker.connection.recv()
                if isinstance(event, str):
                    worker.last_words = event
                    continue
                if isinstance(event, messages.Resumed):
                    worker.watch.seconds += event.seconds
                if isinstance(event, messages.Ended | messages.DataReady):
                    events += _printed(worker, is_last=True)  # it was printed before this was sent
                if isinstance(event, messages.Ended):
                    worker.job, worker.deadline = None, math.inf
                if isinstance(event, messages.Finished) and event.is_last:
                    self._end(worker)
                    return [*events, event]
                events.append(event)
        except (EOFError, OSError):
            is_dead = True
        if is_dead:
            events += self._bury(worker)
        return events

    def _bury(self, worker: _Worker) -> list[messages.Event]:
        """Remove a worker that has died, and return the event for it."""
        worker.process.join(PATIENCE)  # its pipe may close before its end is known
        printed = _printed(worker, is_last=True)
        self._end(worker)
        code = worker.process.exitcode
        return [
            *printed,
            messages.WorkerDied(
                worker.job.number if worker.job else None,
                worker.number,
                code,
                worker.last_words,
                out_of_memory=code == -signal.SIGKILL and self._kernel_kills.explain_one(),
                seconds=worker.watch.seconds,
                peak_memory=worker.watch.peak_memory,
            ),
        ]

    def _hand_out(self) -> None:
        if self._starting.is_alive():
            return
        for number in range(self.n_workers):
            may_start = self._in_vain[number] <= IN_VAIN and not self._is_ending
            if number not in self._workers and (self._waiting or may_start):
                start_server()
                self._start(number, None)
            worker = self._workers.get(number)
            if not self._waiting:
                continue
            if worker is None:  # no worker can be started, so the job must not wait for one
                self._unsaid.append(
                    messages.WorkerDied(self._waiting.popleft().number, number, None)
                )
            elif worker.job is None:
                worker.job = self._waiting.popleft()
                self._in_vain[number] = 0
                worker.watch = _watch(worker.process, worker.job.max_time)
                _send(worker.connection, worker.job)

    def _start_first(self, first_task: messages.FirstTask | None) -> None:
        for number in range(self.n_workers):
            if not self._closed:
                self._start(number, first_task if number == 0 else None)
        if 0 not in self._workers:
            self._unsaid.append(messages.WorkerDied(None, 0, None))
        if self._closed:
            self.close()

    def _start(self, number: int, first_task: messages.FirstTask | None) -> None:
        """Start a worker, if the fork server can."""
        self._in_vain[number] += 1
        ours, theirs = self._context.Pipe()
        reader, writer = self._context.Pipe(duplex=False)
        process = self._context.Process(  # type: ignore[attr-defined]
            target=_run,
            args=(theirs, writer, number, self._workspace, first_task, gpu_of(number, gpus())),
            name=f"worker {number}",
        )
        try:
            with unheard(), hidden_main_module():
                process.start()
            self._workers[number] = _Worker(
                number, process, ours, OutputLines(reader), _watch(process)
            )
        except (EOFError, OSError):
            ours.close()
            reader.close()
        finally:
            theirs.close()  # so that the pipes end when the worker does
            writer.close()

    def _end(self, worker: _Worker) -> None:
        self._workers.pop(worker.number, None)
        worker.process.kill()
        worker.process.join()
        worker.connection.close()
        worker.output.close()


def _printed(worker: _Worker, *, is_last: bool = False) -> list[messages.Event]:
    """Return what a worker has printed; its current job printed it.

    Args:
        is_last: whether an unfinished line counts.
    """
    lines = worker.output.read(is_last=is_last)
    job = worker.job.number if isinstance(worker.job, messages.TrialJob) else None
    return [Printed(job, lines)] if lines else []


def _watch(process: BaseProcess, max_time: float | None = None) -> Watch:
    assert process.pid is not None  # it was started
    return Watch(process.pid, max_time, time.monotonic())


def _run(
    connection: Connection,
    output: Connection,
    number: int,
    workspace: Workspace,
    first_task: messages.FirstTask | None,
    gpu: str | None,
) -> None:
    """Run a worker in its process; CUDA, not yet initialized, shows it only one GPU."""
    ignore_the_drivers_signals()
    end_with_the_parents_pipe()
    print_into(output)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    try:
        from tunecli.search.workers.worker import worker_main  # torch: in the worker only

        worker_main(connection, number, workspace, first_task)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the driver has closed the pipe or has ended
    except Exception as error:
        with suppress(OSError):
            connection.send(f"{type(error).__name__}: {error}")
        sys.exit(1)


def _context() -> BaseContext:
    if sys.platform == "darwin":  # forking after Apple's frameworks have started threads crashes
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "tunecli.search.workers.fork_server"])
    return context


def start_server() -> None:
    """Start the server that workers fork from, unless it runs.

    It ends with the thread that calls this function. A command may call it before its own imports,
    since importing torch takes longer than all of them.
    """
    claim()
    resource_tracking.ensure_running()
    if sys.platform == "darwin":
        return
    _context()
    os.environ[DRIVER] = str(os.getpid())
    try:
        with unheard(), hidden_main_module():
            forkserver.ensure_running()
    finally:
        del os.environ[DRIVER]


def _send(connection: Connection, message: messages.Job | messages.Answer) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # if it has ended, `events` reports it
        connection.send(message)
