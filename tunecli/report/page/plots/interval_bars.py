"""Values with their intervals, line by line: importances, options of a choice, best trials."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.importance import Importance
from tunecli.report.analysis.importance_intervals import N_RESAMPLES, ImportanceInterval
from tunecli.report.analysis.standing import Verdict
from tunecli.report.findings.evidence.evidence import Baseline, Evidence, TestScore
from tunecli.report.findings.space.losing_options import Branch, Isolation
from tunecli.report.page.plots.plot import Plot, Trace, axis, dot_trace, plot_layout, text
from tunecli.report.phrases import foreign_text, wording
from tunecli.study_file.text.counts import count
from tunecli.training.outcome.evaluation import GUESSES

_ROW = 26  # pixels
_AROUND = 64
_MOST_PARAMETERS, _MOST_TRIALS = 12, 10
_WHISKERS = "Whiskers: standard deviation over folds."
_SYMBOLS: Mapping[Verdict, str] = {
    "practically equal": "diamond-open",
    "not distinguished": "circle-open",
}


@dataclass(frozen=True)
class Row:
    """One dot of such a plot.

    Attributes:
        label: foreign text.
        low, high: ends of the interval; None without one.
        hover: text under the pointer.
        colour, symbol: look of the dot.
        number: number of the trial, if the dot is a trial.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    hover: str = ""
    colour: str = "@complete"
    symbol: str = "circle"
    number: int | None = None


def interval_plot(
    title: str,
    rows: Iterable[Sequence[Row]],
    value_axis: dict[str, Any],
    description: str,
    note: str = "",
) -> Plot:
    """Return dots with their intervals, line by line, the first on top.

    Args:
        rows: the dots of each line; its label is that of its first dot. Empty ones are left out.
    """
    lines = [*filter(None, rows)]
    labels = [foreign_text.shortened(first.label, 34) for first, *_ in lines]
    return Plot(
        title,
        description,
        [_trace(lines)],
        plot_layout(
            xaxis=value_axis,
            yaxis=axis(
                tickvals=list(range(len(lines))),
                ticktext=[text(label) for label in labels],
                range=[len(lines) - 0.4, -0.6],
                showgrid=False,
                tickfont={"color": "@ink"},
            ),
            margin={"l": 24, "r": 20, "t": 8, "b": 44},
        ),
        note=note,
        height=_AROUND + _ROW * max(len(lines), 2),
    )


def _trace(lines: Sequence[Sequence[Row]]) -> Trace:
    placed = [(y, row) for y, rows in enumerate(lines) for row in rows]
    rows = [row for _, row in placed]
    return dot_trace(
        [row.value for row in rows],
        [y for y, _ in placed],
        [row.number for row in rows],
        {
            "color": [row.colour for row in rows],
            "symbol": [row.symbol for row in rows],
            "size": 10,
        },
        hovertext=[text(row.hover) for row in rows],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [_reach(row.high, row.value) for row in rows],
            "arrayminus": [_reach(row.value, row.low) for row in rows],
            "color": "@soft",
            "thickness": 1.6,
            "width": 5,
        },
    )


def _reach(high: float | None, low: float | None) -> float | None:
    """Return the length of one arm; None draws nothing, while 0 would still draw its end."""
    return max(high - low, 0.0) if high is not None and low is not None else None


def score_axis(metric: str) -> dict[str, Any]:
    """Return the axis of a score that is compared, line by line."""
    return axis(foreign_text.shortened(foreign_text.plain(metric), 40), nticks=5)


def importances(result: Importance, intervals: Mapping[str, ImportanceInterval]) -> Plot:
    """Return the importances, largest first, without the least important of many."""
    short = wording.short_names(result.values)
    leading = [*result.values.items()][:_MOST_PARAMETERS]
    note = (
        f"PED-ANOVA over {count(result.n_trials, 'complete trial')}. Whiskers: 90 % of "
        f"{N_RESAMPLES} bootstrap resamples of the trials."
    )
    if len(leading) < len(result.values):
        n_others = len(result.values) - len(leading)
        note += f" {count(n_others, 'less important parameter')} not shown."
    most, share = leading[0]
    return interval_plot(
        "Importance of parameters",
        [
            [_importance_row(name, short[name], value, intervals.get(name))]
            for name, value in leading
        ],
        axis("share of importance", rangemode="tozero", tickformat=".0%"),
        f"{foreign_text.plain(most)} matters most, with {share:.0%}.",
        note,
    )


def _importance_row(
    name: str, short: str, value: float, interval: ImportanceInterval | None
) -> Row:
    hover = f"{foreign_text.plain(name)}: {value:.0%}"
    low, high = interval or (None, None)
    if interval is not None:
        hover += f" ({interval.low:.0%} to {interval.high:.0%})"
    return Row(f"{foreign_text.plain(short)}  {value:.0%}", value, low, high, hover)


