"""Fit the temperature of a model, and judge it on folds that it was not fitted to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from scipy.stats import t

from tunecli.model_folder.adjust.held_out import HeldOut
from tunecli.study_file.settings.settings import Component
from tunecli.training.outcome.adjustment import N_BINS, BeforeAfter, Calibration
from tunecli.training.outcome.metrics import measure
from tunecli.training.outcome.temperature import SMALLEST

LARGEST = 10.0
"""Largest temperature, and the inverse of the smallest."""
LEVEL = 0.2
"""Test level of a gain: missing a gain costs more than a change that gains nothing.

By `tests/benchmarks/adjusting.py` it is the largest level at which a fit that gains nothing is
kept in less than a fifth of the studies, and what it then costs is a small part of what others
gain.
"""
FEWEST = 10
"""Fewest rows outside the commonest class. Of fewer, a temperature may learn that all are ranked
right: it then makes the model certain, and wrong.
"""
_AT_BOUND = 0.99
"""A larger share of `LARGEST` means that the log loss has no minimum in between."""
_LOG_LOSS = Component(name="log_loss")


def calibration(held_out: HeldOut, temperatures: Sequence[float]) -> Calibration:
    """Return the temperature of all predictions, and what it changes.

    Args:
        temperatures: temperatures that were fitted to the first part of each of the `splits`.
    """
    before = [judged for _, judged in held_out.splits]
    after = [part.tempered(one) for part, one in zip(before, temperatures, strict=True)]
    losses = [log_loss(part) for part in before], [log_loss(part) for part in after]
    temperature = fitted_temperature(held_out)
    is_inside = abs(math.log(temperature)) < _AT_BOUND * math.log(LARGEST)
    return Calibration(
        temperature,
        is_inside and n_uncommon(held_out) >= FEWEST and is_reliable(np.subtract(*losses)),
        BeforeAfter(*(float(np.mean(values)) for values in losses)),
        BeforeAfter(calibration_error(before), calibration_error(after)),
    )


def fitted_temperature(held_out: HeldOut) -> float:
    """Return the temperature with the smallest log loss of these predictions.

    The log loss is convex in the inverse of the temperature, so it has one minimum.
    """
    logs = np.log(held_out.probabilities.astype(np.float64).clip(SMALLEST))

    def loss(log_temperature: float) -> float:
        scaled = logs / math.exp(log_temperature)
        of_truth = scaled[np.arange(len(scaled)), held_out.y]
        return float(np.average(logsumexp(scaled, axis=1) - of_truth, weights=held_out.weights))

    ends = (-math.log(LARGEST), math.log(LARGEST))
    return math.exp(minimize_scalar(loss, bounds=ends, method="bounded").x)


def is_reliable(gains: NDArray[np.float64]) -> bool:
    """Return whether the mean of gains over folds is above 0, by a one-sided t-test."""
    n = len(gains)
    return bool(gains.mean() > t.ppf(1 - LEVEL, n - 1) * gains.std(ddof=1) / math.sqrt(n))


def n_uncommon(held_out: HeldOut) -> int:
    """Return the number of rows outside the commonest class, each counted once."""
    _, places = np.unique(held_out.rows, return_index=True)
    counts = np.bincount(held_out.y[places])
    return int(counts.sum() - counts.max())


def log_loss(held_out: HeldOut) -> float:
    """Return the study's metric of that name."""
    y, probabilities = held_out.y, held_out.probabilities
    return measure(
        [_LOG_LOSS], "classification", y, probabilities, held_out.n_classes, held_out.weights
    )["log_loss"]


def calibration_error(parts: Sequence[HeldOut]) -> float:
    """Return the expected calibration error; see `Calibration.error`.

    Bins with equally many rows (Nguyen and O'Connor 2015) measure well where all probabilities are
    close to each other. With weights, rows count by them.
    """
    certainty = np.concatenate([part.probabilities.max(1) for part in parts]).astype(np.float64)
    is_right = np.concatenate([part.probabilities.argmax(1) == part.y for part in parts])
    weights = np.concatenate(
        [np.ones(len(part.y)) if part.weights is None else part.weights for part in parts]
    )
    bins = np.array_split(np.argsort(certainty, kind="stable"), N_BINS)
    gaps = [abs(float((weights * (is_right - certainty))[rows].sum())) for rows in bins]
    return sum(gaps) / float(weights.sum())
