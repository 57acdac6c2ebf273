from __future__ import annotations

from math import isfinite
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
from tunecli.cli.options import CodeOption, RunsOption, StorageOption, StudyArgument
from tunecli.cli.permitting import allowed_by, remembered
from tunecli.cli.places import find
from tunecli.cli.streams import put, say
from tunecli.errors import RefitError
from tunecli.numerics import other_numerics, version_of
from tunecli.study_file.counts import count

if TYPE_CHECKING:
    from tunecli.model_folder.results import Results
    from tunecli.report.records import StudyRecord

_TRAINING = "training on all rows outside the test set"


def refit(
    study: StudyArgument,
    trial: TrialOption = "best",
    pareto: ParetoOption = None,
    best_within: BestWithinOption = None,
    minimize: MinimizeOption = None,
    maximize: MaximizeOption = None,
    as_searched: Annotated[
        bool,
        typer.Option("--as-searched", help="Average the models of the search, train nothing."),
    ] = False,
    seeds: Annotated[
        int,
        typer.Option(min=1, max=1000, help="Trainings to compare; the first becomes the model."),
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
    found = chosen(record, trial, pareto, best_within, minimize, maximize)
    file = study_file_of(study, record)
    allowed = allowed_by(file, code).and_also(remembered(file, place))
    doing = "averaging the models of its folds" if as_searched else _TRAINING

    def announce() -> None:
        say(f"{record.name}: trial {found.number}, {doing} …")
        if not as_searched:
            say_other_numerics(record)

    from tunecli.data.workspace import Workspace
    from tunecli.model_folder.of_study import refit_study

    workspace = Workspace(file.absolute().parent, runs.absolute() / ".cache", allowed)
    with place.held():
        path, results = refit_study(
            record, found, place, workspace, seeds, trains=not as_searched, announce=announce
        )
    put("\n".join([*results_lines(results), f"model       {path}"]))


def study_file_of(study: str, record: StudyRecord) -> Path:
    """Where paths in the study file start from: the one given, else where it was searched from."""
    given = Path(study)
    if given.suffix.lower() in (".yaml", ".yml"):
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


def say_other_numerics(record: StudyRecord) -> None:
    """Say why a model that is trained now may differ from those of the search."""
    if other := other_numerics(version_of(record.environment)):
        say(f"{other} A model that is trained now may score otherwise than in the search.")


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
        low, high = (_score(end) for end in (found.low, found.high))
        interval = f"(95 %: {low} to {high}, {count(results.n_test, 'row')})"
        lines.append(f"test        {results.metric} {_score(found.score)} {interval}")
        lines += [
            f"            {name} is not defined on the test rows"
            for name, other in results.test.items()
            if not isfinite(other.score)
        ]
    if found is not None and len(results.seeds) > 1:
        scores = [seed.scores[results.metric] for seed in results.seeds]
        text = _score(sum(scores) / len(scores))
        if all(map(isfinite, scores)):
            text = with_spread(sum(scores) / len(scores), _spread(scores))
        lines.append(f"seeds       {results.metric} {text} over {len(scores)} trainings")
    if results.looks > 1:
        lines.append(f"looks       the test set was looked at {results.looks} times by now")
    if costs.left_out:
        lines.append(f"compressed  {idle_in_words(costs.left_out)}")
    latency = in_words("latency", costs.latency["1"].median)
    size = in_words("size", costs.size)
    return [*lines, f"costs       {size}, {costs.n_weights:,} weights, {latency} for one row"]


def _score(value: float) -> str:
    from tunecli.study_file.units import NOT_DEFINED

    return f"{value:.4f}" if isfinite(value) else NOT_DEFINED


def _spread(scores: list[float] | tuple[float, ...]) -> float | None:
    from statistics import stdev

    return stdev(scores) if len(scores) > 1 else None
