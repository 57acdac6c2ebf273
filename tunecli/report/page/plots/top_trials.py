"""The best trials with their spread over folds, compared with baselines, and on the test set."""

from __future__ import annotations

import statistics

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Baseline, Evidence, TestScore
from tunecli.report.page.plots.interval_bars import Row, interval_plot
from tunecli.report.page.plots.plot import Plot, axis
from tunecli.report.phrases import wording
from tunecli.study_file.text.counts import count
from tunecli.training.outcome.evaluation import GUESSES

_MOST = 10
_WHISKERS = "Whiskers: standard deviation over folds."


def leaders(evidence: Evidence) -> Plot:
    """Return the best ten trials; those that are tied with the best are hollow."""
    n_trials = min(len(evidence.ranked), _MOST)
    return _plot(
        evidence,
        "The best trials",
        [_trial_row(evidence, rank) for rank in range(n_trials)],
        f"of the best {count(n_trials, 'trial')} and its spread over folds.",
        f"{_WHISKERS} Diamonds: tied with the best.",
    )


def beside_baselines(evidence: Evidence) -> Plot:
    """Return the best trial and the untuned baselines.

    A guess is left out if there are better baselines: it would compress all others into one spot.
    """
    untuned = [one for one in evidence.baselines if one.name not in GUESSES]
    return _plot(
        evidence,
        "The best trial and untuned baselines",
        [_trial_row(evidence, 0), *map(_baseline_row, untuned or evidence.baselines)],
        "of the best trial and of untuned models, and its spread over folds.",
        f"{_WHISKERS} Squares: untuned baselines, on the same folds.",
    )


def on_test(evidence: Evidence, test: TestScore) -> Plot:
    """Return the best trial in the search, and its model on the test rows."""
    return _plot(
        evidence,
        "The best trial on the test rows",
        [_trial_row(evidence, 0), _test_row(evidence.ranked[0], test)],
        "of the best trial in the search, and of its model on the test rows.",
        f"{_WHISKERS} Star: on the test rows, with a 95 % interval.",
    )


def _plot(evidence: Evidence, title: str, rows: list[Row], shows: str, note: str) -> Plot:
    metric = wording.plain(evidence.study.metric)
    ends = axis(wording.shortened(metric, 40), nticks=5)
    return interval_plot(title, [[row] for row in rows], ends, f"{metric} {shows}", note)


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
    hover = f"{baseline.name}: {wording.with_spread(mean, spread)}, untuned"
    return Row(baseline.name, mean, *_around(mean, spread), hover, "@infeasible", "square-open")


def _test_row(best: TrialRecord, test: TestScore) -> Row:
    interval = f"95 %: {wording.score(test.low)} to {wording.score(test.high)}"
    hover = f"trial {best.number} on the test rows: {wording.score(test.score)} ({interval})"
    name = f"trial {best.number} on test rows"
    return Row(name, test.score, test.low, test.high, hover, "@complete", "star-open", best.number)


def _around(value: float, spread: float | None) -> tuple[float | None, float | None]:
    return (None, None) if spread is None else (value - spread, value + spread)
