"""An executor without processes: trials are formulas of their parameters, events come shuffled."""

from __future__ import annotations

import hashlib
import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from tunecli.database.attributes import Lesson
from tunecli.database.trials import Trial
from tunecli.database.write import StudyDatabase
from tunecli.search.driver import Driver
from tunecli.search.events.events import SearchEvent
from tunecli.search.prune.judge import Judge
from tunecli.search.resume import Edits
from tunecli.search.suggest.suggester import Suggester
from tunecli.search.suggest.visible_trials import VisibleTrials
from tunecli.search.trial_budget import Limits
from tunecli.search.workers.messages import (
    BaselineJob,
    BaselineScored,
    Evaluated,
    Event,
    Finished,
    Job,
    Suspended,
    TrialJob,
    WorkerDied,
)
from tunecli.study_file.settings.fold_stages import may_race, stages_of
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.evaluation import Baseline, Evaluation, TrialResult
from tunecli.training.outcome.failure_reasons import OUT_OF_MEMORY
from tunecli.training.outcome.objectives import violations

N_FOLDS = 2
N_EVALUATIONS = 9


def score(job: TrialJob, fold: int, step: int) -> float:
    """A rising curve whose ceiling depends on the configuration only, as real training does."""
    arguments = job.config.optimizer.arguments | job.config.model.arguments
    lr, width = arguments.get("lr", 0.01), arguments.get("width", 32)
    ceiling = 1 / (1 + (math.log10(lr) + 2) ** 2 + (math.log2(width) - 5) ** 2 / 10)
    noise = hashlib.sha256(f"{arguments}{fold}{step}".encode()).digest()[0] / 2560
    return ceiling * (1 - 0.6 ** (step + 1)) + noise


def size(job: TrialJob) -> float:
    """Bytes, a formula of the width."""
    width = job.config.model.arguments.get("width", 32)
    return 4.0 * (64 * width + 10 * width)


def planned(job: TrialJob) -> list[tuple[int, int, bool]]:
    """The evaluations of a trial: step, folds that take part, and whether more join next.

    Stages before the last one are shorter by a number that the configuration gives, as if early
    stopping had ended them.
    """
    n_folds = job.config.validation.folds if may_race(job.config) else None
    stages = stages_of(job.config, n_folds or N_FOLDS)
    n_left_out = hashlib.sha256(str(job.config.optimizer).encode()).digest()[1] % 5
    lengths = [N_EVALUATIONS - n_left_out] * (len(stages) - 1) + [N_EVALUATIONS]
    return [
        (step, n_joined, step + 1 == length and n_joined < stages[-1])
        for n_joined, length in zip(stages, lengths, strict=True)
        for step in range(length)
    ]


def baseline(name: str) -> Baseline:
    """What an untuned model reaches: a formula of its name."""
    scores = tuple((len(name) + fold) / 50 for fold in range(N_FOLDS))
    return Baseline(name, scores, seconds=0.5, metrics={"f1": len(name) / 100})


