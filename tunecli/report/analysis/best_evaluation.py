"""How far the best evaluation of a trial stands out from the evaluations around it.

The value of a trial is the best of its mean curve. Where the curve is noisy, that is a dip: a
training with other rows or another seed does not have it at the same evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.database.curves import Curve
from tunecli.database.records import TrialRecord
from tunecli.report.phrases import wording
from tunecli.study_file.settings.settings import Direction

N_AROUND = 4
"""Evaluations to compare each one with: two on each side, or the four nearest at an end."""

N_USUAL = 10
"""Evaluations around the best one that show how much they usually differ."""

_LEAD = 0.1
"""The best evaluation is alone if it beats each one around it by this share of the noise."""

_NORMAL = 1.4826  # standard deviations per median absolute deviation of normal numbers


@dataclass(frozen=True)
class StandOut:
    """How far the best evaluation stands out.

    Attributes:
        step: index of the best evaluation.
        expected: the score at `step` on the straight line through the four evaluations around it;
            with two on each side, their mean.
        gap: how much better than that the evaluation is.
        noise: how much the evaluations nearby differ from such lines, as a standard deviation.
        lead: how much better than the best of those four the evaluation is.
    """

    step: int
    expected: float
    gap: float
    noise: float
    lead: float = math.inf

    @property
    def is_alone(self) -> bool:
        """Whether none of those around it is as good; on a plateau several are."""
        return self.gap > 0 and self.lead > _LEAD * self.noise

    @property
    def is_noise(self) -> bool:
        """Whether the evaluation is better than those around it by more than their noise."""
        return self.is_alone and self.gap > self.noise

    def in_words(self) -> str:
        """Describe it in one sentence part that begins with the evaluation, from 1."""
        subject = f"evaluation {self.step + 1}"
        noise = f"their noise of {wording.score(self.noise, self.expected)}"
        gap = wording.score(self.gap, self.expected)
        if not self.is_alone:
            return f"{subject} does not stand out from those around it"
        if not self.is_noise:
            return f"{subject} is {gap} better than those around it, within {noise}"
        return f"{subject} is {gap} better than those around it, more than {noise}"


def best_of_curve(trial: TrialRecord, curve: Curve, direction: Direction) -> StandOut | None:
    """Return how far the best evaluation of a complete trial stands out; None if unknown.

    Args:
        curve: the curves of the trial.
    """
    if trial.state != "complete" or trial.best_step is None:
        return None
    return stand_out(curve.score, trial.best_step, direction)


def stand_out(scores: Sequence[float], step: int, direction: Direction) -> StandOut | None:
    """Compare an evaluation of a curve with those around it.

    Args:
        scores: the mean curve, one score per evaluation.
        step: index of the best evaluation.

    Returns:
        None if the curve is too short, or has a score that is not finite.
    """
    sign = 1.0 if direction == "maximize" else -1.0
    curve = sign * np.asarray(scores, dtype=float)
    if not (N_AROUND < len(curve) and step < len(curve) and np.isfinite(curve).all()):
        return None
    others = sorted(set(range(len(curve))) - {step}, key=lambda other: abs(other - step))[:N_USUAL]
    differences = [curve[other] - _on_line(curve, other) for other in others]
    expected = _on_line(curve, step)
    return StandOut(
        step,
        expected=sign * expected,
        gap=float(curve[step] - expected),
        noise=float(_NORMAL * np.median(np.abs(differences))),
        lead=float(curve[step] - curve[_around(curve, step)].max()),
    )


def _on_line(curve: NDArray[np.float64], step: int) -> float:
    """Return the value at `step` of the least-squares line through the evaluations around it."""
    around = _around(curve, step)
    _, level = np.polyfit(around - step, curve[around], deg=1)
    return float(level)


def _around(curve: NDArray[np.float64], step: int) -> NDArray[np.intp]:
    """Return the indices of the evaluations around one: two on each side, or the nearest four."""
    start = min(max(step - N_AROUND // 2, 0), len(curve) - N_AROUND - 1)
    return np.setdiff1d(np.arange(start, start + N_AROUND + 1), [step])
