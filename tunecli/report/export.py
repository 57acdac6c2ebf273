"""A study as JSON with everything, or as CSV with one row a trial.

The JSON is one object. `format` is 1 and grows when the meaning of a key changes; keys may be
added without that. A number that is not finite is null; times are UTC in ISO 8601, durations
seconds, memory bytes.

    format, name, metric, direction, database (no password), file, study_file, overrides,
    resolved, environment, edits
    learned       [{study, n_trials, lessons, left_out}], see `tunecli.search.lessons`
    summary       what the data is, or null
    baselines     [{name, fold_scores, seconds, metrics, note}]: untuned models on the same folds;
                  without fold_scores, the note says why
    test_looks    [{trial, at, score, low, high}]: models that were scored on the test rows, with
                  a 95 % interval, the newest last
    objectives    [{metric, direction}], the first one first
    front         numbers of the complete trials that no other beats in every objective, the best
                  in the first objective first; with one objective the best alone
    counts        {outcome: n}
    best          number of the best trial, or null
    again         a study file that runs the best trial again; empty without one
    ties          numbers of the complete trials that the best's folds cannot tell from it, itself
                  first; empty with one fold
    importance    {n_trials, values: {parameter: share}, left_out: {parameter: why}, reason,
                  intervals: {parameter: [low, high]}}: 5th and 95th percentile of 20 bootstrap
                  resamples of the trials
    isolation     [{parameter, branches, winner, behind, n_trials}]: for each choice, what its
                  options reached at equal cost with the rest tuned
      branches    [{choice, best, trial, expected, low, high, n_complete, n_pruned, n_lost}]:
                  expected best of n_trials trials, with a 95 % interval; null with too few
      behind      [{choice, mean, low, high, n_trials, n_more}]: distance to the winner, larger is
                  worse, with a 95 % interval, from n_trials trials of both; n_more trials after
                  which it would leave out 0, or null
    findings      [{kind, severity, sentence, weight, figures, parameters, trials, changes,
                    advice}], the most useful first; `figures` depends on the kind
      changes     [{change, line, …}]: NewRange {parameter, range}, Fixed {parameter, value},
                  DroppedChoices {parameter, choices}, NewSetting {path, value}; `line` in words
    trials        [{number, state, outcome, reason, traceback, value, values, spread, fold_scores,
                    metrics, best_step, params, ranges, config, seconds, n_weights, peak_memory,
                    attempt, worker, start, end, curve, undefined}]; `value` is the first
                    objective's
      undefined   {metric: why}: a sentence on each metric that is null
      ranges      {parameter: {choices} or {low, high, log, step}}
      curve       {step, score, folds: [{step, epoch, train_loss, score, lr, metrics}]}, lists with
                  one entry an evaluation; `score` beside `step` is the mean over folds

The CSV has the scalars of a trial, then `fold.<n>`, `metric.<name>` and `param.<name>`. A
parameter that a trial does not have is an empty cell, one whose value is none is `none`. A metric
that is not defined is `nan`, infinity too. Text that begins with `=`, `+`, `-` or `@` has a `'` in
front: no spreadsheet takes it for a formula.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from tunecli.report import best, ranking, wording
from tunecli.report.curves import Curve
from tunecli.report.findings.advice import all_findings
from tunecli.report.findings.evidence import Evidence
from tunecli.report.findings.finding import Finding
from tunecli.report.findings.isolation import isolations
from tunecli.report.importance import importance
from tunecli.report.importance_intervals import importance_intervals
from tunecli.report.pareto import front
from tunecli.report.records import StudyRecord, TrialRecord
from tunecli.report.undefined import undefined
from tunecli.search.lessons import as_attribute
from tunecli.search.urls import without_password

FORMAT = 1

_SCALARS = (
    *("number", "state", "outcome", "reason", "value", "spread", "best_step", "seconds"),
    *("n_weights", "peak_memory", "attempt", "worker", "start", "end"),
)


def to_json(study: StudyRecord) -> str:
    """Everything that the database has on a study, see the module's docstring."""
    winner = ranking.best_trial(study)
    curves = study.curves()
    evidence = Evidence.of(study, curves)
    whole = {
        "format": FORMAT,
        "name": study.name,
        "metric": study.metric,
        "direction": study.direction,
        "objectives": [asdict(objective) for objective in study.objectives],
        "front": [trial.number for trial in front(study).trials],
        "database": without_password(study.url),
        "file": study.file,
        "study_file": study.study_file,
        "overrides": study.overrides,
        "resolved": study.resolved,
        "environment": study.environment,
        "edits": study.edits,
        "learned": as_attribute(study.learned),
        "summary": asdict(study.summary) if study.summary is not None else None,
        "baselines": [asdict(baseline) for baseline in study.baselines],
        "test_looks": [look.model_dump() for look in study.test_looks],
        "counts": ranking.counts(study),
        "best": winner.number if winner is not None else None,
        "again": best.study_file_of(study, winner) if winner is not None else "",
        "ties": [trial.number for trial in ranking.tied_with_best(study)],
        "importance": asdict(importance(study)) | {"intervals": importance_intervals(study)},
        "isolation": [asdict(one) for one in isolations(evidence)],
        "findings": [_finding(finding) for finding in all_findings(evidence)],
        "trials": [_trial(trial, curves.get(trial.trial_id, Curve())) for trial in study.trials],
    }
    try:
        return json.dumps(whole, allow_nan=False)
    except ValueError:  # rare, and looking at every number takes longer than writing them
        return json.dumps(finite(whole), allow_nan=False)


