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
    from tunecli.report.records import StudyRecord


def refit(
    study: StudyArgument,
    trial: Annotated[
        str, typer.Option(help="A number, `best`, or `simplest`: of those as good as the best.")
    ] = "best",
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
    file = _study_file(study, record)
    allowed = allowed_by(file, code).and_also(remembered(file, place))
    say(f"{record.name}: training on all rows outside the test set …")

    from tunecli.data.workspace import Workspace
    from tunecli.model_folder.of_study import refit_study

    workspace = Workspace(file.absolute().parent, runs.absolute() / ".cache", allowed)
    with place.held():
        path, results = refit_study(record, trial, place, workspace, seeds)
    typer.echo("\n".join([*_lines(results), f"model       {path}"]))


def _study_file(study: str, record: StudyRecord) -> Path:
    """Where paths in the study file start from: the one given, else where it was searched from."""
    given = Path(study)
    if given.suffix in (".yaml", ".yml"):
        return given
    file = Path(record.file or "study.yaml")
    if record.file and not file.parent.is_dir():
        raise RefitError(
            f"study {record.name} was searched with {record.file}, whose folder is not here: call "
            "this from the same folder, or name the study file in place of the study."
        )
    return file


def _lines(results: Results) -> list[str]:
    from tunecli.report.wording import with_spread

    spread = _spread(results.fold_scores)
    lines = [f"search      {results.metric} {with_spread(results.search_mean, spread)}"]
    found = results.of_test
    if found is None:
        return [*lines, "test        no rows were put away, so there is no score"]
    interval = f"(95 %: {found.low:.4f} to {found.high:.4f}, {results.n_test:,} rows)"
    lines.append(f"test        {results.metric} {found.score:.4f} {interval}")
    if len(results.seeds) > 1:
        scores = [seed.scores[results.metric] for seed in results.seeds]
        text = with_spread(sum(scores) / len(scores), _spread(scores))
        lines.append(f"seeds       {results.metric} {text} over {len(scores)} trainings")
    if results.looks > 1:
        lines.append(f"looks       the test set was looked at {results.looks} times by now")
    return lines


def _spread(scores: list[float] | tuple[float, ...]) -> float | None:
    from statistics import stdev

    return stdev(scores) if len(scores) > 1 else None
