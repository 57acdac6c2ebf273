"""Write the model card, which describes a model, its scores and its limits in Markdown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean, stdev

from tunecli.data.rows.summary import DataSummary, Unit
from tunecli.model_folder.format.manifest import Manifest
from tunecli.model_folder.results import TIMING_SECONDS, ModelCosts, Results
from tunecli.model_folder.score_interval import ScoreInterval
from tunecli.report.phrases.adjustments import (
    ERROR_DEFINITION,
    JUDGED,
    POINT_HEADERS,
    adjustment_lines,
    how_points_were_measured,
    point_rows,
)
from tunecli.report.phrases.document_lines import documents_text, held_out_text
from tunecli.study_file.settings.code_names import CodeName
from tunecli.study_file.settings.metric_names import metric_needs
from tunecli.study_file.settings.units import NOT_DEFINED, with_unit
from tunecli.study_file.text.counts import count
from tunecli.training.compression.recipe import idle_in_words

MOST_LISTED = 30
"""Largest number of classes or columns that are listed by name."""


def card(facts: Manifest, results: Results, summary: DataSummary, n_weights: int) -> str:
    """Return the text of a model folder's README.md.

    Args:
        summary: description of the study's data.
        n_weights: number of the model's weights.
    """
    blocks = (
        [f"# {_plain(facts.study)}: {_plain(_title(facts))}"],
        [_what(facts, n_weights)],
        ["## Data", *_data(facts, summary)],
        ["## Scores", *_scores(results, summary)],
        [*_adjustments(facts, results)],
        ["## Costs", _costs(results.costs, results.unit, has_weights=facts.config.train is None)],
        ["## Limits", *_limits(facts, results)],
        ["## Use", *_use(facts)],
        ["## Made with", f"{', '.join(map(' '.join, facts.versions.items()))}."],
    )
    return "\n\n".join("\n\n".join(block) for block in blocks if block) + "\n"


def _what(facts: Manifest, n_weights: int) -> str:
    predicts = _predicts(facts)
    members = "networks" if facts.config.train is None else "models"
    with_weights = "" if facts.config.train is not None else f" with {n_weights:,} weights"
    many = f", the mean of {len(facts.members)} {members}," if len(facts.members) > 1 else ""
    if not facts.is_of_one_trial:
        return _what_ensemble(facts, f"{len(facts.members)} {members}{with_weights}", predicts)
    return (
        f"{_plain(_name(facts))}{with_weights}{many} from trial {facts.trial} of the study "
        f"{_code(facts.study)} predicts {predicts}. Its complete configuration is in "
        "`study.yaml`."
    )


def _what_ensemble(facts: Manifest, members: str, predicts: str) -> str:
    """Return what an ensemble is, with the weight of each trial."""
    names = {n: (config.train or config.model).name for n, config in facts.configs.items()}
    weights = facts.trial_weights
    rows = [[str(n), _plain(name), f"{weights[n]:.3g}"] for n, name in names.items()]
    table = _table(["trial", "model", "weight"], rows)
    return (
        f"The weighted mean of {members} from {len(rows)} trials of the study "
        f"{_code(facts.study)} predicts {predicts}. The configuration of the first trial is in "
        f"`study.yaml`, those of the others in `study-TRIAL.yaml`.\n\n{table}"
    )


def _predicts(facts: Manifest) -> str:
    if facts.task == "language_modeling":
        return "the next token"
    if facts.targets:
        what = "which of {} labels a row has" if facts.task == "multilabel" else "{} values"
        return what.format(len(facts.targets))
    return f"one of {len(facts.classes)} classes" if facts.classes else "a value"


def _name(facts: Manifest) -> str:
    """Return the name of the network, or of the user's own training."""
    return (facts.config.train or facts.config.model).name


def _title(facts: Manifest) -> str:
    return _name(facts) if facts.is_of_one_trial else f"ensemble of {len(facts.configs)} trials"


def _data(facts: Manifest, summary: DataSummary) -> Iterator[str]:
    if facts.task == "language_modeling":
        yield f"{documents_text(summary)}; {held_out_text(summary)}."
        yield f"Fingerprint `{facts.fingerprint[:16]}`."
        return
    rows = f"{count(summary.n_rows, 'row')}, {summary.n_test:,} of them held out for the test"
    yield f"{_plain(facts.config.data.source)}: {rows}. Fingerprint `{facts.fingerprint[:16]}`."
    if summary.target:
        yield f"Target: {_plain(summary.target)}."
    if facts.classes:
        yield f"Classes: {_listed(facts.classes)}.{_positive(facts)}"
    names = [column.source for column in facts.columns if column.is_first]
    if names:
        yield f"Columns: {_listed(names)}."
    if facts.texts:
        yield f"Columns of text: {_listed(facts.texts)}."
    if not names and not facts.texts:
        yield f"Rows are {' × '.join(map(str, facts.row_shape))} of {facts.row_dtype}."
    if facts.row_dtype == "uint8" and facts.depth is not None:
        yield f"In files of more than 8 bits, {facts.depth.in_words} become levels from 0 to 255."
    if summary.notes:
        yield "\n".join(f"- {_plain(note)}" for note in summary.notes)


