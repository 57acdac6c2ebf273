"""The state of a running search; the cost of an event does not grow with their number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from tunecli.data.rows.summary import DataSummary
from tunecli.report.analysis import ranking
from tunecli.report.analysis.standing import Compared, Yardstick, compared_with
from tunecli.report.live.time_left import TimeLeft, of_running, time_left
from tunecli.search.events.events import (
    BaselinesAwaited,
    DataDescribed,
    SearchEnded,
    SearchEvent,
    SearchStarted,
    TrialEvaluated,
    TrialFinished,
    TrialPlaced,
    TrialStarted,
    Waiting,
)
from tunecli.study_file.settings.settings import Direction
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.objectives import dominates


@dataclass
class RunningTrial:
    """One running trial.

    Attributes:
        begun_at: when it started, by the clock of the search.
        is_behind: whether it waits for a worker until the baselines are fitted.
        n_done: evaluations of the folds that take part, of `n_evaluations`.
        n_folds, n_waiting: folds that take part, and folds that have not joined yet.
        n_trained: folds that had joined before the last ones.
        score: mean over folds at its last evaluation; None before the first.
        node: the node of a cluster that trains it; empty without a cluster.
    """

    number: int
    n_evaluations: int
    begun_at: float = 0.0
    is_behind: bool = False
    n_done: int = 0
    n_folds: int = 1
    n_waiting: int = 0
    n_trained: int = 0
    score: float | None = None
    node: str = ""

    def add(self, event: TrialEvaluated) -> None:
        """Take an evaluation."""
        n_folds = max(len(event.folds), 1)
        if n_folds > self.n_folds and self.n_done:
            self.n_trained = self.n_folds
        self.n_folds, self.n_waiting = n_folds, event.n_waiting
        self.n_done, self.score, self.is_behind = event.step + 1, event.score, False

    @property
    def share(self) -> float:
        """The share of its work that is done, if nothing stops it."""
        if not self.n_evaluations:
            return 0.0
        here = min(self.n_done / self.n_evaluations, 1.0) * (self.n_folds - self.n_trained)
        return (self.n_trained + here) / (self.n_folds + self.n_waiting)

    def elapsed(self, now: float) -> float:
        """Return the seconds since it started; 0 while it waits for the baselines."""
        return 0.0 if self.is_behind else max(now - self.begun_at, 0.0)

    def at_most(self, now: float) -> float:
        """Return the seconds to its end at its pace, if nothing stops it; infinite if unknown."""
        if not (self.n_done and self.n_evaluations):
            return math.inf
        return self.elapsed(now) * (1 - self.share) / self.share


@dataclass
class SearchState:
    """The sum of all events.

    Attributes:
        counts: ended trials of the whole study by outcome.
        best: best trial of the whole study so far; with several objectives the last trial that
            was not beaten when it ended.
        front: the trials that are not beaten so far.
        fold_scores: fold scores of all complete trials.
        n_planned: evaluations of a whole trial, from the trial that started last.
        n_finished_here: trials that count and ended in this call.
        n_spared, n_spared_here: trials that broke a limit before their training and do not count:
            in the whole study, and in this call.
        awaited: the baselines that are not fitted yet; None if none is awaited.
        waits_for: what the search waits for before its first trial.
    """

    started: SearchStarted | None = None
    summary: DataSummary | None = None
    ended: SearchEnded | None = None
    running: dict[int, RunningTrial] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    best: TrialFinished | None = None
    front: list[TrialFinished] = field(default_factory=list)
    fold_scores: list[tuple[float, ...]] = field(default_factory=list)
    n_planned: int = 0
    n_finished_here: int = 0
    awaited: BaselinesAwaited | None = None
    waits_for: str = ""
    n_spared: int = 0
    n_spared_here: int = 0
    _begun_at: float = 0.0
    _durations: list[float] = field(default_factory=list)

    def update(self, event: SearchEvent, now: float) -> None:
        """Update the state with one event; `now` is in seconds of a monotonic clock."""
        match event:
            case SearchStarted():
                self.started, self._begun_at = event, now
                for earlier in event.earlier:
                    self._count(earlier)
                    if not earlier.is_spared:
                        self._durations.append(earlier.seconds)
            case Waiting(what):
                self.waits_for = what
            case BaselinesAwaited():
                self.awaited = event if event.names else None
                if not event.names:
                    self._release(now)
            case DataDescribed(summary):
                self.summary = summary
            case TrialStarted(number=number, n_evaluations=planned):
                self.running[number] = RunningTrial(number, planned, now, self._are_workers_taken)
                self.n_planned = planned
            case TrialPlaced(number, node) if number in self.running:
                self.running[number].node = node
            case TrialEvaluated():
                self._evaluated(event)
            case TrialFinished():
                self._finished(event, now)
            case SearchEnded():
                self.ended = event

    def _evaluated(self, event: TrialEvaluated) -> None:
        trial = self.running.get(event.number)
        if trial is not None:
            trial.add(event)

    @property
    def _are_workers_taken(self) -> bool:
        """Whether a new trial waits for a worker, because as many baselines wait or are fitted."""
        n_awaited = len(self.awaited.names) if self.awaited is not None else 0
        return n_awaited > 0 and self.started is not None and n_awaited >= self.started.n_jobs

    def _release(self, now: float) -> None:
        """Begin the trials that waited for the baselines."""
        for trial in self.running.values():
            if trial.is_behind:
                trial.begun_at, trial.is_behind = now, False

    def _finished(self, event: TrialFinished, now: float) -> None:
        trial = self.running.pop(event.number, None)
        self.n_finished_here += not event.is_spared
        self.n_spared_here += event.is_spared
        if not event.is_spared:
            waited = trial.elapsed(now) if trial is not None else 0.0
            self._durations.append(max(event.seconds, waited))  # with what the driver adds
        self._count(event)

    def _count(self, trial: TrialFinished) -> None:
        self.n_spared += trial.is_spared
        self.counts[trial.outcome] = self.counts.get(trial.outcome, 0) + 1
        if trial.outcome == "complete" and trial.value is not None:
            self.fold_scores.append(trial.fold_scores)
        if trial.is_best:
            self.best = trial
            ways = self.directions
            others = [one for one in self.front if not dominates(trial.values, one.values, ways)]
            self.front = [*others, trial]

    @property
    def directions(self) -> list[Direction]:
        """Directions of all objectives."""
        if self.started is None:
            return []
        return [self.started.direction, *(way for _, way in self.started.further_objectives)]

    @property
    def n_done(self) -> int:
        """Trials of the study that count and have ended."""
        before = self.started.n_done if self.started is not None else 0
        return before + self.n_finished_here

    @property
    def n_ended_here(self) -> int:
        """All trials that ended in this call."""
        return self.n_finished_here + self.n_spared_here

    @property
    def front_size(self) -> str:
        """How many complete trials are on the front."""
        n_complete = count(self.counts.get("complete", 0), "complete trial")
        return f"{len(self.front)} of {n_complete}, not beaten by any other"

    @property
    def ordered_counts(self) -> dict[str, int]:
        """Ended trials by outcome, in a fixed order."""
        return {word: self.counts.get(word, 0) for word in ranking.WORDS}

    def elapsed(self, now: float) -> float:
        """Return the seconds since the search began."""
        return now - self._begun_at if self.started is not None else 0.0

    @property
    def n_to_come(self) -> int:
        """Trials that have not ended."""
        if self.started is None:
            return 0
        return max(self.started.n_total - self.n_done, len(self.running))

    @property
    def has_durations(self) -> bool:
        """Whether a trial that counts has ended, so that the rest can be estimated."""
        return self.started is not None and bool(self._durations)

    def remaining(self, now: float) -> TimeLeft | None:
        """Return the seconds until the last trial ends; None before the first one has ended."""
        if self.started is None or not self._durations:
            return None
        mean = fmean(self._durations)
        running = self.running.values()
        work = sum(of_running(one.elapsed(now), mean, one.at_most(now)) for one in running)
        work += (self.n_to_come - len(running)) * mean
        work += self.awaited.seconds if self.awaited is not None else 0.0
        n_at_once = max(min(self.started.n_jobs, self.n_to_come), 1)
        left = time_left(work / n_at_once, self._durations)
        if self.started.timeout is None:
            return left
        until = max(self.started.timeout - self.elapsed(now), 0.0)
        return left.at_most(until + mean)  # running trials end after the timeout

    def folds_of(self, trial: TrialFinished) -> str:
        """Return how many folds a trial was scored on, if others never joined; else empty."""
        n_folds, n_scored = self.summary.n_folds if self.summary else 0, len(trial.fold_scores)
        return f"on {n_scored} of {n_folds} folds" if 0 < n_scored < n_folds else ""

    def spread(self, trial: TrialFinished) -> float | None:
        """Return a trial's standard deviation over folds; None for a single fold."""
        one_fold = self.summary is not None and self.summary.n_folds == 1
        return None if one_fold else trial.spread

    @property
    def gates(self) -> Mapping[str, Scalar]:
        """What `or:` puts in place of a range, by the range's name."""
        return self.started.gates if self.started is not None else {}

    def compared(self) -> Compared:
        """Return how the other complete trials compare with the best."""
        if self.started is None or self.best is None:
            return Compared(())
        sign = 1.0 if self.started.direction == "maximize" else -1.0
        guess = self.started.guess
        if self.summary is not None:
            guess = self.summary.guess.get(self.started.objective)
        yardstick = Yardstick(
            self.started.tolerance,
            None if guess is None else sign * guess,
            self.best.n_valid_per_train,
        )
        others = [*self.fold_scores]
        others.remove(self.best.fold_scores)
        return compared_with(
            [sign * score for score in self.best.fold_scores],
            [[sign * score for score in scores] for scores in others],
            yardstick,
        )
