import math
from functools import cache, partial
from math import isfinite
from os.path import abspath, normpath
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import BadParameter, Option

from tunecli.cli.shared import options
from tunecli.cli.shared.find_study import record_at
from tunecli.cli.shared.streams import print_result, say
from tunecli.errors import RefitError
from tunecli.numerics import other_numerics, version_of
from tunecli.study_file.text.counts import count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunecli.data.rows.workspace import Workspace
    from tunecli.database.records import StudyRecord
    from tunecli.model_folder.refit_study import WrittenModel
    from tunecli.model_folder.results import Results
    from tunecli.search.study.study_folder import StudyFolder
    from tunecli.training.outcome.adjustment import ThresholdWish


def refit(
    study: options.StudyArgument,
    trial: options.TrialOption = "best",
    pareto: options.ParetoOption = None,
    best_within: options.BestWithinOption = None,
    minimize: options.MinimizeOption = None,
    maximize: options.MaximizeOption = None,
    as_searched: Annotated[
        bool,
        Option(
            "--as-searched",
            help="Instead of training, average the predictions of the search's fold models.",
        ),
    ] = False,
    seeds: Annotated[
        int,
        Option(min=1, max=1000, help="Number of training runs; the first one becomes the model."),
    ] = 1,
    mean: Annotated[
        bool, Option("--mean", help="With --seeds: the model is the mean of all training runs.")
    ] = False,
    ensemble: Annotated[
        int | None,
        Option(
            min=2,
            max=1000,
            help="How many times to pick a trial for an ensemble; a trial may be picked again. "
            "The model is the mean of the picked trials if that scores better than the best "
            "trial; otherwise the best trial.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        Option(
            "--output",
            "-o",
            help="Model folder to write. Default: model/ in the study's folder.",
            parser=options.folder,
            metavar="PATH",
        ),
    ] = None,
    threshold: Annotated[
        str,
        Option(
            metavar="auto|none|NUMBER",
            help="For two classes: the lowest probability that predicts the positive class. "
            "auto: the best one on out-of-fold predictions, if it improves the score there. "
            "none: predict the more probable class.",
        ),
    ] = "auto",
    code: options.CodeOption = None,
    runs: options.RunsOption = Path("runs"),
    storage: options.StorageOption = None,
) -> None:
    """Train a trial on all rows but the test set, and score it there.

    Example: tunecli refit digits
    """
    wish = _threshold(threshold)
    path = _model_path(output)
    study_folder, record = record_at(study, runs, storage)
    if as_searched and seeds > 1:
        raise BadParameter("--seeds has no effect with --as-searched, which does not train.")
    if mean and seeds == 1:
        raise BadParameter("--mean requires --seeds above 1.")
    workspace = workspace_of(study, study_folder, record, code)

    say_numerics_once = cache(partial(say_other_numerics, record))

    def announce_of(what: str) -> "Callable[[str], None]":
        def announce(doing: str) -> None:
            say(f"{record.name}: {what}{doing} …")
            if not as_searched:
                say_numerics_once()

        return announce

    if ensemble is not None:
        refuse_with_ensemble(
            {"--trial": trial != "best", "--pareto": pareto is not None, "--seeds": seeds > 1}
            | {"--minimize": minimize is not None, "--maximize": maximize is not None}
        )
        from tunecli.model_folder.refit_ensemble import EnsembleWish, refit_ensemble
        from tunecli.model_folder.select_trial import conditions

        wanted = EnsembleWish(ensemble, conditions(best_within) if best_within else ())
        with study_folder.held():
            written = refit_ensemble(
                record,
                wanted,
                study_folder,
                workspace,
                path=path,
                trains=not as_searched,
                threshold=wish,
                announce=announce_of("ensemble, "),
            )
        say_moved(written)
        print_result("\n".join(written_lines(written)))
        return
    trial_record = options.chosen(record, trial, pareto, best_within, minimize, maximize)

    from tunecli.model_folder.refit_study import refit_study

    with study_folder.held():
        written = refit_study(
            record,
            trial_record,
            study_folder,
            workspace,
            seeds,
            path=path,
            trains=not as_searched,
            averages=mean,
            threshold=wish,
            announce=announce_of(f"trial {trial_record.number}, "),
        )
    say_moved(written)
    print_result("\n".join(written_lines(written)))


