"""Where the best trials lie, for a round that only looks closer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tunecli.report.findings.evidence import Evidence
from tunecli.report.findings.finding import NewRange
from tunecli.report.next_round.advice import Advice
from tunecli.study_file.ranges import FloatRange, IntRange, Parameter

MARGIN = 0.1  # of the width, on both sides
FEWEST = 3  # trials that say where the good ones lie


def closer(evidence: Evidence, parameters: Sequence[Parameter]) -> list[Advice]:
    """Each range of numbers cut to where the best tenth lies, at least five trials."""
    best = evidence.ranked[: max(5, len(evidence.ranked) // 10)]
    found = []
    for parameter in parameters:
        number, name = parameter.range, parameter.name
        if not isinstance(number, FloatRange | IntRange):
            continue
        given = [trial.params.get(name) for trial in best]
        values = [float(value) for value in given if isinstance(value, int | float)]
        if len(values) >= FEWEST:
            cut = _cut(number, values)
            reason = f"The best {len(values)} trials that have it lie inside."
            found += [Advice(NewRange(name, cut), reason, "narrow")] if cut != number else []
    return found


def _cut(number: FloatRange | IntRange, values: Sequence[float]) -> FloatRange | IntRange:
    """The part of a range that holds all values, with a margin on its scale."""
    onto, back = (math.log, math.exp) if number.log else (float, float)
    low, high = onto(number.low), onto(number.high)
    margin = MARGIN * (high - low)
    cut_low = max(low, onto(min(values)) - margin)
    cut_high = min(high, onto(max(values)) + margin)
    if isinstance(number, IntRange):
        ends = math.floor(back(cut_low) + 1e-9), math.ceil(back(cut_high) - 1e-9)
        return IntRange(
            max(ends[0], number.low), min(ends[1], number.high), number.log, number.step
        )
    shorter = _two_digits(back(cut_low), math.floor), _two_digits(back(cut_high), math.ceil)
    return FloatRange(
        number.low if cut_low == low else max(shorter[0], number.low),
        number.high if cut_high == high else min(shorter[1], number.high),
        number.log,
        number.step,
    )


def _two_digits(value: float, rounded: Callable[[float], int]) -> float:
    """Rounded outwards."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return float(f"{rounded(round(value / unit, 6)) * unit:.2g}")
