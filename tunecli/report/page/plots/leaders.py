"""The best trials with the spread of their folds, and what nobody tuned beside them."""

from __future__ import annotations

import statistics

from tunecli.report import wording
from tunecli.report.findings.evidence import Baseline, Evidence, TestScore
from tunecli.report.page.plots.intervals import Row, intervals
from tunecli.report.page.plots.plot import Plot, axis
from tunecli.report.records import TrialRecord
from tunecli.training.evaluation import GUESSES

_MOST = 10


def leaders(evidence: Evidence) -> Plot:
    """The best ten; hollow: those that the folds cannot tell from the best.

    A guess is not drawn beside better baselines: all others would lie in one spot.
    """
    trials = evidence.ranked[:_MOST]
    rows = [_trial_row(evidence, rank) for rank in range(len(trials))]
    tuned_none = [one for one in evidence.baselines if one.name not in GUESSES]
    rows += [_baseline_row(baseline) for baseline in tuned_none or evidence.baselines]
    rows += [_test_row(evidence.ranked[0], evidence.test)] if evidence.test is not None else []
    metric = wording.plain(evidence.study.metric)
    note = "Whiskers: standard deviation over folds. Diamonds: tied with the best."
    if evidence.baselines:
        note += " Squares: not tuned, on the same folds."
    if evidence.test is not None:
        note += " Star: its model on the test rows, with a 95 % interval."
    return intervals(
        "The best trials",
        [[row] for row in rows],
        axis(wording.shortened(metric, 40), nticks=5),
        f"{metric} of the best {wording.count(len(trials), 'trial')} and its spread over folds.",
        note,
    )


def _trial_row(evidence: Evidence, rank: int) -> Row:
    trial, best = evidence.ranked[rank], evidence.ranked[0]
    assert trial.value is not None
    is_tied = trial is not best and trial.number in {tied.number for tied in evidence.tied}
    return Row(
        f"trial {trial.number}",
        trial.value,
        *_around(trial.value, trial.spread),
        colour="@complete",
        symbol="diamond-open" if is_tied else "circle",
        number=trial.number,
    )


def _baseline_row(baseline: Baseline) -> Row:
    mean = statistics.fmean(baseline.fold_scores)
    spread = statistics.stdev(baseline.fold_scores) if len(baseline.fold_scores) > 1 else None
    said = f"{baseline.name}: {wording.with_spread(mean, spread)}, not tuned"
    return Row(baseline.name, mean, *_around(mean, spread), said, "@infeasible", "square-open")


def _test_row(best: TrialRecord, test: TestScore) -> Row:
    interval = f"95 %: {wording.score(test.low)} to {wording.score(test.high)}"
    said = f"trial {best.number} on the test rows: {wording.score(test.score)} ({interval})"
    name = f"{best.number} on test rows"
    return Row(name, test.score, test.low, test.high, said, "@complete", "star-open", best.number)


def _around(value: float, spread: float | None) -> tuple[float | None, float | None]:
    return (None, None) if spread is None else (value - spread, value + spread)