def refuse_with_ensemble(given: "Mapping[str, bool]") -> None:
    """Refuse options that choose a single trial, or its training runs.

    Raises:
        BadParameter: one of them is given.
    """
    if taken := [name for name, is_given in given.items() if is_given]:
        raise BadParameter(
            f"{taken[0]} cannot be combined with --ensemble, which chooses its own trials."
        )


def _model_path(output: Path | None) -> Path | None:
    """Return the folder to write; None for that in the study's folder.

    Raises:
        BadParameter: it is the current folder, which cannot be replaced.
    """
    if output is None:
        return None
    path = Path(normpath(output))
    here = Path().absolute()
    if Path(abspath(path)) in (here, *here.parents):
        raise BadParameter(f"--output must be a separate folder, got {output}.")
    return path


def say_moved(written: "WrittenModel") -> None:
    """Print where the models are now that were in the place of this one."""
    for path in written.moved:
        say(f"The earlier model was moved to {path}.")


def written_lines(written: "WrittenModel") -> list[str]:
    """Return the lines on the scores of a refit, the costs of its model, and its folder."""
    return [*results_lines(written.results), f"model       {written.path}"]


def _threshold(given: str) -> "ThresholdWish":
    """Read `--threshold`.

    Raises:
        BadParameter: it is not one of the words, and not a number between 0 and 1.
    """
    if given == "auto":
        return "auto"
    if given == "none":
        return "none"
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise BadParameter(
            f"--threshold must be auto, none or a number above 0 and below 1, got {given}."
        )
    return value


def workspace_of(
    study: str, study_folder: "StudyFolder", record: "StudyRecord", code: list[str] | None
) -> "Workspace":
    """Return where a study's trials train again, with the code that is or was allowed."""
    from tunecli.data.rows.workspace import Workspace
    from tunecli.search.study.permissions import allowed_before

    file = _study_file_of(study, record)
    allowed = options.allowed_by(file, code).and_also(allowed_before(file, study_folder))
    return Workspace(allowed.folder, study_folder.runs.absolute() / ".cache", allowed)


def _study_file_of(study: str, record: "StudyRecord") -> Path:
    """Return the study file that paths are relative to: the one given, or that of the search.

    Raises:
        RefitError: the folder of the search does not exist here.
    """
    given = Path(study)
    if given.suffix.lower() in (".yaml", ".yml"):
        return given
    from tunecli.study_file.settings.source_kinds import kind_of

    file = Path(record.file or "study.yaml")
    source = record.summary.source if record.summary else ""
    if record.file and not file.parent.is_dir() and kind_of(source) != "bundled":
        raise RefitError(
            f"study {record.name} was searched with {record.file}, whose folder does not exist "
            "here. Run this command from the folder of the search, or pass the study file instead "
            "of the study's name."
        )
    return file


def say_other_numerics(record: "StudyRecord") -> None:
    """Print why a model that is trained now may differ from those of the search."""
    if other := other_numerics(version_of(record.environment)):
        say(f"{other} A model that is trained now may score differently than in the search.")


