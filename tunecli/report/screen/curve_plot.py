"""Curves drawn with characters: braille dots, two by four in a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from tunecli.report.phrases import wording
from tunecli.training.outcome.score_guard import LARGEST

COLOURS = ("green", "cyan", "magenta", "yellow", "blue")
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # row by column of a cell
_BLANK = 0x2800


Curves = Sequence[tuple[str, Sequence[float]]]

_WIDTH = 60
_NARROWEST = 10


@dataclass(frozen=True)
class CurvePlot:
    """Curves as `curve_plot` draws them, in as many columns as the console has."""

    curves: Curves

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from curve_plot(self.curves, columns=options.max_width)


def curve_plot(
    curves: Curves, width: int = _WIDTH, height: int = 8, columns: int = 80
) -> list[Text]:
    """Return lines of text: the curves over a common number of evaluations, an axis, a legend.

    Early bad evaluations are cut off if they would flatten the rest: the lowest point shown is the
    lowest of the last three quarters of the curves.

    Args:
        curves: (name, value at each evaluation); the first is drawn on top.
        width, height: size of the picture in characters.
        columns: available for picture and axis; a wider picture is made narrower.
    """
    usable = [(name, values) for name, values in curves if sum(map(_can_be_drawn, values)) > 1]
    if not usable:
        return []
    longest = max(len(values) for _, values in usable)
    low, high = _limits([values for _, values in usable])
    labels = {0: wording.score(high, high), height - 1: wording.score(low, high)}
    margin = max(map(len, labels.values()))
    width = max(_NARROWEST, min(width, columns - margin - len("   ┤")))
    cells = [[(0, -1)] * width for _ in range(height)]
    for number, (_, values) in reversed([*enumerate(usable)]):
        _draw(cells, values, longest, (low, high), number)
    lines = [
        Text.assemble((f"  {labels.get(row, ''):>{margin}} ┤", "dim"), *_row(cells[row]))
        for row in range(height)
    ]
    end = f"{longest} evaluations"
    lines.append(Text(f"  {'':>{margin}} └{'─' * width}", style="dim"))
    lines.append(Text(f"  {'':>{margin}}  1{end:>{width - 1}}", style="dim"))
    legend = Text(f"  {'':>{margin}}  ")
    for number, (name, _) in enumerate(usable):
        legend.append("⠶ ", style=COLOURS[number % len(COLOURS)]).append(f"{name}   ")
    return [*lines, legend]


def _can_be_drawn(value: float) -> bool:
    """Return whether a value is a number of a size that occurs outside a damaged database."""
    return abs(value) <= LARGEST


def _limits(curves: Sequence[Sequence[float]]) -> tuple[float, float]:
    late = [value for values in curves for value in values[len(values) // 4 :]]
    every = [value for values in curves for value in values]
    drawn = [*filter(_can_be_drawn, late)] or [*filter(_can_be_drawn, every)]
    low, high = min(drawn), max(drawn)
    margin = 0.5 + 1e-6 * abs(low)  # a half alone would vanish next to huge numbers
    return (low, high) if low < high else (low - margin, high + margin)


def _draw(
    cells: list[list[tuple[int, int]]],
    values: Sequence[float],
    longest: int,
    limits: tuple[float, float],
    number: int,
) -> None:
    """Set the dots of one curve, one per column; straight lines join the evaluations."""
    n_columns, n_rows = 2 * len(cells[0]), 4 * len(cells)
    low, high = limits
    last = len(values) - 1
    for column in range(n_columns):
        evaluation = column * (longest - 1) / (n_columns - 1)
        if evaluation > last:
            break
        before = math.floor(evaluation)
        after = min(before + 1, last)
        value = values[before] + (evaluation - before) * (values[after] - values[before])
        if not low <= value <= high:  # also true for NaN
            continue
        row = round((high - value) / (high - low) * (n_rows - 1))
        dots, _ = cells[row // 4][column // 2]
        cells[row // 4][column // 2] = (dots | _DOTS[row % 4][column % 2], number)


def _row(cells: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
    return [
        (chr(_BLANK + dots) if dots else " ", COLOURS[number % len(COLOURS)])
        for dots, number in cells
    ]
