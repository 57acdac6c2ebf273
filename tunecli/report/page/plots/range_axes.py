"""The axis of a parameter: the scale of its range, ticks, and positions of values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tunecli.report.phrases import wording
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range
from tunecli.study_file.text.scalars import Scalar

_MOST_TICKS = 6
_COARSE = 0.05  # share of the range from which on a step is visible


@dataclass(frozen=True)
class Scale:
    """Positions of a parameter's values from 0 (its lowest) to 1 (its highest).

    Attributes:
        labels: foreign text; one per category of a choice, or the ticks of numbers.
        positions: positions of the labels.
    """

    range: Range
    labels: tuple[str, ...]
    positions: tuple[float, ...]

    @property
    def is_choice(self) -> bool:
        """Whether its values have no order."""
        return isinstance(self.range, Categories)

    @property
    def gap(self) -> float:
        """Distance of two categories or whole numbers; 0 for continuous values."""
        kind = self.range
        if isinstance(kind, Categories):
            return 1 / len(kind.choices)
        is_coarse = not kind.log and kind.step is not None and kind.low < kind.high
        gap = kind.step / (kind.high - kind.low) if is_coarse and kind.step is not None else 0.0
        return gap / 2 if gap > _COARSE else 0.0

    def place(self, value: Scalar) -> float | None:
        """Return the position of a value, outside 0 to 1 beyond the range; None if it has none."""
        if isinstance(self.range, Categories):
            keys = [(type(choice), choice) for choice in self.range.choices]
            key = (type(value), value)
            return self.positions[keys.index(key)] if key in keys else None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        return _share(self.range, value)


def parameter_scale(name: str, kind: Range, gates: Mapping[str, Scalar]) -> Scale:
    """Return the scale of one parameter; the two values of a gate are named by their meaning."""
    match kind:
        case Categories(choices):
            n = len(choices)
            labels = tuple(wording.option(name, choice, gates) for choice in choices)
            return Scale(kind, labels, tuple((i + 0.5) / n for i in range(n)))
        case FloatRange() | IntRange():
            ticks = log_ticks(kind) if kind.log else even_ticks(kind)
            labels = tuple(wording.scalar(tick) for tick in ticks)
            shares = (_share(kind, tick) for tick in ticks)
            return Scale(kind, labels, tuple(share for share in shares if share is not None))


def log_ticks(kind: FloatRange | IntRange) -> list[float]:
    """Return powers of ten within a range, with their 2- and 5-fold where there is room."""
    first, last = math.floor(math.log10(kind.low)), math.ceil(math.log10(kind.high))
    for digits in ((1, 2, 5), (1, 3), (1,)):
        powers = range(first, last + 1)
        ticks = [digit * 10.0**power for power in powers for digit in digits]
        ticks = _within(kind, ticks)
        if len(ticks) <= _MOST_TICKS:
            break
    ticks = ticks[:: math.ceil(len(ticks) / _MOST_TICKS)]
    if len(ticks) < 2:
        ticks = [kind.low, kind.high]
    return [round(tick) for tick in ticks] if isinstance(kind, IntRange) else ticks


def even_ticks(kind: FloatRange | IntRange) -> list[float]:
    """Return about five round numbers within a range, or its steps if they are few."""
    span = kind.high - kind.low
    if span <= 0:
        return [kind.low]
    if kind.step is not None and span / kind.step <= _MOST_TICKS:
        return [kind.low + n * kind.step for n in range(int(span / kind.step + 1e-9) + 1)]
    power = 10.0 ** math.floor(math.log10(span / 4))
    widths = [factor * power for factor in (1, 2, 2.5, 5, 10)]
    whole = [width for width in widths if width >= 1 and width == round(width)] or [1.0]
    usable = whole if isinstance(kind, IntRange) else widths
    width = next((width for width in usable if span / width <= _MOST_TICKS - 1), usable[-1])
    first, last = math.ceil(kind.low / width), math.floor(kind.high / width)
    ticks = _within(kind, [float(f"{n * width:.10g}") for n in range(first, last + 1)])
    return [round(tick) for tick in ticks] if isinstance(kind, IntRange) else ticks


def _within(kind: FloatRange | IntRange, ticks: list[float]) -> list[float]:
    slack = 1e-9 * max(abs(kind.low), abs(kind.high))
    return [tick for tick in ticks if kind.low - slack <= tick <= kind.high + slack]


def _share(kind: FloatRange | IntRange, value: float) -> float | None:
    if not math.isfinite(value) or (kind.log and value <= 0):
        return None
    if kind.low == kind.high:
        return 0.5 if value == kind.low else None
    if kind.log:
        return math.log(value / kind.low) / math.log(kind.high / kind.low)
    return (value - kind.low) / (kind.high - kind.low)


def shortest_labels(labels: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Return labels of at most `width` characters that still differ where they did before."""
    cut = tuple(wording.shortened(label, width) for label in labels)
    if len(set(cut)) == len(set(labels)):
        return cut
    return tuple(wording.shortened(f"{i}: {label}", width) for i, label in enumerate(labels, 1))
