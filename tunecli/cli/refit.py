from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tunecli.cli.options import CodeOption, RunsOption, StorageOption, StudyArgument
from tunecli.cli.permitting import allowed_by, remembered
from tunecli.cli.places import find
from tunecli.cli.streams import say
from tunecli.errors import RefitError

if TYPE_CHECKING:
    from tunecli.model_folder.results import Results
    from tunecli.report.records import StudyRecord, TrialRecord

_TRAINING = "training on all rows outside the test set"


def refit(
    study: StudyArgument,
    trial: Annotated[
        str, typer.Option(help="A number, `best`, or `simplest`: of those tied with the best.")
    ] = "best",
    pareto: Annotated[
        int | None, typer.Option(help="Place on the Pareto front, as the report has it.")
    ] = None,
    best_within: Annotated[
        str | None,
        typer.Option(help="What must hold, as 'accuracy >= 0.97 and size <= 40KB'."),
    ] = None,
    minimize: Annotated[
        str | None, typer.Option(help="With --best-within: the metric or cost to be small.")
    ] = None,
    maximize: Annotated[
        str | None, typer.Option(help="With --best-within: the metric or cost to be large.")
    ] = None,
    as_searched: Annotated[
        bool,
        typer.Option("--as-searched", help="Average the models of the search, train nothing."),
    ] = False,
    seeds: Annotated[
        int, typer.Option(min=1, help="Trainings to compare; the first becomes the model.")
    ] = 1,
    code: CodeOption = None,
    runs: RunsOption = Path("runs"),
    storage: StorageOption = None,
) -> None:
    """Make a model of a trial: train it on all rows outside the test set, and score it there once.

    Example: tunecli refit digits
    """
    from tunecli.report.records import read_study

    place = find(study, runs, storage)
    record = read_study(place.url, place.name)
    if as_searched and seeds > 1:
        raise typer.BadParameter("--as-searched trains nothing, so --seeds says nothing.")
    found = _chosen(record, trial, pareto, best_within, minimize, maximize)
    file = study_file_of(study, record)
    allowed = allowed_by(file, code).and_also(remembered(file, place))
    doing = "averaging the models of its folds" if as_searched else _TRAINING
    say(f"{record.name}: trial {found.number}, {doing} …")

    from tunecli.data.workspace import Workspace
    from tunecli.model_folder.of_study import refit_study

    workspace = Workspace(file.absolute().parent, runs.absolute() / ".cache", allowed)
    with place.held():
        path, results = refit_study(record, found, place, workspace, seeds, trains=not as_searched)
    typer.echo("\n".join([*results_lines(results), f"model       {path}"]))


def _chosen(
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
    from tunecli.model_folder import choosing
    from tunecli.report.records import Objective

    if (trial != "best") + (pareto is not None) + (best_within is not None) > 1:
        raise typer.BadParameter("--trial, --pareto and --best-within exclude each other.")
    if (minimize or maximize) and best_within is None:
        raise typer.BadParameter("--minimize and --maximize go with --best-within.")
    if minimize and maximize:
        raise typer.BadParameter("--minimize and --maximize exclude each other.")
    if pareto is not None:
        return choosing.on_front(record, pareto)
    if best_within is not None:
        wanted = Objective(minimize, "minimize") if minimize else None
        wanted = Objective(maximize, "maximize") if maximize else wanted
        return choosing.within(record, choosing.conditions(best_within), wanted)
    return choosing.by_name(record, trial)


def study_file_of(study: str, record: StudyRecord) -> Path:
    """Where paths in the study file start from: the one given, else where it was searched from."""
    given = Path(study)
    if given.suffix in (".yaml", ".yml"):
        return given
    from tunecli.study_file.source_kinds import kind_of

    file = Path(record.file or "study.yaml")
    source = record.summary.source if record.summary else ""
    if record.file and not file.parent.is_dir() and kind_of(source) != "bundled":
        raise RefitError(
            f"study {record.name} was searched with {record.file}, whose folder is not here: call "
            "this from the same folder, or name the study file in place of the study."
        )
    return file


def results_lines(results: Results) -> list[str]:
    """What a refit scored, and what its model costs."""
    from tunecli.report.wording import with_spread
    from tunecli.study_file.units import in_words
    from tunecli.training.compression.recipe import idle_in_words

    spread = _spread(results.fold_scores)
    lines = [f"search      {results.metric} {with_spread(results.search_mean, spread)}"]
    found, costs = results.of_test, results.costs
    if found is None:
        lines.append("test        no rows were put away, so there is no score")
    else:
        interval = f"(95 %: {found.low:.4f} to {found.high:.4f}, {results.n_test:,} rows)"
        lines.append(f"test        {results.metric} {found.score:.4f} {interval}")
    if found is not None and len(results.seeds) > 1:
        scores = [seed.scores[results.metric] for seed in results.seeds]
        text = with_spread(sum(scores) / len(scores), _spread(scores))
        lines.append(f"seeds       {results.metric} {text} over {len(scores)} trainings")
    if results.looks > 1:
        lines.append(f"looks       the test set was looked at {results.looks} times by now")
    if costs.left_out:
        lines.append(f"compressed  {idle_in_words(costs.left_out)}")
    latency = in_words("latency", costs.latency["1"].median)
    size = in_words("size", costs.size)
    return [*lines, f"costs       {size}, {costs.n_weights:,} weights, {latency} for one row"]


def _spread(scores: list[float] | tuple[float, ...]) -> float | None:
    from statistics import stdev

    return stdev(scores) if len(scores) > 1 else None
