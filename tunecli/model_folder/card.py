"""The model card: what a person should know before using a model, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import fmean, stdev

from tunecli.data.summary import DataSummary
from tunecli.model_folder.facts import ModelFacts
from tunecli.model_folder.interval import Interval
from tunecli.model_folder.model_costs import ModelCosts
from tunecli.model_folder.results import Results
from tunecli.study_file.counts import count
from tunecli.study_file.metrics import label, measured, needs
from tunecli.study_file.units import NOT_DEFINED, in_words
from tunecli.training.compression.recipe import idle_in_words

MOST_LISTED = 30
"""Classes and columns that are named one by one."""


def card(facts: ModelFacts, results: Results, summary: DataSummary, n_weights: int) -> str:
    """The text of a model folder's README.md.

    Args:
        summary: of the study's data.
        n_weights: of the model.
    """
    blocks = (
        [f"# {_plain(facts.study)}: {_plain(facts.config.model.name)}"],
        [_what(facts, n_weights)],
        ["## Data", *_data(facts, summary)],
        ["## Scores", *_scores(facts, results, summary)],
        ["## Costs", _costs(results.costs)],
        ["## Limits", *_limits(facts, results)],
        ["## Use", *_use(facts)],
        ["## Made with", *_made_with(facts)],
    )
    return "\n\n".join("\n\n".join(block) for block in blocks) + "\n"


def _what(facts: ModelFacts, n_weights: int) -> str:
    predicts = "a value" if not facts.classes else f"one of {len(facts.classes)} classes"
    many = f", the mean of {len(facts.members)} networks," if len(facts.members) > 1 else ""
    return (
        f"Predicts {predicts}: {_plain(facts.config.model.name)} with {n_weights:,} "
        f"weights{many} of trial {facts.trial} of the study {_code(facts.study)}, whose whole "
        "configuration is in `study.yaml`."
    )


def _data(facts: ModelFacts, summary: DataSummary) -> Iterator[str]:
    rows = f"{count(summary.n_rows, 'row')}, {summary.n_test:,} of them put away for the test"
    yield f"{_plain(facts.config.data.source)}: {rows}. Fingerprint `{facts.fingerprint[:16]}`."
    if summary.target:
        yield f"Target: {_plain(summary.target)}."
    if facts.classes:
        yield f"Classes: {_listed(facts.classes)}."
    if facts.columns:
        names = [column.source for column in facts.columns if column.is_first]
        yield f"Columns: {_listed(names)}."
    else:
        yield f"Rows are {' × '.join(map(str, facts.row_shape))} of {facts.row_dtype}."
    if facts.row_dtype == "uint8" and facts.depth is not None:
        yield f"In files of more than 8 bits, {facts.depth.in_words} become levels from 0 to 255."
    if summary.notes:
        yield "\n".join(f"- {_plain(note)}" for note in summary.notes)


def _scores(facts: ModelFacts, results: Results, summary: DataSummary) -> Iterator[str]:
    name = results.metric
    if results.fold_scores:
        spread = f" ± {stdev(results.fold_scores):.4g}" if len(results.fold_scores) > 1 else ""
        yield (
            f"In the search ({_plain(summary.validation)}): {name} "
            f"{fmean(results.fold_scores):.4g}{spread}. It was chosen for that score, so it is a "
            "little too good."
        )
    if not results.test:
        yield "No rows were put away for a test, so there is no score that was not chosen."
        return
    lines = ["| on the test rows | score | 95 % interval |", "| --- | --- | --- |"]
    for metric in measured(facts.config):
        found = results.test[label(metric)]
        lines.append(f"| {label(metric)} | {_score(found.score)} | {_interval(found)} |")
    yield "\n".join(lines)
    yield from (
        f"{label(metric)} is not defined on the test rows: {_why(label(metric))}."
        for metric in measured(facts.config)
        if not math.isfinite(results.test[label(metric)].score)
    )
    yield f"The interval is the bootstrap's over {count(results.n_test, 'test row')}."
    if len(results.seeds) > 1:
        scores = [seed.scores[name] for seed in results.seeds]
        yield (
            f"Trained with {len(scores)} seeds: {name} {_mean_of(scores)}. "
            "The model here is that of the first seed, whichever scored best."
        )


def _score(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else NOT_DEFINED


def _interval(found: Interval) -> str:
    ends = (found.low, found.high)
    return " to ".join(map(_score, ends)) if all(map(math.isfinite, ends)) else NOT_DEFINED


def _why(name: str) -> str:
    needed = needs(name)
    return f"it needs {needed}" if needed else "it gave no finite number"


def _mean_of(scores: list[float]) -> str:
    if not all(map(math.isfinite, scores)):
        return NOT_DEFINED
    return f"{fmean(scores):.4g} ± {stdev(scores):.4g}"


def _costs(costs: ModelCosts) -> str:
    times = ", ".join(
        f"{in_words('latency', time.median)} for {n} row{'' if n == '1' else 's'}"
        for n, time in costs.latency.items()
    )
    idle = f" Of its compression, {idle_in_words(costs.left_out)}." if costs.left_out else ""
    return (
        f"It takes {in_words('size', costs.size)} ({costs.zeros:.0%} of the weights are zero) and "
        f"{costs.macs:,} multiplications a row; on the machine that made it, {times}.{idle}"
    )


def _limits(facts: ModelFacts, results: Results) -> Iterator[str]:
    yield "It is as good as that on rows like those above, and nothing is known of others."
    if results.looks > 1:
        yield (
            f"The test set was looked at {results.looks} times. Whoever chooses by what it shows "
            "makes its score too good."
        )
    if any(column.kind == "categorical" for column in facts.columns):
        yield "A category that was not there to train on is treated as a rare one."
    if results.n_validation:
        yield (
            f"{count(results.n_validation, 'row was', 'rows were')} left out of the training for "
            "the scores that its schedule goes by."
        )


def _use(facts: ModelFacts) -> Iterator[str]:
    yield "```sh\ntunecli predict FOLDER new_rows\n```"
    proba = "\nmodel.predict_proba(x)  # one column a class" if facts.classes else ""
    yield (
        '```python\nfrom tunecli import load\n\nmodel = load("FOLDER")\n'
        f"model.predict(x)  # a DataFrame, an array, a tensor, or a path{proba}\n```"
    )


def _made_with(facts: ModelFacts) -> Iterator[str]:
    yield ", ".join(f"{name} {version}" for name, version in facts.versions.items()) + "."


def _listed(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(_code(name) for name in names[:MOST_LISTED])
    more = len(names) - MOST_LISTED
    return f"{shown} and {more:,} more" if more > 0 else shown


def _code(text: str) -> str:
    """As it is written, whatever it has."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return f"`{line.replace('`', chr(39))}`"


def _plain(text: str) -> str:
    """On one line, and no markup: names come from files of anybody's."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return "".join(f"\\{c}" if c in "`*_[]<>|#" else c for c in line)
