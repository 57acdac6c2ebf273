from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunecli.cli.choosing import (
    BestWithinOption,
    MaximizeOption,
    MinimizeOption,
    ParetoOption,
    TrialOption,
    chosen,
)
from tunecli.cli.options import CodeOption, RunsOption, StorageOption
from tunecli.cli.permitting import allowed_by, remembered
from tunecli.cli.places import find
from tunecli.cli.refit import results_lines, say_other_numerics, study_file_of
from tunecli.cli.streams import console, put, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunecli.model_folder.compressing import Row


def compress(
    study: Annotated[
        str,
        typer.Argument(
            help="A study's name, its study file, or its model folder.", show_default=False
        ),
    ],
    trial: TrialOption = "best",
    pareto: ParetoOption = None,
    best_within: BestWithinOption = None,
    minimize: MinimizeOption = None,
    maximize: MaximizeOption = None,
    finetune_epochs: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="After pruning and sharing, at most.")
    ] = 5,
    pick: Annotated[
        int | None,
        typer.Option(help="Refit with the compression of this row; it becomes the model."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The table, for programs.")] = False,
    code: CodeOption = None,
    runs: RunsOption = Path("runs"),
    storage: StorageOption = None,
) -> None:
    """Show what each way of compressing a trial's models costs and saves, before one is chosen.

    Of a model folder it is the trial that the model was made of.

    Example: tunecli compress digits
    """
    from tunecli.model_folder.places import origin
    from tunecli.report.records import read_study

    if Path(study).is_dir() and "/" in study:
        runs, study, number = origin(Path(study))
        if trial == "best" and pareto is None and best_within is None:
            trial = str(number)

    place = find(study, runs, storage)
    record = read_study(place.url, place.name)
    found = chosen(record, trial, pareto, best_within, minimize, maximize)
    file = study_file_of(study, record)
    allowed = allowed_by(file, code).and_also(remembered(file, place))

    from tunecli.data.workspace import Workspace
    from tunecli.model_folder import of_study
    from tunecli.model_folder.compressing import compressed_ways, in_words, ways

    workspace = Workspace(file.absolute().parent, runs.absolute() / ".cache", allowed)
    say_other_numerics(record)
    made, store = of_study.trial_of(record, found, workspace)
    steps = ways(made, store, finetune_epochs)
    if pick is not None:
        if not 1 <= pick < len(steps):
            raise typer.BadParameter(f"--pick takes a row from 1 to {len(steps) - 1}.")
        words = f"{record.name}: trial {found.number}, {in_words(steps[pick])} …"
        with place.held():
            path, results = of_study.refit_study(
                record,
                found,
                place,
                workspace,
                compression=steps[pick],
                announce=lambda: say(words),
            )
        put("\n".join([*results_lines(results), f"model       {path}"]))
        return
    kept = of_study.kept_models(place, found.number)
    with closing(compressed_ways(made, store, kept, steps)) as found_rows:
        rows = []
        for one in steps:
            say(f"{record.name}: trial {found.number}, {in_words(one)} …")
            rows.append(next(found_rows))
    _show(rows, record.metric, maximize=record.direction == "maximize", as_json=json)


def _show(rows: Sequence[Row], metric: str, *, maximize: bool, as_json: bool) -> None:
    from tunecli.cli import compression_table
    from tunecli.model_folder.compressing import on_front

    marked = on_front(rows, maximize=maximize)
    if as_json:
        put(compression_table.to_json(rows, marked))
        return
    console(stderr=False).print(compression_table.render(rows, marked, metric))