def _positive(facts: Manifest) -> str:
    positive = facts.config.data.positive
    return f" {_code(positive)} is the positive class." if positive is not None else ""


def _scores(results: Results, summary: DataSummary) -> Iterator[str]:
    name = _shown(results, results.metric)
    if results.ensemble is not None:
        yield f"Ensemble: {results.ensemble.in_words}."
        if gain := results.ensemble.gain_in_words(name):
            yield f"Gain, cross-validated: {gain}."
    if results.fold_scores and results.n_trials == 1:
        spread = f" ± {stdev(results.fold_scores):.4g}" if len(results.fold_scores) > 1 else ""
        yield (
            f"In the search ({_plain(summary.validation)}): {name} "
            f"{fmean(results.fold_scores):.4g}{spread}{_each(results)}. {_optimism(results)}"
        )
    if results.stand_out is not None:
        yield f"On the mean curve of the folds, {results.stand_out.in_words()}."
    if results.step is not None:
        yield f"The weights are those {results.weights_in_words}."
    plain = results.test_unadjusted
    is_single = results.n_parts == 1  # the score in the search is that of single parts
    if plain:
        yield (
            "The test scores are those of the model's predictions, with its calibration and "
            f"threshold. The scores without them{', as in the search,' if is_single else ''} are "
            "in the last column."
        )
    if not results.test:
        yield f"No {results.unit}s were held out for a test, so there is no unbiased score."
        return
    unadjusted = ["as in the search" if is_single else "without them"] if plain else []
    header = [f"on the test {results.unit}s", "score", "95 % interval", *unadjusted]
    cells = [
        [
            _shown(results, metric),
            _score(score.score),
            _interval(score),
            *_plain_score(plain, metric),
        ]
        for metric, score in results.test.items()
    ]
    yield _table(header, cells)
    for metric, score in results.test.items():
        if not math.isfinite(score.score):
            needed = metric_needs(metric)
            why = f"it needs {needed}" if needed else "it gave no finite number"
            yield f"{_shown(results, metric)} is not defined on the test {results.unit}s: {why}."
    if results.metric in results.one_by_one:
        single = _score(results.one_by_one[results.metric])
        yield (
            f"Taken one by one, its {results.parts_in_words} score {name} {single} on the test "
            "rows on average. Compare this score with the score in the search; the table has the "
            "scores of all networks together."
        )
    if results.of_targets:
        yield _of_each_target(results)
    rows = count(results.n_test, f"test {results.unit}")
    of_accuracy = "; that of the accuracy is Wilson's, unless rows have weights"
    yield (
        f"The intervals are by the bootstrap over the {rows}"
        f"{of_accuracy if 'accuracy' in results.test else ''}."
    )
    if len(results.seeds) > 1:
        scores = [seed.scores[results.metric] for seed in results.seeds]
        yield (
            f"Trained with {len(scores)} seeds: {name} {_mean_of(scores)}. {_of_seeds(results)}"
        )


def _of_seeds(results: Results) -> str:
    if results.n_parts > 1:
        return "This model is the mean of all of them."
    return "This model has the first seed, not the one with the best score."


def _of_each_target(results: Results) -> str:
    """Return the test scores of each of several targets."""
    metrics = next(iter(results.of_targets.values()))
    cells = (
        [_plain(name), *(_score(scores[metric]) for metric in metrics)]
        for name, scores in results.of_targets.items()
    )
    return _table(["target", *metrics], cells)


def _each(results: Results) -> str:
    return ", the mean score of its single networks" if results.n_parts > 1 else ""


def _optimism(results: Results) -> str:
    """Return what the score in the search lets expect of a test."""
    if results.expected is None:
        return "The trial was chosen by this score, so the score is slightly optimistic."
    one = "a single network" if results.n_parts > 1 else "this model"
    return f"Expected of {one}: {results.expected.sentence}."


def _shown(results: Results, metric: str) -> str:
    """Return a metric with what it averages; names of metrics have underscores, not markup."""
    return _plain(results.titled(metric)).replace("\\_", "_")


