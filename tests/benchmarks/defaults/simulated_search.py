"""Search without training: tunecli's driver, suggester and judge over curves that are computed.

One worker takes trial after trial. In exact order the trials would be the same on any number of
workers, so only the order of their ends is particular.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tunecli.database.attributes import StoredAttributes
from tunecli.search.driver import Driver
from tunecli.search.prune.judge import Judge
from tunecli.search.resume import Edits
from tunecli.search.suggest.suggester import Suggester
from tunecli.search.suggest.visible_trials import VisibleTrials
from tunecli.search.trial_budget import Limits
from tunecli.search.workers.messages import Evaluated, Event, Finished, Suspended, TrialJob
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.study_file import Study
from tunecli.training.outcome.evaluation import Evaluation, TrialResult
from tunecli.training.outcome.evaluation_choice import choice_for

ENDLESS = 100_000  # trials; the budget of epochs ends a search


@dataclass(frozen=True)
class Ended:
    """A trial that has ended.

    Attributes:
        epochs: what the search has trained by its end, this trial included.
        outcome: complete or pruned.
        value: its score as tunecli records it; `unseen`: the score on unseen rows at that epoch.
    """

    number: int
    epochs: int
    outcome: str
    value: float
    unseen: float


@dataclass(frozen=True)
class Scores:
    """What a trial would reach, epoch by epoch: by the search's own rows and on unseen ones."""

    valid: Sequence[float]
    unseen: Sequence[float]


class SimulatedWorker:
    """Reads each trial's evaluations from its curve, and obeys the judge.

    Args:
        curve: the scores of a configuration.
        budget: epochs after which `spent` is called.
    """

    n_workers = 1

    def __init__(self, curve: Callable[[TrialConfig], Scores], budget: int) -> None:
        self.ended: list[Ended] = []
        self.spent: Callable[[], None] = lambda: None
        self._curve, self._budget = curve, budget
        self._epochs = 0
        self._events: deque[Event] = deque()
        self._job: TrialJob | None = None
        self._scores = Scores([], [])

    def submit(self, job: TrialJob) -> None:
        """Train the first epoch of a trial."""
        self._job, self._scores = job, self._curve(job.config)
        self._evaluate(0)

    def reply(self, number: int, go_on: bool) -> None:
        """Train another epoch, or end the trial."""
        last = self._events_told - 1
        if go_on:
            self._evaluate(last + 1)
        else:
            self._end("pruned", last)

    def events(self, timeout: float) -> Sequence[Event]:
        """Return the next event."""
        return [self._events.popleft()] if self._events else []

    def stop(self, number: int, grace: float) -> None:
        """Leave the trial, as the driver asks once the budget is spent."""
        self._events.clear()
        self._events.append(Suspended(number, saved=False))

    def kill(self, number: int) -> None: ...

    def close(self) -> None: ...

    def _evaluate(self, step: int) -> None:
        assert self._job is not None
        self._events_told = step + 1
        self._epochs += 1
        is_last = step + 1 == len(self._scores.valid)
        told = Evaluation(step, step + 1.0, 1.0, float(self._scores.valid[step]), {}, 0.1)
        self._events.append(Evaluated(self._job.number, (told,), is_last=is_last))
        if is_last:
            self._end("complete", step)
        elif not self._job.asks:
            self._evaluate(step + 1)
        if self._epochs >= self._budget:
            self.spent()

    def _end(self, outcome: Any, last: int) -> None:
        assert self._job is not None
        curve = [float(score) for score in self._scores.valid[: last + 1]]
        best = choice_for(self._job.config, curve).step if outcome == "complete" else last
        assert best is not None
        value = curve[best]
        unseen = float(self._scores.unseen[best])
        self.ended.append(Ended(self._job.number, self._epochs, outcome, value, unseen))
        result = TrialResult(outcome, "", value, best, (value,))
        self._events.append(Finished(self._job.number, 0, result))


class NoDatabase:
    """Keeps nothing: a simulated search is never resumed."""

    def attributes(self) -> StoredAttributes:
        return StoredAttributes()

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


def simulate(study: Study, curve: Callable[[TrialConfig], Scores], budget: int) -> list[Ended]:
    """Search until `budget` epochs are trained, and return the trials that ended by then."""
    edits = Edits.none(study)
    lag = VisibleTrials(edits.parallel)
    judge = Judge(study.search.pruner, study.objective.direction, study.name)
    suggester = Suggester(study, study.start_with, [], lag)
    worker = SimulatedWorker(curve, budget)
    nowhere: Any = NoDatabase()
    driver = Driver(study, nowhere, worker, suggester, judge, [], Limits(ENDLESS, math.inf))
    worker.spent = driver.interrupt
    for _ in driver.run():
        pass
    return [trial for trial in worker.ended if trial.epochs <= budget]
