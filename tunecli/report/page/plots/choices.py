"""What each option of a choice reaches with the rest tuned, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.report import wording
from tunecli.report.findings.isolation import Branch, Isolation
from tunecli.report.page.plots.intervals import Row, intervals
from tunecli.report.page.plots.plot import Plot, axis
from tunecli.report.records import StudyRecord
from tunecli.study_file.counts import count


def isolation_plots(study: StudyRecord, found: Sequence[Isolation]) -> dict[str, Plot]:
    """By the names of the choices; those of which nothing is complete are left out."""
    return {
        one.parameter: _plot(study, one)
        for one in found
        if any(branch.best is not None for branch in one.branches)
    }


def _plot(study: StudyRecord, one: Isolation) -> Plot:
    metric = wording.plain(study.metric)
    names = [wording.option(one.parameter, b.choice, study.gates) for b in one.branches]
    found = map(branch_rows, one.branches, names)
    note = "Hollow diamond: the best trial."
    if one.n_trials:
        note += (
            " Dot with its 95 % interval: the expected best of half of "
            f"{count(one.n_trials, 'trial')}, the same number for each option."
        )
    best = max if study.direction == "maximize" else min
    first = best((b for b in one.branches if b.best is not None), key=lambda b: b.best or 0.0)
    return intervals(
        one.parameter,
        [rows for rows in found if rows],
        axis(wording.shortened(metric, 40), nticks=5),
        f"Best {metric} of each option of {wording.plain(one.parameter)}: "
        f"{names[one.branches.index(first)]} with {wording.score(first.best)} reached most.",
        note,
    )


def branch_rows(branch: Branch, name: str) -> list[Row]:
    """The expected best, if it is known, and the best trial, in one line of a plot."""
    counts = {"complete": branch.n_complete, "pruned": branch.n_pruned, "diverged": branch.n_lost}
    said = f"{name}: {wording.tally(counts)}"
    rows = []
    if branch.expected is not None:
        rows.append(Row(name, branch.expected, branch.low, branch.high, said))
    if branch.best is not None:
        said = f"{name}: best {wording.score(branch.best)}"
        rows.append(Row(name, branch.best, said=said, symbol="diamond-open", number=branch.trial))
    return rows
