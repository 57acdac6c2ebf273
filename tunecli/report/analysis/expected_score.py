"""The score that the model of the best trial is expected to reach on the test rows.

The expected score is the best score of the search without the luck of the selection. Its 95 %
interval adds up the variances of what differs by chance between search and test: which rows
validate and which test, how a network turns out that is trained anew, and how lucky the best is.

The variance due to rows is that of the bootstrap over the test rows, or before there is a test
score the binomial variance if the metric is the accuracy. For other metrics, and for rows that
belong to groups or follow one another in time, the spread over at least three folds gives it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from tunecli.data.rows.summary import Unit, unit_of
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.ranking import ranked, validation_of
from tunecli.report.analysis.selection_luck import (
    FoldNoise,
    Values,
    fold_noise,
    winners_luck,
)
from tunecli.report.phrases.wording import score, with_interval
from tunecli.study_file.settings.metric_names import COSTS, METRICS
from tunecli.study_file.text.counts import count

LEVEL = 0.95

OWN_SHARE = 0.25
"""Share of the noise variance of a score on one holdout that other trials do not share.

With several folds it is measured instead. Its median over the studies with five folds of
`tests/benchmarks/optimism.py` is 0.21.
"""

_FEWEST_FOLDS = 3  # whose spread means something
_FEWEST_LEADERS = 5
_SHARE_OF_LEADERS = 0.1


@dataclass(frozen=True)
class RowCounts:
    """How many rows scores rest on.

    Attributes:
        fold: validation rows of one fold; 1 if that is unknown and folds are counted, not rows.
        valid: validation rows of all folds, each counted once, or as many independent rows as give
            their mean the same variance.
        test: rows that the model will be scored on; infinite without test rows.
    """

    fold: float
    valid: float
    test: float = math.inf


@dataclass(frozen=True)
class ExpectedScore:
    """A score that is expected of the best trial's model, and its 95 % interval.

    Attributes:
        drop: how much worse it is than the score in the search; 0 or more.
        n_trials: number of trials that the best was chosen from.
        unit: what the score is measured on.
        n_test: number of test rows; None if the interval is for very many rows, or if rows are
            parts of one text.
        covers_scale: whether the interval holds all possible values, so that it says nothing.
    """

    score: float
    low: float
    high: float
    drop: float
    n_trials: int
    n_test: int | None
    unit: Unit = "row"
    covers_scale: bool = False

    @property
    def sentence(self) -> str:
        """What is expected, on which rows, and why it differs from the score in the search."""
        new = "new text" if self.unit == "block" else f"new {self.unit}s"
        where = f"the {count(self.n_test, f'test {self.unit}')}" if self.n_test else new
        text = f"{self._value} on {where}"
        is_seen = score(self.score, self.score) != score(self.score + self.drop, self.score)
        is_chosen = self.n_trials > 1
        why = f", allowing for luck in the best of {self.n_trials:,} trials"
        why = why if is_seen and is_chosen else ""
        vague = "; the noise is too large for an interval" if self.covers_scale else ""
        return f"{text}{why}{vague}"

    @property
    def _value(self) -> str:
        if self.covers_scale:
            return score(self.score)
        return with_interval(self.score, self.low, self.high)


@dataclass(frozen=True)
class _RowNoise:
    """The variance of one row's share in a score; `df`: how many numbers it was estimated from."""

    variance: float
    df: float = math.inf


@np.errstate(over="ignore", invalid="ignore")  # huge scores have no finite noise
def expected_score(
    study: StudyRecord, test_error: float | None = None, rows: RowCounts | None = None
) -> ExpectedScore | None:
    """Return the score to expect of the best trial; None if nothing shows its noise.

    Nothing does with fewer than three folds and no test score, unless the metric is the accuracy;
    with several objectives; or where all folds and trials have the same score.

    Args:
        test_error: standard error of the test score; None before there is one.
        rows: the numbers of rows; by default those of the study's summary.
    """
    order = ranked(study)
    if not order or study.further_objectives or study.metric in COSTS:
        return None
    counts = rows or row_counts(study, order[0])
    if counts is None:
        return None
    noise = noise_of_leaders(order)
    known = _of_test(test_error, counts) or _of_accuracy(order[0], counts)
    seen = [*known, *_of_folds(noise, order[0], counts, is_needed=not known)]
    sign = 1.0 if study.direction == "maximize" else -1.0
    values = np.array([sign * (trial.value or 0.0) for trial in order])
    rng = np.random.default_rng(crc32(study.name.encode()))
    of_test = (test_error or 0.0) * (test_error or 0.0)
    found = [_expected(values, noise, rows, counts, of_test, rng) for rows in seen]
    luck, reach = max(found, key=lambda one: one[1], default=(0.0, 0.0))
    if not 0 < reach < math.inf:
        return None
    middle = (order[0].value or 0.0) - sign * luck
    summary = study.summary
    has_rows = summary is None or not summary.is_one_text
    least, most = _bounds(order[0])
    return ExpectedScore(
        score=min(max(middle, least), most),
        low=min(max(middle - reach, least), most),
        high=min(max(middle + reach, least), most),
        drop=luck,
        n_trials=len(order),
        n_test=int(counts.test) if math.isfinite(counts.test) and has_rows else None,
        unit="row" if summary is None else unit_of(summary.task, is_one_text=summary.is_one_text),
        covers_scale=bool(middle - reach <= least and middle + reach >= most),
    )


