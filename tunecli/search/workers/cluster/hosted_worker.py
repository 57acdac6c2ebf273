"""A worker of a cluster: an actor of Ray around a worker process of its node.

The actor holds a `LocalExecutor` with one worker. So the limits of time and memory, the capture of
what is printed, and the ways to end a trial are those of local workers, and a worker that is
killed is replaced on its node without a new actor. No user code runs in the actor itself.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from tunecli.data.rows.workspace import Workspace
from tunecli.search.events.events import CodeLoaded, Notice, Printed
from tunecli.search.workers.cluster.files import (
    MOST_BYTES,
    Content,
    NodeFiles,
    SentFiles,
    files_in,
    n_bytes,
)
from tunecli.search.workers.cluster.scratch import scratch_folder
from tunecli.search.workers.local import LocalExecutor
from tunecli.search.workers.messages import (
    DataReady,
    Ended,
    Evaluated,
    Event,
    Finished,
    FirstTask,
    Job,
    Suspended,
    TrialJob,
)
from tunecli.training.state.trial_files import INDEX, MODELS_INDEX

ACTOR: dict[str, Any] = {
    "max_restarts": 0,  # the driver retries trials, and so decides how often
    "max_task_retries": 0,
    "concurrency_groups": {"call": 1, "events": 1},  # one thread each, so both keep their order
}
"""Options of the actor class; the groups are called like the methods."""

LONGEST_WAIT = 5.0
"""Most seconds until an actor answers, even without events, so that a lost one is noticed."""

GATHERED = 0.1
"""Seconds in which evaluations are gathered that nobody waits for: each answer costs as much."""

TICK = 0.25
"""Seconds between two looks at the clock and the memory of a trial."""

Answer = list[Event | SentFiles] | None


class HostedWorker:
    """One worker process of a node, called through Ray.

    It answers at once that it is there, and begins when it is told to.

    Args:
        workspace: the driver's; the node may have its files elsewhere.
        search: a name of this search, for the folder that its workers on a node share.
        sees: whether the node sees the driver's folder of studies, and the study's sources.
        sources: fetches the sources; None if the node sees them.
        current: the driver's current folder.
        hides_gpus: whether it was given no GPU of its node.
    """

    def __init__(
        self,
        workspace: Workspace,
        search: str,
        sees: tuple[bool, bool],
        sources: Callable[[], Content] | None,
        current: Path,
        hides_gpus: bool = False,
    ) -> None:
        self._opened = ExitStack()
        root = self._opened.enter_context(scratch_folder(search))
        self._files = NodeFiles(root, *sees)
        self._sources = sources
        self._workspace = self._files.workspace(workspace)
        self._calls, self._called = Pipe(duplex=False)
        self._job: TrialJob | None = None
        self._saved: dict[str, int] = {}  # when a folder that was sent was written, in ns
        self._current = current
        self._executor: LocalExecutor | None = None
        self._unsaid: list[Event] = []
        self._asks = False  # whether the trial waits for an answer after each evaluation
        self._has_answered = self._is_closed = False
        if hides_gpus:  # Ray does so only where it was started with that setting
            os.environ["CUDA_VISIBLE_DEVICES"] = ""

    def call(self, method: str, *arguments: Any) -> None:
        """Call a method of the executor, in the thread that waits for its events."""
        self._called.send((method, arguments))

    def events(self) -> Answer:
        """Return the next events, or none after `LONGEST_WAIT`; the first time, none at once.

        Events for which the driver does nothing but write are gathered.

        Returns:
            None once the worker is closed.
        """
        if not self._has_answered:
            self._has_answered = True
            return []
        told: list[Event | SentFiles] = []
        until = time.monotonic() + LONGEST_WAIT
        while not self._is_closed and time.monotonic() < until:
            for event in self._next():
                told += self._told(event)
                wait = GATHERED if self._can_wait(event) else 0.0
                until = min(until, time.monotonic() + wait)
            while not self._is_closed and self._calls.poll():
                method, arguments = self._calls.recv()
                getattr(self, f"_{method}")(*arguments)
        return None if self._is_closed else told

    def _next(self) -> Sequence[Event]:
        """Return the next events of the executor, if it has begun; ends early for a call."""
        if self._executor is None:
            self._calls.poll(TICK)
            return []
        unsaid, self._unsaid = self._unsaid, []
        return [*unsaid, *self._executor.events(0 if unsaid else TICK, [self._calls])]

    def _can_wait(self, event: Event) -> bool:
        """Return whether nobody waits for what the driver makes of an event."""
        return isinstance(event, Printed) or (isinstance(event, Evaluated) and not self._asks)

    def _begin(self, task: FirstTask | None) -> None:
        """Start the worker process, or replace it by one that has a task before any job."""
        if self._executor is not None:
            self._executor.close()
        elif self._sources is not None:
            self._files.unpack(self._sources)
        self._files.enter(self._current)  # the worker process inherits it
        self._executor = LocalExecutor(task, 1, self._workspace)

    def _submit(self, job: Job, checkpoint: SentFiles | None) -> None:
        self._asks = isinstance(job, TrialJob) and job.asks
        if isinstance(job, TrialJob) and not self._files.has_runs:
            self._job, self._saved = job, {}
            folders = {name: getattr(job, name) for name in ("checkpoint", "models")}
            there = {name: str(self._files.path(one)) for name, one in folders.items() if one}
            job = replace(job, **there)  # type: ignore[arg-type]
            if checkpoint is not None:
                self._write(checkpoint, self._job)
        self._begun.submit(job)

    def _write(self, checkpoint: SentFiles, job: TrialJob) -> None:
        """Write a trial's checkpoint; without room for it, the trial starts over."""
        try:
            self._files.write(checkpoint)
        except OSError as error:
            self._files.remove(job)
            self._unsaid.append(
                Notice(
                    f"Trial {job.number} starts over: its checkpoint could not be written to "
                    f"{self._files.path(checkpoint.folder)} of node {platform.node()} "
                    f"({error.strerror})."
                )
            )

    @property
    def _begun(self) -> LocalExecutor:
        assert self._executor is not None  # the driver's first call is `begin`
        return self._executor

    def _reply(self, number: int, go_on: bool) -> None:
        self._begun.reply(number, go_on)

    def _stop(self, number: int, grace: float) -> None:
        self._begun.stop(number, grace)

    def _kill(self, number: int) -> None:
        self._begun.kill(number)

    def _close(self) -> None:
        if self._executor is not None:
            self._executor.close()
        self._opened.close()
        self._is_closed = True

    def _told(self, event: Event) -> Iterator[Event | SentFiles]:
        """Yield an event as the driver should see it, after the files that belong to it."""
        if isinstance(event, CodeLoaded):
            event = replace(event, files=self._at_the_driver(event.files))
        if isinstance(event, DataReady):
            event = replace(event, code=self._at_the_driver(event.code))
        if self._job is not None:
            yield from self._sent(self._job.checkpoint, INDEX)
            if isinstance(event, Finished):
                yield from self._sent(self._job.models, MODELS_INDEX)
            if isinstance(event, Suspended):
                event = replace(event, saved=event.saved and self._is_sent(self._job))
            if isinstance(event, Ended):
                self._files.remove(self._job)
                self._job = None
        yield event

    def _at_the_driver(self, files: dict[str, str]) -> dict[str, str]:
        return {self._files.ours(path): known for path, known in files.items()}

    def _sent(self, ours: str, index: str) -> Iterator[Notice | SentFiles]:
        """Yield the files of a trial's folder if they are new.

        A worker saves rarely: at most 5 % of its time, and at least 10 s apart.

        Args:
            ours: the folder at the driver; empty for none.
            index: the file that is written last.
        """
        folder = self._files.path(ours)
        saved = _written_at(folder / index) if ours else 0
        if saved <= self._saved.get(ours, 0):
            return
        if n_bytes(folder) > MOST_BYTES:
            self._saved[ours] = saved
            yield Notice(
                f"{folder} is larger than {MOST_BYTES / 1e9:.1f} GB, so it stays on its node. "
                "To let other nodes resume its trial, share the folder of --runs with them."
            )
            return
        content = files_in(folder)
        if content is not None and _written_at(folder / index) == saved:
            self._saved[ours] = saved
            yield SentFiles(ours, content, index)

    def _is_sent(self, job: TrialJob) -> bool:
        """Return whether the driver has the newest checkpoint."""
        folder = self._files.path(job.checkpoint)
        sent = self._saved.get(job.checkpoint, 0)
        return sent == _written_at(folder / INDEX) and n_bytes(folder) <= MOST_BYTES


def _written_at(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mtime_ns
    return 0