class InProcessExecutor:
    """Advances its jobs one evaluation at a time, in an order that `seed` shuffles.

    A share of `deaths` of the steps ends in the death of the worker instead. If it `checks_first`,
    a trial that breaks a limit on its size is not trained.
    """

    def __init__(
        self, n_workers: int, seed: int = 0, deaths: float = 0.0, *, checks_first: bool = False
    ) -> None:
        self.n_workers = n_workers
        self.is_up = True
        self._checks_first = checks_first
        self._deaths = deaths
        self._random = random.Random(seed)
        self._waiting: deque[Job] = deque()
        self._at_work: dict[int, tuple[Job, list[float]]] = {}
        self._replies: dict[int, bool] = {}
        self._stopped: deque[Event] = deque()

    def submit(self, job: Job) -> None:
        self._waiting.append(job)

    def reply(self, number: int, go_on: bool) -> None:
        self._replies[number] = go_on

    def events(self, timeout: float) -> Sequence[Event]:
        while self._waiting and len(self._at_work) < self.n_workers:
            job = self._waiting.popleft()
            self._at_work[job.number] = (job, [])
        if self._stopped:
            return [self._stopped.popleft()]
        if not self._at_work:
            return []
        job, means = self._at_work[self._random.choice(sorted(self._at_work))]
        if self._random.random() < self._deaths:
            del self._at_work[job.number]
            return [WorkerDied(job.number, worker=0, exit_code=-9)]
        if isinstance(job, BaselineJob):
            del self._at_work[job.number]
            return [BaselineScored(job.number, baseline(job.name))]
        return [self._advance(job, means)]

    def _advance(self, job: TrialJob, means: list[float]) -> Event:
        costs = {"size": size(job), "n_weights": size(job) / 4}
        if self._checks_first and any(d > 0 for d in violations(job.config, None, costs).values()):
            del self._at_work[job.number]
            result = TrialResult("infeasible", "size is beyond its limit", metrics=costs)
            return Finished(job.number, 0, result)
        plan = planned(job)
        stopped = job.asks and 0 < len(means) < len(plan) and not self._replies[job.number]
        if stopped or len(means) == len(plan):
            del self._at_work[job.number]
            return Finished(job.number, 0, self._result(job, means, bool(stopped)))
        step, n_joined, ends_stage = plan[len(means)]
        scores = [score(job, fold, step) for fold in range(n_joined)]
        means.append(sum(scores) / n_joined)
        told = tuple(Evaluation(step, step + 1.0, 0.1, value, {}, 0.1) for value in scores)
        n_waiting = plan[-1][1] - n_joined
        is_last = len(means) == len(plan)
        return Evaluated(job.number, told, is_last, n_waiting, ends_stage)

    def _result(self, job: TrialJob, means: list[float], stopped: bool) -> TrialResult:
        if job.config.optimizer.arguments.get("lr", 0.0) > 30:
            return TrialResult("failed", reason=OUT_OF_MEMORY)
        if job.config.optimizer.arguments.get("lr", 0.0) > 5:
            return TrialResult("failed", reason="error: too fast")
        if job.config.optimizer.arguments.get("lr", 0.0) > 0.5:
            return TrialResult("diverged", reason="training loss of fold 0 is nan")
        last = means[-N_EVALUATIONS:]
        step = last.index(max(last))
        n_joined = planned(job)[-1][1]
        if stopped:
            step, n_joined, _ = planned(job)[len(means) - 1]
        fold_scores = tuple(score(job, fold, step) for fold in range(n_joined))
        if stopped:
            return TrialResult("pruned", "", means[-1], step, fold_scores)
        metrics = {"size": size(job), "n_weights": size(job) / 4}
        result = TrialResult("complete", "", last[step], step, fold_scores, metrics)
        beyond = violations(job.config, result.value, metrics)
        if any(distance > 0 for distance in beyond.values()):
            return replace(result, outcome="infeasible", reason="beyond a limit", value=None)
        return result

    def stop(self, number: int, grace: float) -> None:
        self._waiting = deque(job for job in self._waiting if job.number != number)
        self._at_work.pop(number, None)
        self._stopped.append(Suspended(number, saved=False))

    def kill(self, number: int) -> None:
        self._waiting = deque(job for job in self._waiting if job.number != number)
        self._at_work.pop(number, None)

    def close(self) -> None:
        self._at_work.clear()


def drive(
    study: StudyFile,
    url: str,
    n_total: int,
    n_workers: int = 1,
    seed: int = 0,
    stop_after: int | None = None,
    told: list[SearchEvent] | None = None,
    points: Sequence[dict[str, Scalar]] | None = None,
    deaths: float = 0.0,
    edits: Edits | None = None,
    lessons: Sequence[Lesson] = (),
    *,
    spares_untrained: bool = False,
) -> list[Trial]:
    """Search up to `n_total` trials, going on with what the database holds.

    Args:
        stop_after: leave everything as it is after so many events, like a killed driver.
        told: takes the events.
        points: in place of the study file's `start_with`.
        deaths: share of steps at which a worker dies.
        edits: what was changed in the study since its first call.
        lessons: trials of other studies.
        spares_untrained: whether trials that break a limit before their training do not count.
    """
    database = StudyDatabase.open(url, study.name) or StudyDatabase.create(
        url, study.name, [objective.direction for objective in study.objectives]
    )
    history = database.trials()
    edits = edits or Edits.none(study)
    lag = VisibleTrials(edits.parallel)
    judge = Judge(study.search.pruner, study.objective.direction, study.name)
    others = study.first_config
    if may_race(others):
        database.read_fold_curves(history, others.validation.folds or 0)
    for trial in history:
        judge.restore(trial, range(lag.n_shown(trial.number)), others)
    points = study.start_with if points is None else points
    suggester = Suggester(study, points, history, lag, edits.segment, lessons)
    executor = InProcessExecutor(n_workers, seed, deaths, checks_first=spares_untrained)
    limits = Limits(n_total, spares_untrained=spares_untrained)
    driver = Driver(study, database, executor, suggester, judge, history, limits)
    for count, event in enumerate(driver.run()):
        if told is not None:
            told.append(event)
        if count == stop_after:
            break  # what was not written by now never is
    else:
        database.flush()
    database._engine.dispose()
    again = StudyDatabase.open(url, study.name)
    assert again is not None
    trials = again.trials()
    if may_race(others):
        again.read_fold_curves(trials, others.validation.folds or 0)
    again.close()
    return trials
