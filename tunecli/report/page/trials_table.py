"""All trials as a table: its cells, and the keys that sort them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.pareto import front
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.page.plots.marks import outcome_of
from tunecli.report.phrases import wording
from tunecli.study_file.settings.ranges import GATE, is_gate


@dataclass(frozen=True)
class TableColumn:
    """One column. Attributes: `name`: heading; `title`: tooltip; `is_number`: right-aligned."""

    name: str
    title: str
    is_number: bool = False


@dataclass(frozen=True)
class Cell:
    """One cell. Attributes: `key`: exact number to sort and compare by; empty for a text."""

    text: str
    key: str = ""


@dataclass(frozen=True)
class TableRow:
    number: int
    outcome: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class TrialsTable:
    columns: Sequence[TableColumn]
    rows: Sequence[TableRow]


@dataclass(frozen=True)
class FrontRow:
    """One trial of the front. Attributes: `cells`: all objectives, and the parameters."""

    number: int
    cells: Sequence[str]


def front_rows(study: StudyRecord) -> list[FrontRow]:
    """Return the Pareto front in its order; empty with one objective."""
    if not study.further_objectives:
        return []
    trials = front(study).trials
    rows = []
    for trial in trials:
        values = list(zip(study.objectives, trial.values, strict=True))
        further = [wording.metric_text(one.metric, value) for one, value in values[1:]]
        score = wording.with_spread(trial.values[0], trial.spread, trials[0].values[0])
        named = wording.named_values(trial.params, study.gates, 3)
        parameters = " ".join(f"{name}={value}" for name, value in named)
        rows.append(FrontRow(trial.number, [score, *further, parameters]))
    return rows


def trials_table(evidence: Evidence) -> TrialsTable:
    """Return one row per trial, complete ones first, best first, then the others by number."""
    study = evidence.study
    metrics = list(dict.fromkeys(name for trial in study.trials for name in trial.metrics))
    params = _params(study.trials)
    short = wording.short_names(params)
    columns = [
        TableColumn("trial", "number of the trial", True),
        TableColumn("outcome", "how the trial ended"),
        TableColumn(wording.shortened(wording.plain(study.metric), 24), "mean over folds", True),
        TableColumn("±", "standard deviation over folds", True),
        *(TableColumn(wording.plain(name), "mean over folds", True) for name in metrics),
        *(
            TableColumn(short[name], wording.plain(name), _is_number(study, name))
            for name in params
        ),
        TableColumn("time", "seconds of training", True),
        TableColumn("weights", "number of weights", True),
        TableColumn("reason", "why the trial has no result"),
    ]
    complete = {trial.trial_id for trial in evidence.ranked}
    others = (trial for trial in study.trials if trial.trial_id not in complete)
    rows = [
        TableRow(trial.number, outcome_of(trial), _cells(study, trial, metrics, params))
        for trial in (*evidence.ranked, *others)
    ]
    return TrialsTable(columns, rows)


def _params(trials: Iterable[TrialRecord]) -> list[str]:
    """Return all parameters; a range and its `or:` share one column with the value in use."""
    names = dict.fromkeys(
        name.removesuffix(GATE) if is_gate(name, value) else name
        for trial in trials
        for name, value in trial.params.items()
    )
    return [*names]


def _is_number(study: StudyRecord, name: str) -> bool:
    values = [trial.params[name] for trial in study.trials if name in trial.params]
    return all(isinstance(value, (int, float)) and value is not True for value in values)


def _cells(
    study: StudyRecord, trial: TrialRecord, metrics: Sequence[str], params: Sequence[str]
) -> list[Cell]:
    return [
        Cell(str(trial.number), str(trial.number)),
        Cell(outcome_of(trial)),
        _score(trial.value),
        _score(trial.spread),
        *(_measured(trial, name) for name in metrics),
        *(_param(study, trial, name) for name in params),
        _number(trial.seconds, wording.duration(trial.seconds) if trial.seconds else ""),
        _number(trial.n_weights, f"{trial.n_weights:,}" if trial.n_weights else ""),
        Cell(wording.shortened(wording.plain(trial.reason), 160)),
    ]


def _score(value: float | None) -> Cell:
    return _number(value, wording.score(value) if value is not None else "")


def _measured(trial: TrialRecord, name: str) -> Cell:
    value = trial.metrics.get(name)
    return _number(value, wording.metric_text(name, value) if value is not None else "")


def _number(value: float | None, text: str) -> Cell:
    """Return a number with its exact value as key; one that is not finite counts as missing."""
    return Cell(text, repr(value) if value is not None and math.isfinite(value) else "")


def _param(study: StudyRecord, trial: TrialRecord, name: str) -> Cell:
    if name in trial.params:
        value = trial.params[name]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return Cell(wording.scalar(value), repr(value) if is_number else "")
    gate = trial.params.get(name + GATE)
    if gate is True:
        other = study.gates.get(name)
        is_number = isinstance(other, (int, float)) and not isinstance(other, bool)
        text = wording.other_value(name, study.gates)
        return Cell(text, repr(other) if is_number else "")
    return Cell("")
