"""Check the numbers that metrics and user code return: finite, or else an outcome with a reason.

Every number that a search compares passes through here first, so the best one is always finite. A
value that is not a number fails the trial. A number that cannot be compared (NaN, infinity, or too
large for the mean and variance over folds) makes it diverge.

A boolean is refused, as in a study file: most often it is a comparison whose results should have
been counted. A tensor or array with a single element counts as that element.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable
from dataclasses import replace
from statistics import fmean
from typing import Any

from tunecli.training.outcome.evaluation import Evaluation, Outcome
from tunecli.training.outcome.failure_reasons import ERROR

LARGEST = 1e150
"""Largest magnitude: the squares of larger numbers, and so variances over folds, overflow."""


class NoScoreError(Exception):
    """A value is not a usable score.

    Attributes:
        outcome: the outcome of the trial.
        reason: one sentence.
    """

    def __init__(self, outcome: Outcome, reason: str) -> None:
        self.outcome = outcome
        self.reason = reason
        super().__init__(reason)


def finite_evaluation(
    evaluation: Evaluation, fold: int | None, objective: str, *, has_loss: bool = True
) -> Evaluation:
    """Return the evaluation with all numbers as floats; loss, score and rate must be finite.

    The other metrics may be NaN or infinite: they are only displayed.

    Args:
        fold: number of the fold, for messages; None if there is only one.
        objective: name of the metric that is the score.
        has_loss: whether the training loss must be finite; otherwise it may be NaN for unknown.

    Raises:
        NoScoreError: a value is not a number, or one of these three is not finite.
    """
    of = "" if fold is None else f" of fold {fold}"
    at = f" at epoch {evaluation.epoch:g}"
    loss = finite_float if has_loss else float_of
    return replace(
        evaluation,
        lr=finite_float(evaluation.lr, f"learning rate{of}", at),
        train_loss=loss(evaluation.train_loss, f"training loss{of}", at),
        score=finite_float(evaluation.score, f"{objective}{of}", at),
        metrics={
            name: float_of(value, f"{name}{of}", at) for name, value in evaluation.metrics.items()
        },
    )


def finite_float(value: object, what: str, at: str = "") -> float:
    """Return `value` as a finite float of magnitude at most `LARGEST`.

    Args:
        what: what the value is, for the message.
        at: where it occurred, for the message.

    Raises:
        NoScoreError: with `diverged` if the value is a number, else with `failed`.
    """
    number = float_of(value, what, at)
    if not math.isfinite(number):
        raise NoScoreError("diverged", f"{what} is {number}{at}")
    if abs(number) > LARGEST:
        raise NoScoreError("diverged", f"{what} is {number:.3g}{at}, beyond {LARGEST:g}")
    return number


def mean(values: Iterable[float]) -> float:
    """Return the mean; NaN if a value is NaN or infinite, or the sum overflows."""
    numbers = [*values]
    if not all(map(math.isfinite, numbers)):
        return math.nan
    try:
        return fmean(numbers)
    except OverflowError:
        return math.nan


def float_of(value: object, what: str, at: str = "") -> float:
    """Return `value` as a float, which may be NaN or infinite.

    Raises:
        NoScoreError: the value is not a number.
    """
    try:
        single = _single(value)
        if not isinstance(single, bool | str | bytes | bytearray | complex):
            return float(single)
    except OverflowError:  # an integer beyond the range of floats
        return math.inf if single > 0 else -math.inf
    except Exception as error:  # a user's object may raise anything when it is converted
        why = f" ({type(error).__name__})" if hasattr(type(value), "__float__") else ""
        raise NoScoreError("failed", _refusal(value, what, at) + why) from None
    raise NoScoreError("failed", _refusal(value, what, at))


def _single(value: Any) -> Any:
    """Return the Python number in a tensor, array or NumPy scalar; raise if there are several."""
    if hasattr(value, "dtype") and callable(getattr(value, "item", None)):
        return value.item()
    return value


def _refusal(value: object, what: str, at: str) -> str:
    return f"{ERROR}: {what} is {_one_line(value)}{at}, but must be a number"


def _one_line(value: object) -> str:
    """Return a short text on one line, even if `repr` raises."""
    try:
        return " ".join(reprlib.repr(value).split())
    except Exception:
        return f"an object of the class {type(value).__name__}"