def isolation_plots(study: StudyRecord, isolations: Sequence[Isolation]) -> dict[str, Plot]:
    """Return plots by the name of the choice, without choices that have no complete trial."""
    return {
        one.parameter: _isolation_plot(study, one)
        for one in isolations
        if any(branch.best is not None for branch in one.branches)
    }


def _isolation_plot(study: StudyRecord, one: Isolation) -> Plot:
    metric = foreign_text.plain(study.title)
    names = [wording.option(one.parameter, b.choice, study.gates) for b in one.branches]
    note = "Hollow diamond: the best trial."
    if one.n_trials:
        note += (
            " Dot with a 95 % interval: the best score to expect from "
            f"{count(max(one.n_trials // 2, 1), 'trial')} of each option."
        )
    best = max if study.direction == "maximize" else min
    first = best((b for b in one.branches if b.best is not None), key=lambda b: b.best or 0.0)
    return interval_plot(
        one.parameter,
        map(branch_rows, one.branches, names),
        score_axis(metric),
        f"Best {metric} of each option of {foreign_text.plain(one.parameter)}: "
        f"{names[one.branches.index(first)]} is best with {wording.score(first.best)}.",
        note,
    )


def branch_rows(branch: Branch, name: str) -> list[Row]:
    """Return the expected best, if it is known, and the best trial, for one line of a plot."""
    counts = {"complete": branch.n_complete, "pruned": branch.n_pruned, "diverged": branch.n_lost}
    hover = f"{name}: {wording.tally(counts)}"
    rows = []
    if branch.expected is not None:
        rows.append(Row(name, branch.expected, branch.low, branch.high, hover))
    if branch.best is not None:
        hover = f"{name}: best {wording.score(branch.best)}"
        rows.append(
            Row(name, branch.best, hover=hover, symbol="diamond-open", number=branch.trial)
        )
    return rows


def leaders(evidence: Evidence) -> Plot:
    """Return the best ten trials; those that may be as good as the best are hollow."""
    n_trials = min(len(evidence.ranked), _MOST_TRIALS)
    return _top_plot(
        evidence,
        "The best trials",
        [_trial_row(evidence, rank) for rank in range(n_trials)],
        f"of the best {count(n_trials, 'trial')} and its spread over folds.",
        f"{_WHISKERS} Diamonds: practically equal to the best. Hollow dots: not "
        "distinguished from it.",
    )


def beside_baselines(evidence: Evidence) -> Plot:
    """Return the best trial and the untuned baselines.

    A guess is left out if there are better baselines: it would compress all others into one spot.
    """
    untuned = [one for one in evidence.baselines if one.name not in GUESSES]
    return _top_plot(
        evidence,
        "The best trial and untuned baselines",
        [_trial_row(evidence, 0), *map(_baseline_row, untuned or evidence.baselines)],
        "of the best trial and of untuned models, and its spread over folds.",
        f"{_WHISKERS} Squares: untuned baselines, on the same folds.",
    )


def on_test(evidence: Evidence, test: TestScore) -> Plot:
    """Return the best trial in the search, and its model on the test rows."""
    return _top_plot(
        evidence,
        "The best trial on the test rows",
        [_trial_row(evidence, 0), _test_row(evidence.ranked[0], test)],
        "of the best trial in the search, and of its model on the test rows.",
        f"{_WHISKERS} Star: on the test rows, with a 95 % interval.",
    )


def _top_plot(evidence: Evidence, title: str, rows: list[Row], shows: str, note: str) -> Plot:
    metric = foreign_text.plain(evidence.study.title)
    lines = ([row] for row in rows)
    return interval_plot(title, lines, score_axis(metric), f"{metric} {shows}", note)


def _trial_row(evidence: Evidence, rank: int) -> Row:
    trial = evidence.ranked[rank]
    assert trial.value is not None
    return Row(
        f"trial {trial.number}",
        trial.value,
        *_around(trial.value, trial.spread),
        symbol=_SYMBOLS.get(evidence.standings.verdict(trial), "circle"),
        number=trial.number,
    )


def _baseline_row(baseline: Baseline) -> Row:
    mean = statistics.fmean(baseline.fold_scores)
    spread = statistics.stdev(baseline.fold_scores) if len(baseline.fold_scores) > 1 else None
    hover = f"{baseline.name}: {wording.with_spread(mean, spread)}, untuned"
    return Row(baseline.name, mean, *_around(mean, spread), hover, "@infeasible", "square-open")


def _test_row(best: TrialRecord, test: TestScore) -> Row:
    interval = f"95 %: {wording.score(test.low)} to {wording.score(test.high)}"
    hover = f"trial {best.number} on the test rows: {wording.score(test.score)} ({interval})"
    name = f"trial {best.number} on test rows"
    return Row(name, test.score, test.low, test.high, hover, "@complete", "star-open", best.number)


def _around(value: float, spread: float | None) -> tuple[float | None, float | None]:
    return (None, None) if spread is None else (value - spread, value + spread)
