from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.model_selection import KFold, TimeSeriesSplit

from tunecli.report.analysis.fold_test import p_value, variance_factor
from tunecli.study_file.settings.settings import ValidationSettings


def test_without_overlap_it_is_the_paired_t_test() -> None:
    """The correction is the variance alone: undone, scipy's paired test remains."""
    draw = np.random.default_rng(0)
    one, other = draw.normal(0.9, 0.01, 10), draw.normal(0.895, 0.01, 10)
    plain = stats.ttest_rel(one, other)
    corrected = plain.statistic * math.sqrt(1 / 10 / variance_factor(10))
    expected = 2 * stats.t.sf(abs(corrected), 9)
    assert p_value(one.tolist(), other.tolist()) == pytest.approx(expected)
    assert expected > plain.pvalue


def test_repeats_shrink_the_variance_only_down_to_the_overlap() -> None:
    assert variance_factor(5) == pytest.approx(0.2 + 0.25)
    assert variance_factor(15, 1 / 4) == pytest.approx(1 / 15 + 0.25)
    one = [0.9, 0.91, 0.89, 0.92, 0.9, 0.91]
    other = [0.89, 0.91, 0.9, 0.91, 0.89, 0.9]
    assert p_value(one, other, ratio=1 / 2) > p_value(one, other, ratio=1 / 5)


@pytest.mark.parametrize("k", [2, 3, 5, 10])
def test_the_ratio_is_that_of_scikit_learn_s_splits(k: int) -> None:
    rows = np.zeros(10_000)
    for splitter, in_time in ((KFold(k), False), (TimeSeriesSplit(k), True)):
        true = np.mean([len(valid) / len(train) for train, valid in splitter.split(rows)])
        told = ValidationSettings(folds=k).n_valid_per_train(in_time=in_time)
        assert told == pytest.approx(true, rel=0.01)
    assert ValidationSettings(holdout=0.2).n_valid_per_train(in_time=False) == pytest.approx(0.25)
    assert ValidationSettings(column="fold").n_valid_per_train(in_time=False) is None


def test_it_is_symmetric_and_free_of_scale() -> None:
    one, other = [0.9, 0.8, 0.95], [0.85, 0.82, 0.9]
    assert p_value(one, other) == pytest.approx(p_value(other, one))
    stretched = [[3 * score - 1 for score in scores] for scores in (one, other)]
    assert p_value(*stretched) == pytest.approx(p_value(one, other))


@pytest.mark.parametrize(
    ("one", "other"),
    [((), ()), ((0.9,), (0.8,)), ((0.9, 0.8), (0.9,)), ((0.9, math.nan), (0.9, 0.8))],
)
def test_nothing_is_known_of_one_fold_or_of_other_folds(
    one: tuple[float, ...], other: tuple[float, ...]
) -> None:
    assert math.isnan(p_value(one, other))


def test_equal_scores_are_equal_and_a_constant_difference_is_one() -> None:
    assert p_value([0.5, 0.75], [0.5, 0.75]) == 1.0
    assert p_value([0.5, 0.75], [0.25, 0.5]) == 0.0
