"""All trials as a table: its cells, and the keys that sort them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.pareto import front
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.page.plots.scores import outcome_of
from tunecli.report.phrases import foreign_text, wording
from tunecli.report.screen.trial_tables import objective_cells, parameters_text
from tunecli.study_file.settings.ranges import GATE, is_gate
from tunecli.study_file.text.scalars import Scalar


@dataclass(frozen=True)
class Cell:
    """One cell. Attributes: `key`: exact number to sort and compare by; empty for a text."""

    text: str
    key: str = ""


@dataclass(frozen=True)
class TableColumn:
    """One column. Attributes: `name`: heading; `title`: tooltip; `is_number`: right-aligned."""

    name: str
    title: str
    cell: Callable[[TrialRecord], Cell]
    is_number: bool = True


def front_rows(study: StudyRecord) -> list[tuple[int, list[str]]]:
    """Return the Pareto front in its order, empty with one objective.

    Each trial has its number, and as cells all objectives and the parameters.
    """
    if not study.further_objectives:
        return []
    trials = front(study).trials
    return [
        (trial.number, [*objective_cells(study, trial, trials[0]), parameters_text(study, trial)])
        for trial in trials
    ]


def table_trials(evidence: Evidence) -> list[TrialRecord]:
    """Return all trials, complete ones first, best first, then the others by number."""
    complete = {trial.trial_id for trial in evidence.ranked}
    others = (trial for trial in evidence.study.trials if trial.trial_id not in complete)
    return [*evidence.ranked, *others]


def table_columns(study: StudyRecord) -> list[TableColumn]:
    """Return what the table shows of each trial."""
    metric = foreign_text.shortened(foreign_text.plain(study.title), 24)
    metrics = dict.fromkeys(name for trial in study.trials for name in trial.metrics)
    params = _params(study.trials)
    short = wording.short_names(params)
    return [
        TableColumn("trial", "number of the trial", lambda t: _number(t.number, str(t.number))),
        TableColumn("outcome", "how the trial ended", lambda t: Cell(outcome_of(t)), False),
        TableColumn(metric, "mean over folds", lambda t: _score(t.value)),
        TableColumn("±", "standard deviation over folds", lambda t: _score(t.spread)),
        *(
            TableColumn(
                foreign_text.plain(study.titled(name)), "mean over folds", partial(_measured, name)
            )
            for name in metrics
        ),
        *(
            TableColumn(
                short[name],
                foreign_text.plain(name),
                partial(_param, study, name),
                _is_number(study, name),
            )
            for name in params
        ),
        TableColumn("time", "seconds of training", _seconds),
        TableColumn("weights", "number of weights", _weights),
        TableColumn("reason", "why the trial has no result", _reason, False),
    ]


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


def _score(value: float | None) -> Cell:
    return _number(value, wording.score(value) if value is not None else "")


def _measured(name: str, trial: TrialRecord) -> Cell:
    value = trial.metrics.get(name)
    return _number(value, wording.metric_text(name, value) if value is not None else "")


def _seconds(trial: TrialRecord) -> Cell:
    return _number(trial.seconds, wording.duration(trial.seconds) if trial.seconds else "")


def _weights(trial: TrialRecord) -> Cell:
    return _number(trial.n_weights, f"{trial.n_weights:,}" if trial.n_weights else "")


def _reason(trial: TrialRecord) -> Cell:
    return Cell(foreign_text.shortened(foreign_text.plain(trial.reason), 160))


def _number(value: float | None, text: str) -> Cell:
    """Return a number with its exact value as key; one that is not finite counts as missing."""
    return Cell(text, repr(value) if value is not None and math.isfinite(value) else "")


def _param(study: StudyRecord, name: str, trial: TrialRecord) -> Cell:
    if name in trial.params:
        value = trial.params[name]
        return Cell(wording.scalar(value), _key(value))
    if trial.params.get(name + GATE) is True:
        return Cell(wording.other_value(name, study.gates), _key(study.gates.get(name)))
    return Cell("")


def _key(value: Scalar) -> str:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return repr(value) if is_number else ""
