"""The expected score against simulated studies: the truth of every trial and row is known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import binomtest, norm, t
from study_makers import SUMMARY

from tunecli.database.attributes import RecordedObjective
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.expected_score import (
    OWN_SHARE,
    ExpectedScore,
    RowCounts,
    expected_score,
)

N_TRIALS = 30
ROW_SPREAD = 0.5  # standard deviation of one row's score, the same for all trials
OWN = 0.25  # share of a row's variance that each trial has for itself
TRAINING = 0.004  # standard deviation between networks that are trained anew

VALIDATIONS: dict[str, dict[str, Any]] = {
    "5 folds": {"folds": 5},
    "3 folds": {"folds": 3},
    "5 folds, 3 times": {"folds": 5, "repeats": 3},
    "holdout": {"holdout": 0.2},
    "3 holdouts": {"holdout": 0.2, "repeats": 3},
}
SIZES = (300, 1000, 4000)


@dataclass(frozen=True)
class Simulated:
    """A study, the score of its winner on the test rows, and the truth about both."""

    study: StudyRecord
    test: float
    test_error: float
    rows: RowCounts
    drop: float

    def expected(self) -> ExpectedScore:
        found = expected_score(self.study, self.test_error, self.rows)
        assert found is not None
        return found


def simulated(
    validation: str, n_rows: int, seed: int, shift: float = 0.0, own: float = OWN
) -> Simulated:
    """Scores are means over rows: what a row does to all trials, and to one; and of training.

    Args:
        shift: how much worse every model is on the test rows.
    """
    draw = np.random.default_rng([seed, n_rows, len(validation)])
    settings = VALIDATIONS[validation]
    truths = 0.9 - 0.2 * (draw.random((N_TRIALS, 2)) ** 2).sum(axis=1)
    shared = draw.normal(0.0, ROW_SPREAD * math.sqrt(1 - own), n_rows)
    on_rows = draw.normal(0.0, ROW_SPREAD * math.sqrt(own), (N_TRIALS, n_rows)) + shared
    parts = [*_parts(settings, n_rows, draw)]
    trained = draw.normal(0.0, TRAINING, (N_TRIALS, len(parts)))
    scores = truths[:, None] + trained
    scores += np.stack([on_rows[:, part].mean(axis=1) for part in parts], axis=1)
    winner = int(scores.mean(axis=1).argmax())
    n_test = n_rows // 3
    of_test = truths[winner] - shift + draw.normal(0.0, TRAINING)
    on_test = of_test + draw.normal(0.0, ROW_SPREAD, n_test)
    weights = np.zeros(n_rows)
    for part in parts:
        weights[part] += 1 / len(part) / len(parts)
    return Simulated(
        study_of(scores, {"validation": settings}, f"simulated-{seed}"),
        float(on_test.mean()),
        float(on_test.std() / math.sqrt(n_test)),
        RowCounts(len(parts[0]), 1 / float((weights**2).sum()), n_test),
        float(scores[winner].mean() - truths[winner]),
    )


def _parts(
    settings: dict[str, Any], n_rows: int, draw: np.random.Generator
) -> Iterator[np.ndarray]:
    for _ in range(settings.get("repeats", 1)):
        rows = draw.permutation(n_rows)
        if "folds" in settings:
            yield from np.array_split(rows, settings["folds"])
        else:
            yield rows[: int(settings["holdout"] * n_rows)]


def study_of(
    scores: np.ndarray, config: dict[str, Any], name: str = "s", direction: Any = "maximize"
) -> StudyRecord:
    """One trial per row, one fold per column."""
    trials = tuple(
        TrialRecord(
            *(number, number, "complete", "complete"),
            value=float(row.mean()),
            fold_scores=tuple(row.tolist()),
            config=config,
        )
        for number, row in enumerate(scores)
    )
    return StudyRecord("sqlite://", 1, name, "accuracy", direction, trials)


@dataclass(frozen=True)
class Rates:
    within: int
    below: int
    n: int
    bias: float  # of the drop, in parts of the true one


@cache
def rates(validation: str, n_rows: int, n: int, shift: float = 0.0, own: float = OWN) -> Rates:
    within = below = 0
    drops, true = [], []
    for seed in range(n):
        one = simulated(validation, n_rows, seed, shift, own)
        found = one.expected()
        within += found.low <= one.test <= found.high
        below += one.test < found.low
        drops.append(found.drop)
        true.append(one.drop)
    return Rates(within, below, n, float(np.mean(drops) / np.mean(true) - 1))


def is_at_least(share: float, n_of: int, n: int) -> bool:
    """Whether a true rate of `share` or more is compatible with this count, at 1 %."""
    return bool(binomtest(n_of, n, share, alternative="less").pvalue > 0.01)


def is_at_most(share: float, n_of: int, n: int) -> bool:
    return is_at_least(1 - share, n - n_of, n)


@pytest.mark.parametrize("validation", VALIDATIONS)
def test_the_interval_holds_at_its_rate(validation: str) -> None:
    found = rates(validation, 300, n=60)
    assert is_at_least(0.95, found.within, found.n)
    assert is_at_most(0.05, found.below, found.n)


@pytest.mark.slow
@pytest.mark.parametrize("n_rows", SIZES)
@pytest.mark.parametrize("validation", VALIDATIONS)
def test_the_interval_holds_at_its_rate_for_all_sizes(validation: str, n_rows: int) -> None:
    found = rates(validation, n_rows, n=300)
    assert is_at_least(0.95, found.within, found.n)
    assert is_at_most(0.05, found.below, found.n)
    assert -0.5 < found.bias < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("own", [0.05, 0.5])
def test_a_holdout_is_not_alarmed_where_trials_share_more_or_less_than_assumed(own: float) -> None:
    found = rates("holdout", 1000, n=300, own=own)
    assert is_at_most(0.05, found.below, found.n)


@pytest.mark.parametrize("validation", ["5 folds", "holdout"])
def test_test_rows_that_differ_are_found(validation: str) -> None:
    """Worse by four standard errors of the difference of validation and test."""
    one = simulated(validation, 1000, seed=0).rows
    shift = 4 * ROW_SPREAD * math.sqrt(1 / one.valid + 1 / one.test)
    found = rates(validation, 1000, n=25, shift=shift)
    assert is_at_least(0.9, found.below, found.n)


def test_the_drop_of_equal_trials_is_the_expected_maximum() -> None:
    """The formula: the integral of x over the density of the largest of n normal draws."""
    n_trials, n_folds, noise = 40, 5, 0.01
    draw = np.random.default_rng(0)
    folds = draw.normal(0.9, 0.05, n_folds)
    drops = [
        found.drop
        for seed in range(20)
        if (
            found := expected_score(
                study_of(folds + draw.normal(0.0, noise, (n_trials, n_folds)), {}, f"s{seed}")
            )
        )
    ]
    largest, _ = quad(lambda x: x * n_trials * norm.pdf(x) * norm.cdf(x) ** (n_trials - 1), -8, 8)
    assert np.mean(drops) == pytest.approx(largest * noise / math.sqrt(n_folds), rel=0.1)


def test_one_trial_on_a_holdout_has_the_error_of_two_samples_and_of_a_new_training() -> None:
    rows = RowCounts(fold=400, valid=400, test=100)
    study = study_of(np.array([[0.8]]), {"validation": {"holdout": 0.2}})
    found = expected_score(study, 0.04, rows)
    assert found is not None
    of_valid = 0.04**2 * 100 / 400
    reach = norm.ppf(0.975) * math.sqrt(0.04**2 + of_valid + OWN_SHARE * of_valid)
    assert found.high - found.score == pytest.approx(reach, rel=0.01)
    assert found.score == pytest.approx(0.8, abs=1e-3)


ACCURACY = {"objective": {"direction": "maximize", "metric": {"name": "accuracy"}}}


@pytest.mark.parametrize("validation", [{"holdout": 0.2}, {"folds": 2}])
def test_the_accuracy_needs_neither_folds_nor_a_test_score(validation: dict[str, Any]) -> None:
    """The interval of the difference of two shares (Agresti and Caffo 2000 without its shift)."""
    summary = replace(SUMMARY, n_search=1000, n_test=500)
    scores = np.full((1, validation.get("folds", 1)), 0.8)
    study = replace(study_of(scores, ACCURACY | {"validation": validation}), summary=summary)
    found = expected_score(study)
    assert found is not None
    n_valid = 1000 if "folds" in validation else 200
    share = (0.8 * n_valid + 2) / (n_valid + 4)
    own = 0.0 if "folds" in validation else OWN_SHARE / n_valid
    variance = share * (1 - share) * (1 / n_valid + 1 / 500 + own)
    assert found.high - found.score == pytest.approx(1.96 * math.sqrt(variance), rel=0.01)
    assert found.n_test == 500
    weighted = {**ACCURACY, "validation": validation, "data": {"weights": "w"}}
    assert expected_score(replace(study_of(scores, weighted), summary=summary)) is None


def test_without_a_sign_of_noise_nothing_is_expected() -> None:
    draw = np.random.default_rng(0)
    one_fold = study_of(draw.random((9, 1)), {"validation": {"holdout": 0.2}})
    five = study_of(draw.random((9, 5)), {"validation": {"folds": 5}})
    assert expected_score(five) is not None
    assert expected_score(one_fold) is None
    assert expected_score(replace(one_fold, summary=SUMMARY)) is None
    assert expected_score(study_of(draw.random((9, 2)), {})) is None, "two folds are too few"
    assert expected_score(study_of(np.full((9, 5), 0.5), {})) is None
    assert expected_score(replace(five, trials=())) is None
    assert expected_score(replace(five, metric="size")) is None
    several = (RecordedObjective("size", "minimize"),)
    assert expected_score(replace(five, further_objectives=several)) is None


def test_rows_in_groups_get_the_spread_of_folds_where_it_is_larger() -> None:
    draw = np.random.default_rng(0)
    scores = draw.normal(0.8, 0.1, 5) + draw.normal(0.0, 0.001, (20, 5))
    rows, widths = RowCounts(200, 1000, 200), []
    for data in ({"group": None}, {"group": "patient"}, {"time": "day"}):
        study = study_of(scores, {"validation": {"folds": 5}, "data": data})
        found = expected_score(study, 0.01, rows)
        assert found is not None
        widths.append(found.high - found.low)
    free, in_groups, in_time = widths
    assert in_groups == in_time
    assert in_groups > 5 * free
    spread = scores[0].std(ddof=1)
    assert in_groups == pytest.approx(2 * t.ppf(0.975, 4) * spread * math.sqrt(1 / 5 + 1), rel=0.1)


@given(
    st.integers(1, 30),
    st.sampled_from([3, 5]),
    st.integers(0, 2**32 - 1),
    st.floats(-100, 100),
    st.floats(0.01, 100),
)
def test_the_scale_of_scores_does_not_matter(
    n_trials: int, n_folds: int, seed: int, shift: float, scale: float
) -> None:
    scores = np.random.default_rng(seed).normal(size=(n_trials, n_folds))
    one = expected_score(study_of(scores, {}))
    assert one is not None
    assert one.low <= one.score <= one.high
    assert 0 <= one.drop
    moved = expected_score(study_of(scores * scale + shift, {}))
    turned = expected_score(study_of(-scores * scale - shift, {}, direction="minimize"))
    assert moved is not None
    assert turned is not None
    for name in ("score", "low", "high"):
        given_, mirror = name, {"low": "high", "high": "low"}.get(name, name)
        expected = pytest.approx(getattr(one, name) * scale + shift, rel=1e-6, abs=1e-6)
        assert getattr(moved, given_) == expected
        assert -getattr(turned, mirror) == expected


@pytest.mark.parametrize(
    ("drop", "n_test", "text"),
    [
        (0.01, 360, "0.9500 (95 %: 0.9300 to 0.9700) on the 360 test rows, allowing for luck"),
        (0.0, None, "0.9500 (95 %: 0.9300 to 0.9700) on new rows"),
    ],
)
def test_luck_is_mentioned_where_it_is_visible(drop: float, n_test: int | None, text: str) -> None:
    found = ExpectedScore(0.95, 0.93, 0.97, drop, 30, n_test)
    assert found.sentence.startswith(text)
    assert ("luck" in found.sentence) == bool(drop)


@pytest.mark.parametrize(
    ("metric", "covers"), [("roc_auc", True), ("mcc", False), ("log_loss", False)]
)
def test_an_interval_of_the_whole_scale_is_left_out(metric: str, covers: bool) -> None:
    """Six tenths either way around 0.5: roc_auc ends at 0 and 1, mcc at -1, log_loss nowhere."""
    config = {"objective": {"metric": {"name": metric, "arguments": {}}}}
    found = expected_score(study_of(np.array([[0.25, 0.75, 0.5]]), config))
    assert found is not None
    assert found.high - found.score > 0.45
    assert found.covers_scale == covers
    assert ("95 %" in found.sentence) != covers
    assert found.sentence.endswith("; the noise is too large for an interval") == covers


def test_scores_that_nearly_diverged_give_no_interval() -> None:
    scores = np.random.default_rng(0).normal(size=(9, 5)) * 1e200
    assert expected_score(study_of(scores, {}, direction="minimize")) is None
    assert expected_score(study_of(scores, {}), 1e200, RowCounts(10, 50, 20)) is None


def test_the_error_of_the_test_score_counts_where_the_numbers_of_rows_are_unknown() -> None:
    study = study_of(np.random.default_rng(0).normal(0.8, 0.01, (20, 5)), {})
    before, after = expected_score(study), expected_score(study, 0.2)
    assert before is not None
    assert after is not None
    half = (before.high - before.low) / 2 / t.ppf(0.975, 4)
    reach = t.ppf(0.975, 4) * math.sqrt(half**2 + 0.2**2)
    assert (after.high - after.low) / 2 == pytest.approx(reach)
