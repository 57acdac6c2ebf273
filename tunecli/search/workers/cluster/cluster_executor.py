"""Train jobs on the nodes of a Ray cluster, which may come and go."""

from __future__ import annotations

import math
import os
import queue
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from tunecli.search.events.events import CodeLoaded, Notice
from tunecli.search.workers import messages
from tunecli.search.workers.cluster.cluster import Cluster, Place
from tunecli.search.workers.cluster.files import MOST_BYTES, SentFiles, files_in, n_bytes, write
from tunecli.search.workers.cluster.followed_nodes import FollowedNodes
from tunecli.search.workers.cluster.hosted_worker import Answer
from tunecli.search.workers.cluster.lost_workers import why_lost
from tunecli.search.workers.job_queue import JobQueue
from tunecli.training.state.trial_files import INDEX

SLACK = 10.0
"""Seconds beyond the grace period until a node that does not answer is given up."""

MOST_LOSSES = 10
"""Times that a job may lose its node before it is blamed for that."""


@dataclass(eq=False)
class _Hosted:
    """A worker on a node, as the driver knows it.

    Attributes:
        actor: the handle of its `HostedWorker`.
        started: when it was started, by the monotonic clock.
        is_up: whether it has answered.
        describes: whether it has the first task.
        job: its current job; None between jobs.
        deadline: when a job that is to stop is given up, by the monotonic clock.
    """

    number: int
    place: Place
    actor: Any
    started: float
    describes: bool = False
    is_up: bool = False
    job: messages.Job | None = None
    deadline: float = math.inf


