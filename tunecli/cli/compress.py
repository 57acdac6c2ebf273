from contextlib import closing
from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Option

from tunecli.cli.refit import say_moved, say_other_numerics, workspace_of, written_lines
from tunecli.cli.shared import options
from tunecli.cli.shared.completions import studies_and_models_like
from tunecli.cli.shared.find_study import record_at
from tunecli.cli.shared.streams import console, print_result, say


def compress(
    study: Annotated[
        str,
        Argument(
            help="A study's name, study file or model folder.",
            autocompletion=studies_and_models_like,
            show_default=False,
        ),
    ],
    trial: options.TrialOption = "best",
    pareto: options.ParetoOption = None,
    best_within: options.BestWithinOption = None,
    minimize: options.MinimizeOption = None,
    maximize: options.MaximizeOption = None,
    finetune_epochs: Annotated[
        int,
        Option(
            min=0,
            max=1_000_000,
            help="Largest number of fine-tuning epochs after pruning and weight sharing.",
        ),
    ] = 5,
    pick: Annotated[
        int | None, Option(help="Refit the study's model, compressed as in row N.")
    ] = None,
    json: Annotated[bool, Option("--json", help="Print the table as JSON, for programs.")] = False,
    code: options.CodeOption = None,
    runs: options.RunsOption = Path("runs"),
    storage: options.StorageOption = None,
) -> None:
    """Compare ways to compress a trial's models.

    Each way has a row with its score, size and latency.

    For a model folder, the trial is the one that the model was made from.

    Example: tunecli compress digits
    """
    from tunecli.model_folder.find import is_model_folder, origin, refuse_several_trials

    if is_model_folder(Path(study)):
        refuse_several_trials(Path(study))
        runs, study, number = origin(Path(study), runs)
        if trial == "best" and pareto is None and best_within is None:
            trial = str(number)

    study_folder, record = record_at(study, runs, storage)
    trial_record = options.chosen(record, trial, pareto, best_within, minimize, maximize)
    workspace = workspace_of(study, study_folder, record, code)

    from tunecli.cli.shared import compression_table
    from tunecli.model_folder import refit_study
    from tunecli.model_folder.compressing import compressed_ways, mark_front, recipe_in_words, ways

    say_other_numerics(record)
    made, store = refit_study.trial_of(record, trial_record, workspace)
    steps = ways(made, store, finetune_epochs)
    if pick is not None:
        if not 1 <= pick < len(steps):
            raise BadParameter(f"--pick must be a row from 1 to {len(steps) - 1}, got {pick}.")
        words = f"{record.name}: trial {trial_record.number}, {recipe_in_words(steps[pick])} …"
        with study_folder.held():
            written = refit_study.refit_study(
                record,
                trial_record,
                study_folder,
                workspace,
                compression=steps[pick],
                threshold=refit_study.earlier_wish(record, trial_record),
                announce=lambda _: say(words),
            )
        say_moved(written)
        print_result("\n".join(written_lines(written)))
        return
    models = refit_study.kept_models(study_folder, trial_record.number)
    with closing(compressed_ways(made, store, models, steps)) as compressed:
        rows = []
        for one in steps:
            say(f"{record.name}: trial {trial_record.number}, {recipe_in_words(one)} …")
            rows.append(next(compressed))
    marked = mark_front(rows, maximize=record.direction == "maximize")
    if json:
        print_result(compression_table.compression_json(rows, marked))
        return
    console(stderr=False).print(compression_table.render(rows, marked, record.title))
