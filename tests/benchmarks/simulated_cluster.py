"""Workers that train nothing but take their time, and cost the driver what real ones do.

Every message is pickled as on a pipe. A trial is evaluated at equal intervals, waits for the
driver's answer after each evaluation, and ends if the answer is to prune.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from multiprocessing.reduction import ForkingPickler
from typing import Any

from driver import N_EVALUATIONS, N_FOLDS, curve
from study_makers import SUMMARY

from tunecli.search.workers.messages import (
    Concluded,
    DataReady,
    Evaluated,
    Event,
    Finished,
    FirstTask,
    Job,
    Suspended,
    TrialJob,
)
from tunecli.training.outcome.evaluation import Evaluation, TrialResult

N_PREDICTIONS = 57_000  # bytes of the predictions of a complete trial of studies/digits.yaml


class OwnTime:
    """The time of a core that no other process takes, in seconds.

    This is the time of the clock without that in which the main thread could have run, but another
    process had the core: on an idle machine, the time of the clock.
    """

    def __init__(self) -> None:
        self._schedule = os.open("/proc/self/schedstat", os.O_RDONLY)

    def __call__(self) -> float:
        _, delay, _ = os.pread(self._schedule, 100, 0).split()  # nanoseconds
        return time.monotonic() - int(delay) / 1e9


class DriverEnd:
    """The driver's end of the pipes, whose cost is the driver's."""

    @staticmethod
    def pack(message: object) -> bytes:
        return bytes(ForkingPickler.dumps(message))

    @staticmethod
    def unpack(packed: bytes) -> Event:
        event: Event = ForkingPickler.loads(packed)
        return event


@dataclass
class _Training:
    """A trial in a worker.

    Attributes:
        job: as unpickled by its worker.
        pace: seconds between its evaluations.
        means: its whole curve, of which `n_done` evaluations are done.
    """

    job: TrialJob
    worker: int
    pace: float
    means: list[float]
    n_done: int = 0


class SimulatedCluster:
    """An `Executor` of workers that only wait.

    Args:
        seconds: how long a trial takes that is not pruned, by its number.
        told: called with the number of a trial when it is submitted.
        clock: the time in which workers train.

    Attributes:
        slices: beginning and end of each evaluation.
    """

    is_up = True

    def __init__(
        self,
        seconds: Callable[[int], float],
        told: Callable[[int], None],
        clock: Callable[[], float],
        first_task: FirstTask,
        n_workers: int,
        *_: object,
    ) -> None:
        self.n_workers = n_workers
        self.slices: list[tuple[float, float]] = []
        self._seconds, self._told, self._clock = seconds, told, clock
        self._free = deque(range(n_workers))
        self._waiting: deque[bytes] = deque()
        self._trainings: dict[int, _Training] = {}
        self._due: list[tuple[float, int]] = []  # when a trial is evaluated, and its number
        self._sent: list[bytes] = []
        self._send(DataReady(0, replace(SUMMARY, n_folds=N_FOLDS), {"torch": "2"}))

    def submit(self, job: Job) -> None:
        assert isinstance(job, TrialJob)
        self._told(job.number)
        self._waiting.append(DriverEnd.pack(job))
        self._hand_out()

    def reply(self, number: int, go_on: bool) -> None:
        DriverEnd.pack("go on" if go_on else "prune")
        training = self._trainings.get(number)  # it may have been stopped
        if training and go_on:
            self._evaluate_next(training)
        elif training:
            self._end(training, "pruned")

    def events(self, timeout: float) -> Sequence[Event]:
        now = self._clock()
        if not self._sent:
            due = self._due[0][0] if self._due else now + timeout
            time.sleep(max(min(due - now, timeout), 0))
        while self._due and self._due[0][0] <= self._clock():
            number = heappop(self._due)[1]
            if number in self._trainings:
                self._evaluate(number)
        sent, self._sent = self._sent, []
        return [DriverEnd.unpack(one) for one in sent]

    def stop(self, number: int, grace: float) -> None:
        if self._trainings.pop(number, None):  # else it has just ended
            self._send(Suspended(number, saved=False))

    def kill(self, number: int) -> None: ...

    def close(self) -> None: ...

    def worked(self, start: float, end: float) -> float:
        """Return the seconds of work of all workers between two instants."""
        clipped = ((max(since, start), min(until, end)) for since, until in self.slices)
        return sum(max(until - since, 0.0) for since, until in clipped)

    def _hand_out(self) -> None:
        while self._waiting and self._free:
            job: TrialJob = ForkingPickler.loads(self._waiting.popleft())
            pace = self._seconds(job.number) / N_EVALUATIONS
            number = job.number
            training = _Training(job, self._free.popleft(), pace, curve(number))
            self._trainings[number] = training
            self._evaluate_next(training)

    def _evaluate_next(self, training: _Training) -> None:
        start = self._clock()
        end = start + training.pace
        self.slices.append((start, end))
        heappush(self._due, (end, training.job.number))

    def _evaluate(self, number: int) -> None:
        training = self._trainings[number]
        step, mean = training.n_done, training.means[training.n_done]
        training.n_done += 1
        is_last = training.n_done == N_EVALUATIONS
        told = Evaluation(step, step + 1.0, 1.0, mean, {"f1": mean}, 0.1)
        self._send(Evaluated(number, (told,) * N_FOLDS, is_last=is_last))
        if is_last:
            self._end(training, "complete")
        elif not training.job.asks:
            self._evaluate_next(training)

    def _end(self, training: _Training, outcome: Any) -> None:
        number, done = training.job.number, training.means[: training.n_done]
        is_complete = outcome == "complete"
        value = max(done) if is_complete else done[-1]
        predictions = bytes(N_PREDICTIONS) if is_complete else None
        result = TrialResult(
            outcome,
            value=value,
            best_step=done.index(value),
            fold_scores=(value,) * N_FOLDS,
            metrics={"f1": value},
            n_weights=10_000,
            seconds=training.pace * training.n_done,
            peak_memory=2**28,
            predictions=predictions,
        )
        if is_complete:
            self._send(Concluded(number, result))
        self._send(Finished(number, training.worker, result))
        del self._trainings[number]
        self._free.append(training.worker)
        self._hand_out()

    def _send(self, event: Event) -> None:
        self._sent.append(bytes(ForkingPickler.dumps(event)))
