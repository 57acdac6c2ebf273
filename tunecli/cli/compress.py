from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunecli.cli.refit import results_lines, say_other_numerics, study_folder_of
from tunecli.cli.shared.find_study import study_at
from tunecli.cli.shared.options import CodeOption, RunsOption, StorageOption
from tunecli.cli.shared.permitting import allowed_before, allowed_by
from tunecli.cli.shared.streams import console, print_result, say
from tunecli.cli.shared.trial_options import (
    BestWithinOption,
    MaximizeOption,
    MinimizeOption,
    ParetoOption,
    TrialOption,
    chosen,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tunecli.model_folder.compressing import CompressedModel


def compress(
    study: Annotated[
        str,
        typer.Argument(help="A study's name, study file or model folder.", show_default=False),
    ],
    trial: TrialOption = "best",
    pareto: ParetoOption = None,
    best_within: BestWithinOption = None,
    minimize: MinimizeOption = None,
    maximize: MaximizeOption = None,
    finetune_epochs: Annotated[
        int,
        typer.Option(
            min=0,
            max=1_000_000,
            help="Largest number of fine-tuning epochs after pruning and sharing.",
        ),
    ] = 5,
    pick: Annotated[
        int | None,
        typer.Option(help="Refit with the compression of this row, as the study's model."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the table as JSON, for programs.")
    ] = False,
    code: CodeOption = None,
    runs: RunsOption = Path("runs"),
    storage: StorageOption = None,
) -> None:
    """Compare what each way of compressing a trial's models costs and saves.

    For a model folder, the trial is the one that the model was made from.

    Example: tunecli compress digits
    """
    from tunecli.database.records import read_study
    from tunecli.model_folder.find import origin

    if Path(study).is_dir() and "/" in study:
        runs, study, number = origin(Path(study))
        if trial == "best" and pareto is None and best_within is None:
            trial = str(number)

    study_folder = study_at(study, runs, storage)
    record = read_study(study_folder.url, study_folder.name)
    trial_record = chosen(record, trial, pareto, best_within, minimize, maximize)
    file = study_folder_of(study, record)
    allowed = allowed_by(file, code).and_also(allowed_before(file, study_folder))

    from tunecli.data.rows.workspace import Workspace
    from tunecli.model_folder import refit_study
    from tunecli.model_folder.compressing import compressed_ways, recipe_in_words, ways

    workspace = Workspace(file.absolute().parent, runs.absolute() / ".cache", allowed)
    say_other_numerics(record)
    made, store = refit_study.trial_of(record, trial_record, workspace)
    steps = ways(made, store, finetune_epochs)
    if pick is not None:
        if not 1 <= pick < len(steps):
            raise typer.BadParameter(
                f"--pick must be a row from 1 to {len(steps) - 1}, got {pick}."
            )
        words = f"{record.name}: trial {trial_record.number}, {recipe_in_words(steps[pick])} …"
        with study_folder.held():
            path, results = refit_study.refit_study(
                record,
                trial_record,
                study_folder,
                workspace,
                compression=steps[pick],
                announce=lambda: say(words),
            )
        print_result("\n".join([*results_lines(results), f"model       {path}"]))
        return
    models = refit_study.kept_models(study_folder, trial_record.number)
    with closing(compressed_ways(made, store, models, steps)) as compressed:
        rows = []
        for one in steps:
            say(f"{record.name}: trial {trial_record.number}, {recipe_in_words(one)} …")
            rows.append(next(compressed))
    _show(rows, record.metric, maximize=record.direction == "maximize", as_json=json)


def _show(rows: Sequence[CompressedModel], metric: str, *, maximize: bool, as_json: bool) -> None:
    from tunecli.cli.shared import compression_table
    from tunecli.model_folder.compressing import mark_front

    marked = mark_front(rows, maximize=maximize)
    if as_json:
        print_result(compression_table.compression_json(rows, marked))
        return
    console(stderr=False).print(compression_table.render(rows, marked, metric))
