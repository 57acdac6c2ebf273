"""The state of a running search; the cost of an event does not grow with their number.

The state also estimates the remaining time: the remaining evaluations times the pace since the
first trial of this call. A trial that has not begun is assumed to be as long as the mean of the
ended and the running trials, the latter at full length: early on only short trials have ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tunecli.data.rows.summary import DataSummary
from tunecli.report.analysis import ranking
from tunecli.report.analysis.fold_test import are_tied
from tunecli.search.events.events import (
    DataDescribed,
    SearchEnded,
    SearchEvent,
    SearchStarted,
    TrialEvaluated,
    TrialFinished,
    TrialStarted,
)
from tunecli.study_file.settings.settings import Direction
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.objectives import dominates

ENOUGH_EVALUATIONS = 3  # before the pace is known well enough


@dataclass
class RunningTrial:
    """One running trial. Attributes: `score`: mean over folds at its last evaluation, or None."""

    number: int
    n_evaluations: int
    n_done: int = 0
    score: float | None = None


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
    n_spared: int = 0
    n_spared_here: int = 0
    _begun_at: float = 0.0
    _first_trial_at: float | None = None
    _n_seen: int = 0
    _n_finished_evaluations: int = 0

    def update(self, event: SearchEvent, now: float) -> None:
        """Update the state with one event; `now` is in seconds of a monotonic clock."""
        match event:
            case SearchStarted():
                self.started, self._begun_at = event, now
                for earlier in event.earlier:
                    self._count(earlier)
            case DataDescribed(summary):
                self.summary = summary
            case TrialStarted(number=number, n_evaluations=planned):
                self.running[number] = RunningTrial(number, planned)
                self.n_planned = planned
                if self._first_trial_at is None:
                    self._first_trial_at = now
            case TrialEvaluated():
                self._evaluated(event)
            case TrialFinished():
                self._finished(event)
            case SearchEnded():
                self.ended = event

    def _evaluated(self, event: TrialEvaluated) -> None:
        trial = self.running.get(event.number)
        if trial is not None:
            self._n_seen += 1
            trial.n_done, trial.score = event.step + 1, event.score

    def _finished(self, event: TrialFinished) -> None:
        trial = self.running.pop(event.number, None)
        self.n_finished_here += not event.is_spared
        self.n_spared_here += event.is_spared
        self._n_finished_evaluations += trial.n_done if trial is not None else 0
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

    def remaining(self, now: float) -> float | None:
        """Return the seconds until the last trial ends; None until the pace is known."""
        if self.started is None or self._first_trial_at is None:
            return None
        seconds = now - self._first_trial_at
        if self._n_seen < ENOUGH_EVALUATIONS or seconds <= 0:
            return None
        if not all(trial.n_evaluations for trial in self.running.values()):
            return None  # the user's own trainings, whose length is unknown
        planned = sum(trial.n_evaluations for trial in self.running.values())
        under_way = sum(trial.n_evaluations - trial.n_done for trial in self.running.values())
        n_known = self.n_finished_here + len(self.running)
        mean = (self._n_finished_evaluations + planned) / max(n_known, 1)
        n_to_come = max(self.started.n_total - self.n_done - len(self.running), 0)
        return (under_way + n_to_come * mean) * seconds / self._n_seen

    def spread(self, trial: TrialFinished) -> float | None:
        """Return a trial's standard deviation over folds; None for a single fold."""
        one_fold = self.summary is not None and self.summary.n_folds == 1
        return None if one_fold else trial.spread

    @property
    def gates(self) -> Mapping[str, Scalar]:
        """What `or:` puts in place of a range, by the range's name."""
        return self.started.gates if self.started is not None else {}

    def n_tied(self) -> int | None:
        """Return how many other trials are tied with the best; None if that is unknown."""
        if self.best is None or len(self.best.fold_scores) < 2:
            return None
        best, ratio = self.best.fold_scores, self.best.n_valid_per_train
        return sum(are_tied(best, scores, ratio) for scores in self.fold_scores) - 1
