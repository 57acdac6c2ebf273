"""Whether two models differ by more than their folds do: the corrected resampled t-test.

The scores of two models on the same folds are paired, and the training parts of the folds overlap,
so that a plain t-test finds differences that do not exist. Nadeau and Bengio (Inference for the
Generalization Error, Machine Learning 52, 2003, section 3.2) correct the variance of the mean
difference over J splits from s²/J to (1/J + n_valid/n_train) s²; for k folds n_valid/n_train is
1/(k - 1), and with repeats J is their number times k (Bouckaert and Frank, PAKDD 2004). If the
training parts grow with time, the mean of n_valid/n_train over the splits is used.

It compares the best trial with an untuned baseline or with guessing; `standing` compares trials
with each other. One fold allows no test.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import starmap
from operator import sub

import numpy as np

from tunecli.report.analysis.moderated_variance import VariancePrior

LEVEL = 0.05


def variance_factor(n_splits: int, ratio: float | None = None) -> float:
    """Return the factor of the variance of the differences: 1/J + n_valid/n_train.

    Args:
        n_splits: J, folds times repeats; at least 2.
        ratio: n_valid/n_train; by default that of `n_splits` folds.
    """
    return 1 / n_splits + (1 / (n_splits - 1) if ratio is None else ratio)


def p_value(
    one: Sequence[float],
    other: Sequence[float],
    alike: Iterable[Sequence[float]] = (),
    ratio: float | None = None,
) -> float:
    """Return the two-sided p-value of equal means; NaN if it is unknown.

    Few folds tell little of the noise of one difference. So its variance is shrunk towards that of
    similar differences, if there are any: see `moderated_variance`.

    Args:
        one, other: a score for each split, in the same order.
        alike: scores of models like `one`, which may be among them; those with another number of
            splits are left out.
        ratio: see `variance_factor`.
    """
    n_splits = len(one)
    if n_splits < 2 or len(other) != n_splits:
        return math.nan
    mean, variance = _moments(one, other)
    variances = [_moments(scores, other)[1] for scores in alike if len(scores) == n_splits]
    known = np.array([value for value in variances if math.isfinite(value)])
    prior = VariancePrior.fitted(known, n_splits - 1)
    (shrunk,), n_free = prior.moderated(np.array([variance]), n_splits - 1)
    return _chance(mean, float(shrunk), n_free, variance_factor(n_splits, ratio))


def _moments(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the variance of paired differences; NaN beyond all floats."""
    differences = list(starmap(sub, zip(one, other, strict=True)))
    mean = math.fsum(differences) / len(differences)
    try:
        variance = math.fsum((d - mean) ** 2 for d in differences) / (len(differences) - 1)
    except OverflowError:  # scores that nearly diverged
        return mean, math.nan
    return mean, variance


def _chance(mean: float, variance: float, n_free: float, factor: float) -> float:
    """Return the two-sided p-value of Student's t."""
    if not math.isfinite(variance):
        return math.nan
    if variance == 0:
        return 1.0 if mean == 0 else 0.0
    from scipy.special import stdtr

    return float(2 * stdtr(n_free, -abs(mean) / math.sqrt(factor * variance)))
