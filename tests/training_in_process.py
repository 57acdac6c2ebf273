"""An executor without processes that trains: thousands of small searches in minutes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tunecli.data.rows.workspace import HERE, Workspace
from tunecli.search.workers.messages import Answer, BaselineJob, Event, FirstTask, Job, Suspended
from tunecli.search.workers.worker import Trainer


class TrainingExecutor:
    """Runs the product's worker in this process: each job to its end, when news is asked for."""

    def __init__(self, first_task: FirstTask, n_workers: int, workspace: Workspace = HERE) -> None:
        self.n_workers = n_workers
        self.is_up = True
        self._told: deque[Event] = deque()
        self._waiting: deque[Job] = deque()
        self._trainer = Trainer(0, workspace, self._told.append, _go_on)
        self._told.append(self._trainer.describe(first_task))

    def submit(self, job: Job) -> None:
        self._waiting.append(job)

    def reply(self, number: int, go_on: bool) -> None:
        """Too late: the trial has ended."""

    def events(self, timeout: float) -> Sequence[Event]:
        if self._waiting and not self._told:
            job = self._waiting.popleft()
            if isinstance(job, BaselineJob):
                self._trainer.fit(job)
            else:
                self._trainer.train(job)
        told = [*self._told]
        self._told.clear()
        return told

    def stop(self, number: int, grace: float) -> None:
        self._waiting = deque(job for job in self._waiting if job.number != number)
        self._told.append(Suspended(number, saved=False))

    def kill(self, number: int) -> None:
        self._waiting = deque(job for job in self._waiting if job.number != number)

    def close(self) -> None:
        self._waiting.clear()


def _go_on(waits: bool) -> Answer:
    return "go on"
