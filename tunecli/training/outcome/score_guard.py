"""The gate for what a metric or a user's code gives: a finite number, or an outcome that says why.

Every number that a search decides by goes through here before anybody compares it, so the best is
always finite. What is not a number at all fails the trial; what is none that can be compared (NaN,
infinity, a number too large for the mean and the variance over folds) is a divergence.

A truth value is refused, as it is in a study file: it is most often a comparison that somebody
meant to count. A tensor or array of a single element is that element.
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
"""Beyond it squares overflow, and with them variances over folds."""


class NoScoreError(Exception):
    """A value that no trial can be judged by.

    Attributes:
        outcome: of the trial.
        reason: a sentence.
    """

    def __init__(self, outcome: Outcome, reason: str) -> None:
        self.outcome = outcome
        self.reason = reason
        super().__init__(reason)


def finite_evaluation(
    evaluation: Evaluation, fold: int, objective: str, *, has_loss: bool = True
) -> Evaluation:
    """An evaluation whose numbers are numbers, and whose loss, score and rate are finite.

    The other metrics may be NaN or infinite: they are only shown.

    Args:
        objective: name of the metric that is the score.
        has_loss: the training loss must be finite, too; else it may be unknown, which is NaN.

    Raises:
        NoScoreError: otherwise.
    """
    at = f" at epoch {evaluation.epoch:g}"
    loss = finite_float if has_loss else float_of
    return replace(
        evaluation,
        lr=finite_float(evaluation.lr, f"learning rate of fold {fold}", at),
        train_loss=loss(evaluation.train_loss, f"training loss of fold {fold}", at),
        score=finite_float(evaluation.score, f"{objective} of fold {fold}", at),
        metrics={
            name: float_of(value, f"{name} of fold {fold}", at)
            for name, value in evaluation.metrics.items()
        },
    )


def finite_float(value: object, what: str, at: str = "") -> float:
    """`value` as a float of at most `LARGEST`.

    Args:
        what: it is, for the sentence.
        at: words after it.

    Raises:
        NoScoreError: with `diverged` if it is a number, else with `failed`.
    """
    found = float_of(value, what, at)
    if not math.isfinite(found):
        raise NoScoreError("diverged", f"{what} is {found}{at}")
    if abs(found) > LARGEST:
        raise NoScoreError("diverged", f"{what} is {found:.3g}{at}, beyond {LARGEST:g}")
    return found


def mean(values: Iterable[float]) -> float:
    """Return the mean; NaN where one of them is NaN or infinite, or their sum overflows."""
    found = [*values]
    if not all(map(math.isfinite, found)):
        return math.nan
    try:
        return fmean(found)
    except OverflowError:
        return math.nan


def float_of(value: object, what: str, at: str = "") -> float:
    """`value` as a float, perhaps an infinite one.

    Raises:
        NoScoreError: it is no number.
    """
    try:
        single = _single(value)
        if not isinstance(single, bool | str | bytes | bytearray | complex):
            return float(single)
    except OverflowError:  # a whole number beyond all floats
        return math.inf if single > 0 else -math.inf
    except Exception as error:  # whatever a user's object raises when it is asked for a number
        why = f" ({type(error).__name__})" if hasattr(type(value), "__float__") else ""
        raise NoScoreError("failed", _refusal(value, what, at) + why) from None
    raise NoScoreError("failed", _refusal(value, what, at))


def _single(value: Any) -> Any:
    """The Python number inside a tensor, an array or a NumPy scalar; raises if there are more."""
    if hasattr(value, "dtype") and callable(getattr(value, "item", None)):
        return value.item()
    return value


def _refusal(value: object, what: str, at: str) -> str:
    return f"{ERROR}: {what} is {_shown(value)}{at}, where a number is due"


def _shown(value: object) -> str:
    """Short and on one line, even where `repr` raises."""
    try:
        return " ".join(reprlib.repr(value).split())
    except Exception:
        return f"an object of the class {type(value).__name__}"
