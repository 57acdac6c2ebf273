from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from tunecli.report.screen.curve_plot import CurvePlot, curve_plot

BRAILLE = range(0x2800, 0x2900)


def rows(curve: list[float], **size: int) -> list[str]:
    """The picture alone: behind the axis."""
    lines = [line.plain for line in curve_plot([("trial 0", curve)], **size)]
    return [line.partition("┤")[2] for line in lines if "┤" in line]


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right() -> None:
    picture = rows([float(n) for n in range(100)], width=25, height=4)
    firsts = [len(row) - len(row.lstrip()) for row in picture]
    assert firsts == sorted(firsts, reverse=True)
    assert ord(picture[0][-1]) in BRAILLE
    assert all(ord(letter) in BRAILLE or letter == " " for row in picture for letter in row)


def test_each_column_of_dots_is_met_once() -> None:
    picture = rows([0.5, 0.5, 0.5], width=10, height=2)
    dots = sum((ord(letter) - 0x2800).bit_count() for row in picture for letter in row.strip())
    assert dots == 20


def test_a_shorter_curve_ends_earlier() -> None:
    long, short = [("a", [1.0] * 20)], [("b", [0.0] * 10)]
    lines = [line.plain for line in curve_plot(long + short, width=40, height=4)]
    lowest = [line for line in lines if "┤" in line][-1].partition("┤")[2]
    assert len(lowest.rstrip()) == pytest.approx(40 * 9 / 19, abs=1)
    assert "20 evaluations" in lines[-2]
    assert lines[-1].split("⠶")[1:] == [" a   ", " b   "]


def test_what_cannot_be_drawn_is_left_out() -> None:
    assert curve_plot([]) == []
    assert curve_plot([("a", [0.5]), ("b", [math.nan] * 5)]) == []
    assert rows([0.1, math.nan, 0.3, 0.4, math.inf], width=10, height=2)


def test_it_fits_80_columns() -> None:
    many = [(f"trial {n}", [0.1 * n, 0.5, 1e-7]) for n in range(3)]
    assert max(len(line.plain) for line in curve_plot(many)) <= 80


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_the_picture_is_as_wide_as_the_console_allows(columns: int) -> None:
    console = Console(file=io.StringIO(), width=columns)
    curves = [(f"trial {n}", [0.1 * n, 0.5, 0.7, 0.9]) for n in range(2)]
    console.print(CurvePlot(curves))
    lines = console.file.getvalue().splitlines()
    assert [line.plain.rstrip() for line in curve_plot(curves, columns=columns)] == [
        line.rstrip() for line in lines
    ]
    axis = next(line for line in lines if "└" in line)
    assert len(axis.rstrip()) == min(columns, 60 + axis.index("─"))


@pytest.mark.parametrize(
    "values",
    [
        [9.2e18, 9.2e18, 9.2e18],
        [1.0, 2.0, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan],
        [-1e308, 1e308, 0.5, 0.6],
        [math.inf, 1.0, 1.0],
    ],
)
def test_whatever_a_database_holds_can_be_drawn(values: list[float]) -> None:
    assert curve_plot([("odd", values), ("usual", [0.1, 0.2, 0.3])])
    assert curve_plot([("odd", values)])