def _plain_score(plain: Mapping[str, ScoreInterval], metric: str) -> list[str]:
    return [_score(plain[metric].score)] if plain else []


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _adjustments(facts: Manifest, results: Results) -> Iterator[str]:
    """Yield the section on calibration and threshold; nothing for regression."""
    found = results.adjustment
    if found is None:
        return
    yield "## Thresholds" if found.labels is not None else "## Calibration and threshold"
    yield "\n".join(
        f"- {label}: {_plain(text)}." for label, text in adjustment_lines(found, results.titles)
    )
    if found.calibration is not None:
        yield f"{ERROR_DEFINITION} Cross-validated: {JUDGED}"
    if found.temperature is not None:
        yield (
            "The temperature divides the logarithms of the probabilities. It leaves the order of "
            "the classes unchanged."
        )
    if found.points and found.threshold is not None:
        positive = _plain(found.threshold.positive)
        yield f"Operating points for the class {positive}, {how_points_were_measured(found)}:"
        yield _table(POINT_HEADERS, point_rows(found))


def _score(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else NOT_DEFINED


def _interval(interval: ScoreInterval) -> str:
    ends = (interval.low, interval.high)
    if not all(map(math.isfinite, ends)):
        return NOT_DEFINED
    return " to ".join(map(_score, ends)) if interval.is_known else "unknown"


def _mean_of(scores: list[float]) -> str:
    if not all(map(math.isfinite, scores)):
        return NOT_DEFINED
    return f"{fmean(scores):.4g} ± {stdev(scores):.4g}"


def _costs(costs: ModelCosts, unit: Unit, *, has_weights: bool) -> str:
    row = "row" if unit == "row" else "block"
    times = ", ".join(
        f"{with_unit('latency', time.median)} for {count(int(n), row)}"
        for n, time in costs.latency.items()
    )
    untimed = (
        f" Larger batches were not timed: {count(costs.n_untimed, row)} take more than "
        f"{TIMING_SECONDS / 2:g} s to time."
        if costs.n_untimed
        else ""
    )
    idle = f" Compression: {idle_in_words(costs.left_out)}." if costs.left_out else ""
    macs = f"{costs.macs:,} multiplications per {row}"
    known = f" ({costs.zeros:.0%} of the weights are zero) and {macs}" if has_weights else ""
    return (
        f"The model takes {with_unit('size', costs.size)}{known}. Latency "
        f"on the machine that made it: {times}.{untimed}{idle}"
    )


def _limits(facts: Manifest, results: Results) -> Iterator[str]:
    rows = "text" if results.unit == "block" else f"{results.unit}s"
    like = "that" if results.unit == "block" else "those"
    yield f"The scores hold for {rows} like {like} above; nothing is known about other {rows}."
    if results.looks > 1:
        yield (
            f"Models of this study have been scored {results.looks} times on the test set. "
            "Choosing a model by its test score makes that score too optimistic."
        )
    if any(column.kind == "categorical" for column in facts.columns):
        yield "A category that the training rows lack is treated as a rare one."
    if results.n_validation:
        most = "up to " if results.n_trials > 1 else ""  # some trials may need none
        held_out = f"{most}{results.validation_in_words}"
        were = "was" if results.unit == "block" or results.n_validation == 1 else "were"
        yield (
            f"{held_out[0].upper()}{held_out[1:]} {were} not trained on, but used to score the "
            "model during the training."
        )


def _use(facts: Manifest) -> Iterator[str]:
    name = CodeName.parse(_name(facts))
    option = f" --code {name.to_allow}" if name else ""
    argument = f", code=[{json.dumps(name.to_allow)}]" if name else ""
    if facts.task == "language_modeling":
        yield from _use_of_language(option, argument)
        return
    yield f"```sh\ntunecli predict FOLDER new_rows{option}\n```"
    columns = "class" if facts.classes else "label"
    proba = f"\nmodel.predict_proba(x)  # one column per {columns}"
    proba = proba if facts.classes or facts.task == "multilabel" else ""
    yield (
        f'```python\nfrom tunecli import load\n\nmodel = load("FOLDER"{argument})\n'
        f"model.predict(x)  # a DataFrame, an array, a tensor, or a path{proba}\n```"
    )


def _use_of_language(option: str, argument: str) -> Iterator[str]:
    """Yield how texts are scored and continued; see `_use`."""
    yield (
        f"```sh\ntunecli predict FOLDER new.txt --score{option}\n"
        f'tunecli predict FOLDER --text "A text" --generate 100{option}\n```'
    )
    yield (
        f'```python\nfrom tunecli import load\n\nmodel = load("FOLDER"{argument})\n'
        'model.score(["A text"])  # loss, perplexity, bits per byte and tokens of each\n'
        'model.generate(["A text"], 100)  # what follows\n```'
    )


def _listed(names: list[str] | tuple[str, ...]) -> str:
    listed = ", ".join(_code(name) for name in names[:MOST_LISTED])
    more = len(names) - MOST_LISTED
    return f"{listed} and {more:,} more" if more > 0 else listed


def _code(text: str) -> str:
    """Return text as Markdown code on one line, whatever it contains."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return f"`{line.replace('`', chr(39))}`"


def _plain(text: str) -> str:
    """Return text on one line without markup: names may come from untrusted files."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return "".join(f"\\{c}" if c in "`*_[]<>|#" else c for c in line)
