"""How far the best evaluation of a trial stands out from the evaluations around it.

The value of a trial is the best of its mean curve. Where the curve is noisy, that is a dip: a
training with other rows or another seed does not have it at the same evaluation. A dip matters if
it is more than a practically equal trial may differ.

Where the curve is flat, which evaluation is best is due to chance, too. If the learning rate falls
until the end, the last evaluation is then the better one to train to: small steps come last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tunecli.database.curves import Curve, FoldCurve
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.standing import REGION
from tunecli.report.analysis.standings import standings_of
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
        noise: standard deviation of such a gap by chance, from the evaluations nearby and the
            lines through those around them.
        lead: how much better than the best of those four the evaluation is.
        surprise: how much better it is than the line through the four evaluations before it, and
            than that through the four after it, lead to expect; the smaller of the two.
        negligible: difference in score that does not matter, see `standing.py`; 0 if unknown.
    """

    step: int
    expected: float
    gap: float
    noise: float
    lead: float = math.inf
    surprise: float = math.inf
    negligible: float = 0.0

    @property
    def is_alone(self) -> bool:
        """Whether none of those around it is as good, and the curve does not just turn there."""
        is_best = self.gap > 0 and self.lead > _LEAD * self.noise
        return is_best and self.surprise > self.noise

    @property
    def is_noise(self) -> bool:
        """Whether the evaluation is better than those around it by more than their noise."""
        return self.is_alone and self.gap > self.noise

    @property
    def is_dip(self) -> bool:
        """Whether it is better by more than the noise, and by enough to matter."""
        return self.is_noise and self.gap > self.negligible

    def in_words(self) -> str:
        """Describe it in one sentence part that begins with the evaluation, from 1."""
        subject = f"evaluation {self.step + 1}"
        noise = f"their noise of {wording.score(self.noise, self.expected)}"
        gap = wording.score(self.gap, self.expected)
        if not self.is_alone:
            return f"{subject} does not stand out from its neighbours"
        if not self.is_noise:
            return f"{subject} is {gap} better than its neighbours, within {noise}"
        if not self.is_dip:
            equal = wording.score(self.negligible, self.expected)
            return (
                f"{subject} is {gap} better than its neighbours: more than {noise}, but "
                f"practically equal to them (within {equal})"
            )
        return f"{subject} is {gap} better than its neighbours: more than {noise}"


def best_of_curve(study: StudyRecord, trial: TrialRecord, curve: Curve) -> StandOut | None:
    """Return how far the best evaluation of a complete trial stands out; None if unknown.

    Args:
        curve: the curves of the trial.
    """
    if trial.state != "complete" or trial.best_step is None:
        return None
    negligible = standings_of(study).region or 0.0
    return stand_out(curve.score, trial.best_step, study.direction, negligible)


def equal_end(
    study: StudyRecord, trial: TrialRecord, curve: Curve, directions: Mapping[str, Direction]
) -> int | None:
    """Return the last evaluation of a complete trial if it is practically equal to the best one.

    The learning rate must fall from the best evaluation to the last one, and no other metric may
    be worse there by more than a quarter of its standard deviation between folds.

    Args:
        curve: the curves of the trial; without its folds nothing is known.
        directions: those of the other metrics that are compared, by name.

    Returns:
        None if it is not, or if the best evaluation is the last one.
    """
    best, last = trial.best_step, len(curve.score) - 1
    if trial.state != "complete" or best is None or not curve.folds or best >= last:
        return None
    if not all(_falls(fold, best, last) for fold in curve.folds):
        return None
    sign = _sign(study.direction)
    behind = sign * (curve.score[best] - curve.score[last])
    is_equal = behind <= (standings_of(study).region or 0.0)
    is_worse = any(
        _loses(curve.folds, name, _sign(direction), best, last)
        for name, direction in directions.items()
    )
    return last if is_equal and not is_worse else None


def _sign(direction: Direction) -> float:
    return 1.0 if direction == "maximize" else -1.0


def _falls(fold: FoldCurve, best: int, last: int) -> bool:
    """Return whether the learning rate is lower at the end than at any evaluation since `best`."""
    return len(fold.lr) > last and fold.lr[last] < min(fold.lr[best:last])


def _loses(folds: Sequence[FoldCurve], name: str, sign: float, best: int, last: int) -> bool:
    """Return whether a metric is worse at the end by more than matters, as for trials."""
    before, after = (
        sign * np.array([fold.metrics[step].get(name, math.nan) for fold in folds])
        for step in (best, last)
    )
    with np.errstate(invalid="ignore"):  # a metric may be infinite
        noise = before.std(ddof=1) if len(before) > 1 else 0.0
        return bool(before.mean() - after.mean() > REGION * noise)


def stand_out(
    scores: Sequence[float], step: int, direction: Direction, negligible: float = 0.0
) -> StandOut | None:
    """Compare an evaluation of a curve with those around it.

    Args:
        scores: the mean curve, one score per evaluation.
        step: index of the best evaluation.
        negligible: difference in score that does not matter.

    Returns:
        None if the curve is too short, or has a score that is not finite.
    """
    sign = _sign(direction)
    curve = sign * np.asarray(scores, dtype=float)
    if not (N_AROUND < len(curve) and step < len(curve) and np.isfinite(curve).all()):
        return None
    others = sorted(set(range(len(curve))) - {step}, key=lambda other: abs(other - step))[:N_USUAL]
    lines = {other: _line(curve, other, _around(curve, other)) for other in (step, *others)}
    sides = [np.arange(1, N_AROUND + 1) + start for start in (step - N_AROUND - 1, step)]
    whole = [side for side in sides if side[0] >= 0 and side[-1] < len(curve)]
    led_to = max((_line(curve, step, side).level for side in whole), default=-math.inf)
    differences = [(curve[other] - lines[other].level) / lines[other].error for other in others]
    expected = lines[step].level
    return StandOut(
        step,
        expected=sign * expected,
        gap=float(curve[step] - expected),
        noise=float(_NORMAL * np.median(np.abs(differences)) * lines[step].error),
        lead=float(curve[step] - curve[_around(curve, step)].max()),
        surprise=float(curve[step] - led_to),
        negligible=negligible,
    )


class _Line(NamedTuple):
    """The least-squares line through evaluations near another one.

    Attributes:
        level: its value at that evaluation.
        error: standard deviation of the evaluation from `level`, in units of the noise of one
            evaluation; larger at the ends of a curve, where the line is extrapolated.
    """

    level: float
    error: float


def _line(curve: NDArray[np.float64], step: int, near: NDArray[np.intp]) -> _Line:
    at = near - step
    _, level = np.polyfit(at, curve[near], deg=1)
    return _Line(float(level), math.sqrt(1 + 1 / len(at) + at.mean() ** 2 / (len(at) * at.var())))


def _around(curve: NDArray[np.float64], step: int) -> NDArray[np.intp]:
    """Return the indices of the evaluations around one: two on each side, or the nearest four."""
    start = min(max(step - N_AROUND // 2, 0), len(curve) - N_AROUND - 1)
    return np.setdiff1d(np.arange(start, start + N_AROUND + 1), [step])
