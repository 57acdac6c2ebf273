"""Whether two trials differ by more than their folds do: the corrected resampled t-test.

The scores of two trials on the same folds are paired, and the training parts of the folds overlap,
so that a plain t-test finds differences where there are none. Nadeau and Bengio (Inference for the
Generalization Error, Machine Learning 52, 2003, section 3.2) correct the variance of the mean
difference over J splits from s²/J to (1/J + n_valid/n_train) s²; for k folds n_valid/n_train is
1/(k - 1), and with repeats J is their number times k (Bouckaert and Frank, PAKDD 2004). Where
training parts grow with time, its mean over the splits is taken.

A trial is tied with the best where that test, two-sided at 5 %, cannot tell them apart. Nothing
can be said with one fold. This is the project's only definition of a tie.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import starmap
from operator import sub

LEVEL = 0.05


def variance_factor(n_splits: int, ratio: float | None = None) -> float:
    """What the variance of the differences is multiplied by: 1/J + n_valid/n_train.

    Args:
        n_splits: J, folds times repeats; at least 2.
        ratio: n_valid/n_train; by default that of as many folds.
    """
    return 1 / n_splits + (1 / (n_splits - 1) if ratio is None else ratio)


def p_value(one: Sequence[float], other: Sequence[float], ratio: float | None = None) -> float:
    """Two-sided, for equal means; NaN where it cannot be known.

    Args:
        one, other: a score for each split, in the same order.
        ratio: see `variance_factor`.
    """
    n_splits = len(one)
    if n_splits < 2 or len(other) != n_splits:
        return math.nan
    differences = list(starmap(sub, zip(one, other, strict=True)))
    mean = math.fsum(differences) / n_splits
    try:
        variance = math.fsum((d - mean) ** 2 for d in differences) / (n_splits - 1)
    except OverflowError:  # of scores that nearly diverged
        return math.nan
    if not math.isfinite(variance):
        return math.nan
    if variance == 0:
        return 1.0 if mean == 0 else 0.0
    error = math.sqrt(variance_factor(n_splits, ratio) * variance)
    from scipy.special import stdtr

    return float(2 * stdtr(n_splits - 1, -abs(mean) / error))


def are_tied(one: Sequence[float], other: Sequence[float], ratio: float | None = None) -> bool:
    """Whether the folds cannot tell two trials apart; False where that cannot be known."""
    return p_value(one, other, ratio) >= LEVEL


def least_difference(deviation: float, n_splits: int, ratio: float | None = None) -> float:
    """The smallest mean difference that the test would see.

    Args:
        deviation: standard deviation over splits of the difference of two trials.
    """
    from scipy.special import stdtrit

    quantile = float(stdtrit(n_splits - 1, 1 - LEVEL / 2))
    return quantile * math.sqrt(variance_factor(n_splits, ratio)) * deviation
