"""The comparison of studies on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from tunecli.report.analysis import ranking
from tunecli.report.phrases import foreign_text, wording
from tunecli.report.phrases.layout import folded, heading, numeric, plain_table, unbroken
from tunecli.report.screen import trial_tables
from tunecli.report.studies.comparison import ComparedStudy, Comparison

_NAME = 24  # columns
_CURVE = 40


def comparison_parts(comparison: Comparison) -> Iterator[RenderableType]:
    """Yield the whole comparison from top to bottom, for at least 80 columns."""
    names = ", ".join(one.name for one in comparison.contenders)
    title = Text(foreign_text.shortened(names, 120), style="bold")
    yield title.append(
        f": {comparison.direction} {foreign_text.plain(comparison.title)}", style="not bold"
    )
    yield Text()
    yield _table(comparison)
    yield from (Text(note, style="dim") for note in verdict_notes(comparison))
    if comparison.ranked:
        yield from heading("Best so far, trial by trial")
        yield _curves(comparison)
    shared = comparison.shared_choices()
    if shared:
        yield from heading("Options of each choice, with the rest tuned")
        yield _choices(comparison)


def study_row(comparison: Comparison, one: ComparedStudy) -> list[str]:
    """Return a study's row: name, score, number of the best trial, time, trials by outcome."""
    return [
        one.name,
        _score(comparison, one),
        str(one.best.number) if one.best is not None else "–",
        wording.duration(one.seconds),
        wording.tally(ranking.counts(one.study), ranking.n_untrained(one.study)) or "none yet",
    ]


def verdict_notes(comparison: Comparison) -> list[str]:
    """Return what the marks of the scores mean."""
    best = [one.best for one in comparison.ranked if one.best is not None]
    verdicts = [comparison.verdict(one) for one in comparison.ranked]
    return trial_tables.mark_notes(verdicts, best, comparison.region)


def _score(comparison: Comparison, one: ComparedStudy) -> str:
    """Return a study's best value with its spread, marked by how it compares with the best."""
    first = comparison.ranked[0].best if comparison.ranked else None
    if one.best is None or first is None:
        return "–"
    return trial_tables.marked_score(one.best, first, comparison.verdict(one))


def _table(comparison: Comparison) -> Table:
    columns = [
        Column("study", max_width=_NAME, overflow="fold"),
        unbroken(comparison.title),
        numeric("trial"),
        numeric("time"),
        folded("trials"),
    ]
    return plain_table(columns, (study_row(comparison, one) for one in comparison.ordered))


def _curves(comparison: Comparison) -> Table:
    """Return the curves on one scale, each as long as its study has trials."""
    curves = {one.name: one.best_so_far() for one in comparison.ranked}
    values = [value for curve in curves.values() for value in curve if value is not None]
    longest = max(map(len, curves.values()))
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(max_width=_NAME, overflow="fold")
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    for name, curve in curves.items():
        padded = [*curve, *[None] * (longest - len(curve))]
        points = [math.nan if value is None else value for value in padded]
        picture = wording.sparkline(points, _CURVE, (min(values), max(values)))
        known = [value for value in curve if value is not None]
        ends = f"{wording.score(known[0])} → {wording.score(known[-1])}"
        grid.add_row(Text(name), Text(picture, style="cyan"), Text(ends))
    return grid


def _choices(comparison: Comparison) -> Table:
    """Return the best score of each option in each study."""
    studies = [unbroken(one.name, _NAME) for one in comparison.contenders]
    return plain_table([folded("choice"), *studies], _choice_rows(comparison))


def _choice_rows(comparison: Comparison) -> Iterator[list[str | Text]]:
    for parameter, options in comparison.shared_choices().items():
        yield [Text(foreign_text.plain(parameter), style="dim")]
        for option in options:
            branches = [option.branches.get(one.name) for one in comparison.contenders]
            scores = (
                f"{wording.score(branch.best)} of {branch.n_complete}" if branch else ""
                for branch in branches
            )
            yield [f"  {option.name}", *scores]
