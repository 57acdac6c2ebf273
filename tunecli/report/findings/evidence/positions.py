"""Positions of values in their ranges, from 0 at the low end to 1 at the high end of the scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from tunecli.database.records import TrialRecord
from tunecli.study_file.settings.ranges import FloatRange, IntRange
from tunecli.study_file.text.scalars import Scalar

Numeric = FloatRange | IntRange


def position(kind: Numeric, value: float) -> float:
    """Return 0 at the low end, 1 at the high end; below 0 or above 1 for a value outside."""
    return scale(kind)(value)


def scale(kind: Numeric) -> Callable[[float], float]:
    """Return the function that gives the position of a value."""
    if kind.low == kind.high:
        return lambda value: 0.5
    low, high = _scaled(kind, kind.low), _scaled(kind, kind.high)
    length = high - low
    if kind.log:
        return lambda value: (math.log(value) - low) / length
    return lambda value: (float(value) - low) / length


def has_position(kind: Numeric, value: Scalar) -> bool:
    """Return whether a value is a number on the scale of a range."""
    is_on_scale = not kind.log or kind.low == kind.high
    return isinstance(value, int | float) and (is_on_scale or value > 0)


def number(trial: TrialRecord, name: str) -> float:
    """Return a trial's number.

    Raises:
        KeyError, TypeError: the trial has no such number.
    """
    value = trial.params[name]
    if not isinstance(value, int | float):
        raise TypeError(f"{name} is not a number: {value!r}")
    return value


def positions(kind: Numeric, trials: Iterable[TrialRecord], name: str) -> list[float]:
    """Return the positions of the numbers of all trials that have the parameter."""
    place = scale(kind)
    return [place(number(trial, name)) for trial in trials if name in trial.params]


def value_at(kind: Numeric, share: float) -> float:
    """Return the value at a position, also outside 0 to 1; never rounded to a whole number."""
    low, high = _scaled(kind, kind.low), _scaled(kind, kind.high)
    scaled = low + share * (high - low)
    return math.exp(scaled) if kind.log else scaled


def resized(kind: Numeric, low: float, high: float) -> Numeric:
    """Return the same kind of range from `low` to `high`, with whole ends for an int range."""
    if isinstance(kind, IntRange):
        return replace(kind, low=int(low), high=int(high))
    return replace(kind, low=float(low), high=float(high))


def in_steps(old: Numeric, new: Numeric) -> Numeric:
    """Return the new range with its ends on the steps of the old one."""
    step = old.step
    if not step or step == 1 or old.log:
        return new
    n_low, n_high = (round((end - old.low) / step) for end in (new.low, new.high))
    low, high = (round(old.low + n * step, 12) for n in (n_low, max(n_high, n_low)))
    return resized(old, low, high)


def rounded(value: float, digits: int = 2) -> float:
    """Return a value rounded to significant digits, so that a study file stays readable."""
    return float(f"{value:.{digits - 1}e}") if value else 0.0


def rounded_by(value: float, whole: Callable[[float], int], digits: int = 2) -> float:
    """Return a value rounded to significant digits by `math.floor` or `math.ceil`."""
    if not value:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
    return float(f"{whole(round(value / unit, 6)) * unit:.{digits}g}")


def _scaled(kind: Numeric, value: float) -> float:
    return math.log(value) if kind.log else float(value)