def _expected(
    values: Values,
    noise: FoldNoise | None,
    rows: _RowNoise,
    counts: RowCounts,
    of_test: float,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return the luck of the best of `values`, and half the width of the interval.

    Args:
        of_test: variance of the test score; 0 before there is one.
    """
    from scipy.special import stdtrit

    assumed = OWN_SHARE * rows.variance / counts.valid
    known = noise or FoldNoise(own=assumed, mean=assumed, fold=assumed)
    luck = winners_luck(values, known.mean, rng)
    of_search = max(rows.variance / counts.valid, known.mean)  # the one contains the other
    variance = of_search + max(rows.variance / counts.test, of_test) + known.own
    quantile = float(stdtrit(min(rows.df, 1e9), (1 + LEVEL) / 2))
    return luck, quantile * math.sqrt(variance)


def _of_test(error: float | None, counts: RowCounts) -> list[_RowNoise]:
    if error is None or not math.isfinite(counts.test):
        return []
    return [_RowNoise(error * error * counts.test)]


def _of_accuracy(best: TrialRecord, counts: RowCounts) -> list[_RowNoise]:
    """Return the binomial variance, of a share moved towards one half (Agresti and Coull 1998)."""
    is_share = _metric(best) == "accuracy" and not _has(best, "weights")
    if not is_share or counts.fold <= 1 or best.value is None or not 0 <= best.value <= 1:
        return []
    share = (best.value * counts.valid + 2) / (counts.valid + 4)
    return [_RowNoise(share * (1 - share))]


def _of_folds(
    noise: FoldNoise | None, best: TrialRecord, counts: RowCounts, *, is_needed: bool
) -> list[_RowNoise]:
    """Return the spread over folds where nothing else is known or rows are not independent."""
    n_folds = len(best.fold_scores) // _n_repeats(best)
    are_dependent = _has(best, "group", "time")
    if noise is None or n_folds < _FEWEST_FOLDS or not (is_needed or are_dependent):
        return []
    return [_RowNoise(max(noise.fold - noise.own, 0.0) * counts.fold, n_folds - 1)]


def _has(trial: TrialRecord, *names: str) -> bool:
    """Return whether the settings of a trial's data name one of these columns."""
    data = (trial.config or {}).get("data")
    return isinstance(data, Mapping) and any(data.get(name) is not None for name in names)


def noise_of_leaders(order: list[TrialRecord]) -> FoldNoise | None:
    """Return how the best trials vary over folds; None with one fold, or beyond all floats.

    Args:
        order: the complete trials, best first.
    """
    best = order[0]
    n_folds = len(best.fold_scores) // _n_repeats(best)
    n_leaders = max(_FEWEST_LEADERS, math.ceil(_SHARE_OF_LEADERS * len(order)))
    scores = [
        trial.fold_scores
        for trial in order[:n_leaders]
        if trial.has_spread and len(trial.fold_scores) == len(best.fold_scores)
    ]
    if best.spread is None or n_folds < 2:
        return None
    with np.errstate(over="ignore", invalid="ignore"):  # scores that nearly diverged
        noise = fold_noise(np.array(scores).reshape(len(scores), -1, n_folds))
    return noise if math.isfinite(noise.own + noise.mean + noise.fold) else None


def _n_repeats(trial: TrialRecord) -> int:
    """Return how many times the folds are repeated; repeated holdouts count as folds."""
    validation = validation_of(trial)
    if validation is None or validation.folds is None:
        return 1
    return validation.repeats if len(trial.fold_scores) % validation.repeats == 0 else 1


def row_counts(study: StudyRecord, best: TrialRecord) -> RowCounts | None:
    """Return the numbers of rows of a study; in folds instead of rows if the data is not known.

    None if a part that the data defines itself validates: its number of rows is not stored.
    """
    n_folds = len(best.fold_scores) // _n_repeats(best)
    summary, validation = study.summary, validation_of(best)
    if summary is None or not summary.n_search:
        return RowCounts(1.0, float(n_folds)) if n_folds > 1 else None
    test = float(summary.n_test or math.inf)
    share = validation.holdout if validation is not None else None
    if share is not None:
        in_common = 1 / len(best.fold_scores) * (1 - share) + share if best.fold_scores else 1.0
        return RowCounts(share * summary.n_search, share * summary.n_search / in_common, test)
    if n_folds < 2:
        return None
    return RowCounts(summary.n_search / n_folds, float(summary.n_search), test)


def _bounds(best: TrialRecord) -> tuple[float, float]:
    """Return the range of possible values of the objective's metric."""
    info = METRICS.get(_metric(best))
    return (info.lowest, info.highest) if info is not None else (-math.inf, math.inf)


def _metric(trial: TrialRecord) -> str:
    """Return the name of the objective's metric, without its arguments; empty if unknown."""
    objective = (trial.config or {}).get("objective")
    metric = objective.get("metric") if isinstance(objective, Mapping) else None
    return str(metric.get("name", "")) if isinstance(metric, Mapping) else ""