class ClusterExecutor:
    """An `Executor` of at most `n_workers` worker processes on the nodes of a cluster.

    The driver waits for all of them at once: each owes one answer, with its next events. A node
    that is lost takes its workers along; their jobs are reported as lost, and as many workers as
    fit are started elsewhere. A node that joins gets workers. Nodes may have other users: a worker
    is started where there is room for it now.

    Args:
        first_task: task before any job, of the first worker that answers.
        cluster: the joined cluster.
        n_workers: number of workers, as far as the cluster has room.
    """

    def __init__(self, first_task: messages.FirstTask, cluster: Cluster, n_workers: int) -> None:
        self._first_task: messages.FirstTask | None = first_task
        self._cluster = cluster
        self._nodes = FollowedNodes(cluster)
        self._most = n_workers
        self._waiting = JobQueue()
        self._unsaid: list[messages.Event] = []
        self._workers: dict[int, _Hosted] = {}
        self._answers: queue.SimpleQueue[tuple[_Hosted, Future[Answer]]] = queue.SimpleQueue()
        self._cause = ""  # of the last loss
        self._losses: Counter[int] = Counter()
        self._is_ending = False
        self._follow()

    @property
    def n_workers(self) -> int:
        """As many workers as the usable nodes have room for; at least one, which may wait."""
        return max(1, min(self._most, self._nodes.n_fitting))

    @property
    def is_up(self) -> bool:
        """Whether a worker has answered."""
        return any(worker.is_up for worker in self._workers.values())

    def submit(self, job: messages.Job) -> None:
        """Hand `job` to a free worker, or keep it until one is free."""
        self._waiting.append(job)
        self._hand_out()

    def reply(self, number: int, go_on: bool) -> None:
        """Answer the newest evaluation of trial `number`."""
        if worker := self._worker_of(number):
            _call(worker, "reply", number, go_on)

    def stop(self, number: int, grace: float) -> None:
        """Let trial `number` save after its next evaluation, within `grace` seconds."""
        self._is_ending = True
        if self._waiting.withdraw(number):
            self._unsaid.append(messages.Suspended(number, saved=True))
        elif worker := self._worker_of(number):
            worker.deadline = time.monotonic() + grace + SLACK
            _call(worker, "stop", number, grace)

    def kill(self, number: int) -> None:
        """End job `number` with its worker process, which its node replaces."""
        self._waiting.withdraw(number)
        if worker := self._worker_of(number):
            worker.job = None
            _call(worker, "kill", number)
        self._hand_out()

    def events(self, timeout: float) -> Sequence[messages.Event]:
        """Return the workers' events, and which workers and nodes were lost."""
        if self._nodes.is_due:
            self._end_silent()
            self._follow()
        self._hand_out()
        events, self._unsaid = self._unsaid, []
        for worker, answer in self._arrived(0.0 if events else timeout):
            events += self._take(worker, answer)
        events += self._give_up_overdue()
        events += self._give_up_in_vain()
        self._hand_out()
        return events

    def _arrived(self, timeout: float) -> list[tuple[_Hosted, Future[Answer]]]:
        """Return the answers that are there; wait up to `timeout` seconds for the first."""
        arrived = []
        with suppress(queue.Empty):
            arrived.append(self._answers.get(timeout=timeout or None, block=timeout > 0))
            for _ in range(self._answers.qsize()):
                arrived.append(self._answers.get_nowait())
        return arrived

    def close(self) -> None:
        """End all workers."""
        self._waiting.clear()
        open_ = {number: w for number, w in self._workers.items() if w.is_up}
        for worker in open_.values():
            _call(worker, "close")
        until = time.monotonic() + SLACK
        while open_ and time.monotonic() < until:  # each still owes an answer
            for worker, answer in self._arrived(0.1):
                if _is_last(answer):
                    open_.pop(worker.number, None)
                else:
                    self._listen(worker)
        closed = [w for w in self._workers.values() if w.is_up and w.number not in open_]
        with suppress(RayError):  # processes that exit by themselves clean up
            ended = [worker.actor.__ray_terminate__.remote() for worker in closed]
            ray.wait([*ended, ray.put(None)], num_returns=len(ended) + 1, timeout=SLACK)
        for worker in self._workers.values():
            _end(worker)
        self._workers.clear()

    # --- nodes

    def _follow(self) -> None:
        """Say which nodes joined or were lost, and start workers where there is room."""
        for text in self._nodes.look():
            self._say(text)
        if self._is_ending:
            return
        self._start_missing()
        if self._nodes.has_none(is_idle=not self._workers):
            self._say("The cluster has no room for a worker now. The search waits for it.")

    def _say(self, text: str) -> None:
        self._unsaid.append(Notice(text))

    def _start_missing(self) -> None:
        """Start workers on the nodes with most room, so that they are spread evenly."""
        here = Counter(w.place.node.key for w in self._workers.values())
        starting = Counter(w.place.node.key for w in self._workers.values() if not w.is_up)
        while len(self._workers) < self.n_workers:
            place = self._nodes.roomiest(here, starting)
            if place is None:
                return
            here[place.node.key] += 1
            starting[place.node.key] += 1
            self._start(place)

    def _start(self, place: Place) -> None:
        number = next(n for n in range(len(self._workers) + 1) if n not in self._workers)
        worker = _Hosted(number, place, self._cluster.start(place), time.monotonic())
        self._workers[number] = worker
        self._listen(worker)

    def _end_silent(self) -> None:
        """End workers that have not answered, so that others may be started elsewhere.

        Somebody else may have taken what was free on their nodes.
        """
        for worker in [w for w in self._workers.values() if not w.is_up]:
            patience = self._nodes.patience(worker.place)
            if time.monotonic() - worker.started < patience:
                continue
            del self._workers[worker.number]
            _end(worker)
            self._nodes.answers(worker.place, does=False)
            self._say(
                f"A worker did not start within {patience:.0f} s on node "
                f"{worker.place.node.name}. Another is started where there is room."
            )

    # --- workers

    def _worker_of(self, number: int) -> _Hosted | None:
        """Return the worker that has a job now."""
        workers = self._workers.values()
        return next((w for w in workers if w.job is not None and w.job.number == number), None)

    def _listen(self, worker: _Hosted) -> None:
        """Ask a worker for its next events."""
        answer = worker.actor.events.options(concurrency_group="events").remote().future()
        answer.add_done_callback(lambda done: self._answers.put((worker, done)))

    def _take(self, worker: _Hosted, answer: Future[Answer]) -> Iterator[messages.Event]:
        """Yield the events in a worker's answer, or its death."""
        if self._workers.get(worker.number) is not worker:
            return  # it was given up
        try:
            events = answer.result()
        except RayError as error:
            yield from self._bury(worker, error)
            return
        if not worker.is_up:
            worker.is_up = True
            self._nodes.answers(worker.place, does=True)
            self._begin(worker)
        self._listen(worker)
        for event in events or ():
            if isinstance(event, SentFiles):
                yield from _written(event)
            elif self._is_current(worker, event):
                yield from self._told(worker, event)

    def _begin(self, worker: _Hosted) -> None:
        """Let a worker begin: with the first task, unless another has it or it is done."""
        is_given = any(other.describes for other in self._workers.values())
        task = None if is_given else self._first_task
        worker.describes = task is not None
        _call(worker, "begin", task)

    def _is_current(self, worker: _Hosted, event: messages.Event) -> bool:
        """Return whether an event is not about a job that was killed meanwhile."""
        number = getattr(event, "number", None)
        return number is None or (worker.job is not None and worker.job.number == number)

    def _told(self, worker: _Hosted, event: messages.Event) -> Iterator[messages.Event]:
        if isinstance(event, messages.DataReady):
            self._first_task, worker.describes = None, False
        if isinstance(event, messages.Ended):
            worker.job, worker.deadline = None, math.inf
            self._nodes.ended_a_job(worker.place)
        if isinstance(event, messages.WorkerDied):
            if event.number is not None:  # else it died idle, and its successor gets the job
                worker.job, worker.deadline = None, math.inf
            event = replace(event, worker=0 if worker.describes else worker.number)
        elif isinstance(event, messages.DataReady | messages.Finished | CodeLoaded):
            event = replace(event, worker=worker.number)
        yield event

    def _bury(self, worker: _Hosted, error: RayError) -> Iterator[messages.Event]:
        """Yield what the end of a worker's actor means for its job."""
        node, job = worker.place.node, worker.job
        del self._workers[worker.number]
        _end(worker)  # if its code raised, it is still there
        self._cause = why_lost(node.name, error)
        if job is None or isinstance(error, RayTaskError):
            self._nodes.lost_in_vain(worker.place)
        if job is not None:
            yield self._lost(job, worker.number, is_evicted=isinstance(error, OutOfMemoryError))
        elif not self._is_ending:
            self._say(f"An idle worker ended: {self._cause}.")
        idle = (w for w in self._workers.values() if w.is_up and w.job is None)
        if worker.describes and (other := next(idle, None)):
            self._begin(other)

    def _lost(self, job: messages.Job, worker: int, *, is_evicted: bool) -> messages.WorkerDied:
        """Return that a job was lost with its worker.

        A job that the node evicted may have taken its memory, so that it counts as an attempt.
        """
        self._losses[job.number] += not is_evicted
        return messages.WorkerDied(
            job.number,
            worker,
            None,
            self._cause,
            out_of_memory=is_evicted,
            is_evicted=is_evicted,
            is_lost=not is_evicted and self._losses[job.number] <= MOST_LOSSES,
        )

    def _hand_out(self) -> None:
        """Give waiting jobs to free workers."""
        free = (w for w in self._workers.values() if w.is_up and w.job is None)
        for worker in sorted(free, key=lambda worker: worker.number):
            if not self._waiting:
                return
            job = worker.job = _with_absolute_folders(self._waiting.popleft())
            _call(worker, "submit", job, _checkpoint(worker.place, job))
            if isinstance(job, messages.TrialJob) and len(self._nodes.places) > 1:
                self._unsaid.append(messages.HandedOut(job.number, worker.place.node.name))

    def _give_up_in_vain(self) -> Iterator[messages.Event]:
        """End what waits for a worker if every node that can train the study loses its workers.

        Without such a node, it waits for one.
        """
        if not self._nodes.able or self._nodes.usable or self._workers:
            return
        if self._first_task is not None:
            yield messages.WorkerDied(None, 0, None, self._cause)
        while self._waiting:
            yield messages.WorkerDied(self._waiting.popleft().number, 0, None, self._cause)

    def _give_up_overdue(self) -> Iterator[messages.Event]:
        """End workers whose nodes do not answer although their jobs must have stopped."""
        now = time.monotonic()
        for worker in [w for w in self._workers.values() if now >= w.deadline]:
            assert worker.job is not None
            del self._workers[worker.number]
            _end(worker)
            yield messages.Suspended(worker.job.number, saved=False)


