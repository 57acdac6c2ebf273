"""Iterative stratification: parts that partition the rows and have each label at its share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import make_multilabel_classification
from sklearn.model_selection import KFold

from tunecli.data.splits.label_parts import label_parts
from tunecli.data.splits.splitters import ByCopies, ByGroups, ByRows


def _labels(n: int = 600, n_labels: int = 8, seed: int = 0) -> np.ndarray:
    _, y = make_multilabel_classification(
        n, n_classes=n_labels, n_labels=2, allow_unlabeled=True, random_state=seed
    )
    rare = (np.arange(n) % 60 == 0).astype(y.dtype)  # a label of ten rows
    return np.column_stack([y, rare])


def _unevenness(labels: np.ndarray, parts: np.ndarray, n: int) -> float:
    """The mean distance of a label's share in a part from its share in all rows."""
    shares = [labels[parts == part].mean(0) for part in range(n)]
    return float(np.abs(np.array(shares) - labels.mean(0)).mean())


def test_every_part_has_each_label_at_its_share() -> None:
    labels = _labels()
    parts = label_parts(labels, [0.2] * 5, seed=0)
    per_part = np.array([labels[parts == part].sum(0) for part in range(5)])
    assert (np.ptp(per_part[:, -1:], axis=0) == 0).all()  # two of the ten rows in each part
    assert np.ptp(per_part, axis=0).max() <= 6
    assert np.ptp(np.bincount(parts)) <= 2


@pytest.mark.parametrize("seed", range(3))
def test_labels_are_spread_better_than_by_chance(seed: int) -> None:
    labels = _labels(seed=seed)
    by_chance = np.empty(len(labels), dtype=int)
    for part, (_, rows) in enumerate(KFold(5, shuffle=True, random_state=seed).split(labels)):
        by_chance[rows] = part
    own = label_parts(labels, [0.2] * 5, seed)
    assert _unevenness(labels, own, 5) < _unevenness(labels, by_chance, 5) / 3


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(2, 5), st.integers(2, 4), st.integers(0, 2**31))
def test_parts_have_about_their_share_of_the_rows(
    n: int, n_labels: int, n_parts: int, seed: int
) -> None:
    labels = np.random.default_rng(seed).integers(0, 2, (n, n_labels))
    parts = label_parts(labels, [1 / n_parts] * n_parts, seed)
    assert parts.min() >= 0
    assert parts.max() < n_parts
    assert (label_parts(labels, [1 / n_parts] * n_parts, seed) == parts).all()


def test_a_seed_draws_other_parts() -> None:
    labels = _labels()
    assert (label_parts(labels, [0.5, 0.5], 0) != label_parts(labels, [0.5, 0.5], 1)).any()


def test_folds_validate_each_row_once_per_repeat() -> None:
    labels = _labels(200)
    folds = list(ByRows(3).folds(np.arange(200), labels, 4, 2))
    assert len(folds) == 8
    for first in (0, 4):
        valid = np.concatenate([valid for _, valid in folds[first : first + 4]])
        assert (np.sort(valid) == np.arange(200)).all()
    for train, valid in folds:
        assert (np.sort([*train, *valid]) == np.arange(200)).all()
    assert not np.array_equal(folds[0][1], folds[4][1])


def test_a_held_out_part_has_its_share_of_each_label() -> None:
    labels = _labels(1000)
    [(train, valid)] = ByRows(0).holdout(np.arange(1000), labels, 0.25, 1)
    assert len(valid) == pytest.approx(250, abs=3)
    assert len(train) + len(valid) == 1000
    assert labels[valid].mean(0) == pytest.approx(labels.mean(0), abs=0.01)


def test_copies_stay_together() -> None:
    labels, copies = np.repeat(_labels(100), 2, axis=0), np.repeat(np.arange(0, 200, 2), 2)
    for train, valid in ByCopies(copies, 0).folds(np.arange(200), labels, 5, 1):
        assert not {*copies[train]} & {*copies[valid]}


def test_groups_stay_together_without_stratification() -> None:
    labels, groups = _labels(200), np.arange(200) // 4
    for train, valid in ByGroups(groups, 0).folds(np.arange(200), labels, 5, 1):
        assert not {*groups[train]} & {*groups[valid]}
    [(train, valid)] = ByGroups(groups, 0).holdout(np.arange(200), labels, 0.2, 1)
    assert not {*groups[train]} & {*groups[valid]}
