"""What follows from trials that run or have ended: events, results, and the end of a search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from statistics import stdev

from tunecli.database.trials import Trial
from tunecli.search.events.events import SearchEnded, TrialEvaluated, TrialFinished
from tunecli.search.study.front import FrontTracker
from tunecli.search.trial_budget import TrialBudget
from tunecli.search.workers.messages import WorkerDied
from tunecli.study_file.settings.metric_names import label
from tunecli.study_file.settings.settings import Direction, TrialConfig
from tunecli.training.outcome.evaluation import Evaluation, TrialResult
from tunecli.training.outcome.failure_reasons import OUT_OF_MEMORY, WORKER_DIED, alike
from tunecli.training.outcome.score_guard import NoScoreError, finite_float

PATIENCE = 30  # trials that may diverge or break a limit for one reason before a search ends


class ChargedTrials:
    """The trials of one call that have ended and count; spared ones cost nothing.

    Args:
        parallel: the study's `search.parallel`.

    Attributes:
        trials: these trials, in the order of their ends.
    """

    def __init__(self, parallel: int) -> None:
        self.trials: list[Trial] = []
        self._enough = 2 * parallel
        self._kinds: set[tuple[str | None, str]] = set()

    def add(self, trial: Trial) -> None:
        """Add a trial that has ended."""
        self.trials.append(trial)
        self._kinds.add((trial.outcome, alike(trial.reason)))

    @property
    def are_in_vain(self) -> bool:
        """Whether they all ended without a value, for the same reason, and there are enough.

        More trials are needed for that if they diverge or break a limit than if they fail: another
        configuration may then do better.
        """
        if len(self._kinds) != 1 or not are_without_value(self.trials[:1]):
            return False
        failed = self.trials[0].outcome == "failed"
        return len(self.trials) >= (self._enough if failed else max(self._enough, PATIENCE))


def in_vain(trials: Sequence[Trial], n_done: int, n_total: int, n_spared: int) -> SearchEnded:
    """Return the end of a search whose trials have no value, with the most common reason."""
    kinds = Counter((trial.outcome, alike(trial.reason)) for trial in trials)
    [(commonest, _)] = kinds.most_common(1)
    first = next(t for t in trials if (t.outcome, alike(t.reason)) == commonest)
    outcomes = {trial.outcome for trial in trials}
    outcome = first.outcome if len(outcomes) == 1 else None
    return SearchEnded("failing", n_done, n_total, first.reason, outcome or "", n_spared)


def finished_before(trials: Sequence[Trial], budget: TrialBudget) -> SearchEnded:
    """Return the end of a search that had nothing left to do."""
    n_spared = budget.n_spared(trials)
    n_done = len(trials) - n_spared
    if n_done >= budget.n_total:
        return SearchEnded("done", n_done, budget.n_total, n_spared=n_spared)
    if are_without_value(trials):
        return in_vain(trials, n_done, budget.n_total, n_spared)
    return SearchEnded("infeasible", n_done, budget.n_total, n_spared=n_spared)


def evaluated_event(trial: Trial, folds: tuple[Evaluation, ...], best: int) -> TrialEvaluated:
    """Return the event for the newest evaluation of a running trial.

    Args:
        best: index of the best evaluation so far in the current stage.
    """
    return TrialEvaluated(
        number=trial.number,
        step=folds[0].step,
        score=trial.curve[-1],
        best=trial.curve[best],
        folds=folds,
        n_waiting=trial.n_waiting,
        n_before=trial.n_before,
    )


def finished_event(trial: Trial, *, is_best: bool, is_spared: bool = False) -> TrialFinished:
    """Return the event for a trial that has ended."""
    assert trial.outcome is not None
    scores = trial.fold_scores
    return TrialFinished(
        number=trial.number,
        outcome=trial.outcome,
        reason=trial.reason,
        value=trial.value,
        spread=stdev(scores) if len(scores) > 1 else None,
        seconds=trial.seconds,
        params=trial.params,
        is_best=is_best,
        fold_scores=tuple(scores),
        n_valid_per_train=trial.config.validation.n_valid_per_train(
            in_time=trial.config.data.time is not None
        ),
        values=trial.values,
        is_spared=is_spared,
    )


def earlier(
    trials: Sequence[Trial], directions: Sequence[Direction], budget: TrialBudget
) -> tuple[TrialFinished, ...]:
    """Return the trials that have ended, each marked if it was on the front when it ended."""
    front = FrontTracker[Trial](directions)
    ended = (trial for trial in trials if trial.outcome is not None)
    return tuple(
        finished_event(trial, is_best=front.take(trial), is_spared=budget.spares(trial))
        for trial in ended
    )


def are_without_value(trials: Sequence[Trial]) -> bool:
    """Return whether all trials ended without a value."""
    return all(trial.outcome in ("failed", "diverged", "infeasible") for trial in trials)


def result_of_dead(event: WorkerDied) -> TrialResult:
    """Return the result of a trial whose worker died, if it is not retried."""
    reason = OUT_OF_MEMORY if event.out_of_memory else WORKER_DIED
    return TrialResult(
        "failed",
        reason=f"{reason}: {event.cause}",
        seconds=event.seconds,
        peak_memory=event.peak_memory,
    )


def with_finite_values(result: TrialResult, config: TrialConfig) -> TrialResult:
    """Return the result, or one without a value if a value is not finite."""
    if result.value is None:
        return result
    try:
        result = replace(result, value=finite_float(result.value, "the trial's score"))
        if result.outcome == "complete":
            for objective in config.further_objectives:
                name = label(objective.metric)
                finite_float(result.metrics.get(name), f"the trial's {name}")
    except NoScoreError as error:
        return replace(result, outcome=error.outcome, reason=error.reason, value=None)
    return result
