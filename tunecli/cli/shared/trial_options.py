"""The options that select a trial of a study, and the trial that they select."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tunecli.database.records import StudyRecord, TrialRecord

TrialOption = Annotated[
    str,
    typer.Option(help="A trial number, `best`, or `simplest` (of those tied with the best)."),
]
ParetoOption = Annotated[
    int | None, typer.Option(help="Place on the Pareto front, as numbered in the report.")
]
BestWithinOption = Annotated[
    str | None,
    typer.Option(help="Conditions on the trial, e.g. 'accuracy >= 0.97 and size <= 40KB'."),
]
MinimizeOption = Annotated[
    str | None, typer.Option(help="With --best-within: the metric or cost to minimize.")
]
MaximizeOption = Annotated[
    str | None, typer.Option(help="With --best-within: the metric or cost to maximize.")
]


def chosen(
    record: StudyRecord,
    trial: str,
    pareto: int | None,
    best_within: str | None,
    minimize: str | None,
    maximize: str | None,
) -> TrialRecord:
    """Return the trial that the options select.

    Raises:
        RefitError: no trial fits them.
    """
    from tunecli.database.attributes import RecordedObjective
    from tunecli.model_folder import select_trial

    if (trial != "best") + (pareto is not None) + (best_within is not None) > 1:
        raise typer.BadParameter("--trial, --pareto and --best-within are mutually exclusive.")
    if (minimize or maximize) and best_within is None:
        raise typer.BadParameter("--minimize and --maximize require --best-within.")
    if minimize and maximize:
        raise typer.BadParameter("--minimize and --maximize are mutually exclusive.")
    if pareto is not None:
        return select_trial.front_trial(record, pareto)
    if best_within is not None:
        wanted = RecordedObjective(minimize, "minimize") if minimize else None
        wanted = RecordedObjective(maximize, "maximize") if maximize else wanted
        return select_trial.within(record, select_trial.conditions(best_within), wanted)
    return select_trial.by_name(record, trial)