def to_csv(study: StudyRecord) -> str:
    """One row a trial, all parameters, metrics and fold scores as columns."""
    metrics = _union(trial.metrics for trial in study.trials)
    params = _union(trial.params for trial in study.trials)
    n_folds = max((len(trial.fold_scores) for trial in study.trials), default=0)
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            *_SCALARS,
            *(f"fold.{number}" for number in range(n_folds)),
            *(wording.cell(f"metric.{name}") for name in metrics),
            *(wording.cell(f"param.{name}") for name in params),
        ]
    )
    for trial in study.trials:
        folds = dict(enumerate(trial.fold_scores))
        cells = [getattr(trial, name) for name in _SCALARS]
        cells += [folds.get(number) for number in range(n_folds)]
        cells += [trial.metrics.get(name) for name in metrics]
        writer.writerow(
            [*map(_cell, cells), *(_param_cell(trial.params, name) for name in params)]
        )
    return out.getvalue()


def _finding(finding: Finding) -> dict[str, Any]:
    changes = [
        {"change": type(change).__name__, "line": change.line, **asdict(change)}
        for change in finding.changes
    ]
    return vars(finding) | {"changes": changes}


def _trial(trial: TrialRecord, curve: Curve) -> dict[str, Any]:
    plain = {key: value for key, value in vars(trial).items() if key != "trial_id"}
    return plain | {
        "ranges": {name: asdict(kind) for name, kind in trial.ranges.items()},
        "spread": trial.spread,
        "start": trial.start.isoformat() if trial.start is not None else None,
        "end": trial.end.isoformat() if trial.end is not None else None,
        "undefined": undefined(trial, curve),
        "curve": {
            "step": curve.step,
            "score": curve.score,
            "folds": [vars(fold) for fold in curve.folds],
        },
    }


def finite(value: Any) -> Any:
    """The same with null for every number that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    return value


def _union(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    """All keys in the order in which they first appear."""
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return "nan"
    return value.isoformat() if hasattr(value, "isoformat") else wording.cell(value)


def _param_cell(params: Mapping[str, Any], name: str) -> Any:
    return "none" if name in params and params[name] is None else _cell(params.get(name))
