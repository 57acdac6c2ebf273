"""What each option of a choice reaches with the rest tuned, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.database.records import StudyRecord
from tunecli.report.findings.evidence.isolation import Branch, Isolation
from tunecli.report.page.plots.interval_bars import Row, interval_plot
from tunecli.report.page.plots.plot import Plot, axis
from tunecli.report.phrases import wording


def isolation_plots(study: StudyRecord, isolations: Sequence[Isolation]) -> dict[str, Plot]:
    """Return plots by the name of the choice, without choices that have no complete trial."""
    return {
        one.parameter: _plot(study, one)
        for one in isolations
        if any(branch.best is not None for branch in one.branches)
    }


def _plot(study: StudyRecord, one: Isolation) -> Plot:
    metric = wording.plain(study.metric)
    names = [wording.option(one.parameter, b.choice, study.gates) for b in one.branches]
    lines = map(branch_rows, one.branches, names)
    note = "Hollow diamond: the best trial."
    if one.n_trials:
        note += (
            f" Dot with a 95 % interval: the expected best of half of {one.n_trials} trials, "
            "equally many for each option."
        )
    best = max if study.direction == "maximize" else min
    first = best((b for b in one.branches if b.best is not None), key=lambda b: b.best or 0.0)
    return interval_plot(
        one.parameter,
        [rows for rows in lines if rows],
        axis(wording.shortened(metric, 40), nticks=5),
        f"Best {metric} of each option of {wording.plain(one.parameter)}: "
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
