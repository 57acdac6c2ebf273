"""The options that say which trial of a study is meant, and the trial that they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tunecli.report.analysis.records import StudyRecord, TrialRecord

TrialOption = Annotated[
    str, typer.Option(help="A number, `best`, or `simplest`: of those tied with the best.")
]
ParetoOption = Annotated[
    int | None, typer.Option(help="Place on the Pareto front, as the report has it.")
]
BestWithinOption = Annotated[
    str | None, typer.Option(help="What must hold, as 'accuracy >= 0.97 and size <= 40KB'.")
]
MinimizeOption = Annotated[
    str | None, typer.Option(help="With --best-within: the metric or cost to be small.")
]
MaximizeOption = Annotated[
    str | None, typer.Option(help="With --best-within: the metric or cost to be large.")
]


def chosen(
    record: StudyRecord,
    trial: str,
    pareto: int | None,
    best_within: str | None,
    minimize: str | None,
    maximize: str | None,
) -> TrialRecord:
    """The trial that the options mean.

    Raises:
        RefitError: there is none.
    """
    from tunecli.model_folder import select_trial
    from tunecli.report.analysis.records import RecordedObjective

    if (trial != "best") + (pareto is not None) + (best_within is not None) > 1:
        raise typer.BadParameter("--trial, --pareto and --best-within exclude each other.")
    if (minimize or maximize) and best_within is None:
        raise typer.BadParameter("--minimize and --maximize go with --best-within.")
    if minimize and maximize:
        raise typer.BadParameter("--minimize and --maximize exclude each other.")
    if pareto is not None:
        return select_trial.front_trial(record, pareto)
    if best_within is not None:
        wanted = RecordedObjective(minimize, "minimize") if minimize else None
        wanted = RecordedObjective(maximize, "maximize") if maximize else wanted
        return select_trial.within(record, select_trial.conditions(best_within), wanted)
    return select_trial.by_name(record, trial)