def _is_last(answer: Future[Answer]) -> bool:
    """Return whether a worker that was closed has ended, or is lost."""
    try:
        return answer.result() is None
    except RayError:
        return True


def _call(worker: _Hosted, method: str, *arguments: object) -> Any:
    return worker.actor.call.options(concurrency_group="call").remote(method, *arguments)


def _end(worker: _Hosted) -> None:
    with suppress(RayError):
        ray.kill(worker.actor)


def _with_absolute_folders(job: messages.Job) -> messages.Job:
    """Return a job that means the same in another current folder."""
    if not isinstance(job, messages.TrialJob):
        return job
    checkpoint, models = (
        folder and os.path.abspath(folder) for folder in (job.checkpoint, job.models)
    )
    return replace(job, checkpoint=checkpoint, models=models)


def _checkpoint(place: Place, job: messages.Job) -> SentFiles | None:
    """Return the checkpoint of a job, for a node that does not see it."""
    if place.installed.sees_runs or not isinstance(job, messages.TrialJob) or not job.checkpoint:
        return None
    folder = Path(job.checkpoint)
    if not (folder / INDEX).exists() or n_bytes(folder) > MOST_BYTES:
        return None
    return SentFiles(job.checkpoint, files_in(folder) or {}, INDEX)


def _written(sent: SentFiles) -> Iterator[Notice]:
    """Write the files that a worker sent."""
    try:
        write(Path(sent.folder), sent)
    except OSError as error:
        yield Notice(f"{sent.folder} could not be written: {error.strerror}.")