def results_lines(results: "Results") -> list[str]:
    """Return the lines on the scores of a refit and the costs of its model."""
    from tunecli.report.phrases.adjustments import adjustment_lines
    from tunecli.report.phrases.wording import with_spread
    from tunecli.study_file.settings.units import with_unit
    from tunecli.training.compression.recipe import idle_in_words

    spread, metric = _spread(results.fold_scores), results.titled(results.metric)
    lines = [*_ensemble_lines(results)]
    if results.n_trials == 1:
        lines.append(f"search      {metric} {with_spread(results.search_mean, spread)}")
    if results.expected is not None:
        lines.append(f"expected    {metric} {results.expected.sentence}")
    if results.stand_out is not None:
        lines.append(f"            {results.stand_out.in_words()}")
    lines += _training_lines(results)
    test, costs = results.of_test, results.costs
    if test is None:
        lines.append(f"test        no {results.unit}s were held out, so there is no test score")
    else:
        low, high = (_score(end) for end in (test.low, test.high))
        interval = f"95 %: {low} to {high}, " if test.is_known else ""
        rows = count(results.n_test, results.unit)
        lines.append(f"test        {metric} {_score(test.score)} ({interval}{rows})")
        lines += [
            f"            {metric} {_score(single)}: mean score of its {results.parts_in_words}, "
            "as in the search"
            for name, single in results.one_by_one.items()
            if name == results.metric
        ]
        lines += [
            f"            {results.titled(name)} is not defined on the test {results.unit}s"
            for name, other in results.test.items()
            if not isfinite(other.score)
        ]
    if test is not None and len(results.seeds) > 1:
        scores = [seed.scores[results.metric] for seed in results.seeds]
        text = _score(sum(scores) / len(scores))
        if all(map(isfinite, scores)):
            text = with_spread(sum(scores) / len(scores), _spread(scores))
        of_mean = ", whose mean is the model" if results.n_parts > 1 else ""
        lines.append(f"seeds       {metric} {text} over {len(scores)} training runs{of_mean}")
    lines += _unadjusted_line(results)
    if results.adjustment is not None:
        adjusted = adjustment_lines(results.adjustment, results.titles)
        lines += [f"{name:<12}{text}" for name, text in adjusted]
    if results.looks > 1:
        lines.append(f"test set    scored {results.looks} times so far, with models of this study")
    if costs.left_out:
        lines.append(f"compressed  {idle_in_words(costs.left_out)}")
    latency = with_unit("latency", costs.latency["1"].median)
    size = with_unit("size", costs.size)
    weights = f", {costs.n_weights:,} weights" if costs.n_weights else ""
    costs_unit = "row" if results.unit == "row" else "block"
    return [*lines, f"costs       {size}{weights}, {latency} for one {costs_unit}"]


def _training_lines(results: "Results") -> list[str]:
    """Return where the weights are from, and which rows were held out of the training."""
    if results.step is not None:
        return [f"weights     {results.weights_in_words}"]
    if not results.n_validation:
        return []
    most = "up to " if results.n_trials > 1 else ""  # some trials may need none
    return [f"held out    {most}{results.validation_in_words}, to score the training"]


def _ensemble_lines(results: "Results") -> list[str]:
    """Return which trials form the ensemble, and what it gains; nothing if none was wanted."""
    if results.ensemble is None:
        return []
    gain = results.ensemble.gain_in_words(results.titled(results.metric))
    lines = [f"ensemble    {results.ensemble.in_words}"]
    return [*lines, f"            {gain}"] if gain else lines


def _unadjusted_line(results: "Results") -> list[str]:
    """Return the test score that compares with that of the search, if the model's own does not."""
    plain = results.test_unadjusted.get(results.metric)
    if plain is None or plain == results.of_test:
        return []
    how = "without calibration and threshold"
    if results.n_parts == 1:  # else the score in the search is that of single parts
        how = f"{how}, as in the search"
    return [f"            {results.titled(results.metric)} {_score(plain.score)} {how}"]


def _score(value: float) -> str:
    from tunecli.study_file.settings.units import NOT_DEFINED

    return f"{value:.4f}" if isfinite(value) else NOT_DEFINED


def _spread(scores: list[float] | tuple[float, ...]) -> float | None:
    from statistics import stdev

    return stdev(scores) if len(scores) > 1 else None
