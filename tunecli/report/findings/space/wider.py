"""How far a range grows in the next round.

One step is at most a factor of 10, or of 3 where the gain at the end is within the noise: what
lies further out is an extrapolation. No range grows beyond what is useful (`useful_bounds`).
"""

from __future__ import annotations

import math

from tunecli.report.findings.evidence.positions import (
    Numeric,
    position,
    resized,
    rounded_by,
    value_at,
)
from tunecli.study_file.catalogue.value_types import Interval
from tunecli.study_file.settings.ranges import IntRange

FAR, NEAR = 10.0, 3.0
"""Largest factors by which a bound moves: in general, and where the gain is within the noise."""

_WIDER = 0.5  # extension as a share of the range's width, on its scale
_WHOLE = (2.0, 4.0)  # smallest and largest factor for whole numbers on a log scale
_LEAST_GAIN = 0.05  # share of the width; a smaller extension is not worth a finding


def widened(kind: Numeric, end: float, useful: Interval, farthest: float = FAR) -> Numeric | None:
    """Return the range with its bound at `end` moved outwards; None if it is not worth it.

    The bound moves by half of the range's width; on a log scale by the largest factor, or by 2 to
    4 for whole numbers. It is rounded inwards to two digits, or to the range's steps.

    Args:
        end: 0 for the low end, 1 for the high end.
        useful: where the bound may lie.
        farthest: largest factor by which it moves.
    """
    outwards = 1.0 if end else -1.0
    nearer = min if end else max
    moved = nearer(_further(kind, end, farthest), _outermost(kind, end, useful, farthest))
    if moved not in (useful.low, useful.high):
        moved = rounded_by(moved, math.floor if end else math.ceil)
    moved = _in_steps(kind, end, moved)
    if outwards * (position(kind, moved) - end) < _LEAST_GAIN:
        return None
    return resized(kind, kind.low, moved) if end else resized(kind, moved, kind.high)


def _further(kind: Numeric, end: float, farthest: float) -> float:
    if not kind.log:
        return value_at(kind, 1 + _WIDER if end else -_WIDER)
    factor = farthest
    if isinstance(kind, IntRange):
        least, most = _WHOLE
        factor = min(max(math.pow(kind.high / kind.low, _WIDER), least), most, farthest)
    return kind.high * factor if end else kind.low / factor


def _outermost(kind: Numeric, end: float, useful: Interval, farthest: float) -> float:
    """Return the outermost value that a bound may take.

    A bound grows, or shrinks towards 0, by at most the factor, and so does its distance to an end
    that is itself not allowed. Where nothing is known, a number does not change its sign. Only an
    end at 0 that is useful, such as no dropout, is reached at once.
    """
    outwards = 1.0 if end else -1.0  # a low end is mirrored, so that larger is further out
    bound = outwards * (kind.high if end else kind.low)
    limit = outwards * (useful.high if end else useful.low)
    has_limit = useful.has_high if end else useful.has_low
    if bound <= 0 and math.isinf(limit):
        limit = 0.0
    if not has_limit and math.isfinite(limit):
        limit += (bound - limit) / farthest
    if bound > 0:
        limit = min(limit, bound * farthest)
    elif limit < 0:
        limit = min(limit, bound / farthest)
    return outwards * limit + 0.0  # never -0.0


def _in_steps(kind: Numeric, end: float, moved: float) -> float:
    """Return a moved bound on the steps of its range, which are 1 for whole numbers."""
    if kind.step is None:
        return moved
    bound = kind.high if end else kind.low
    n_steps = int(abs(moved - bound) / kind.step + 1e-9)
    return round(bound + (kind.step if end else -kind.step) * n_steps, 12)
