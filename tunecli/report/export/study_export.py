"""A study as JSON with everything or CSV with one row per trial; a comparison as JSON.

The JSON of a study is one object. `format` is 2 and grows when a key goes or changes its meaning;
new keys do not change it. A number that is not finite is null; times are UTC in ISO 8601,
durations are seconds, memory is bytes. (Format 1 had `ties` instead of `standings`: numbers of the
trials that a t-test did not tell from the best one.)

    format, name, metric, direction, database (no password), file, study_file, overrides,
    resolved, environment, edits
    learned       [{study, n_trials, lessons, left_out}], see `tunecli.database.attributes`
    summary       what the data is, or null
    titles        {metric: title}: what people read instead of the name of a metric that is an
                  average or of one class, such as f1_binary: f1 of 'yes'
    baselines     [{name, fold_scores, seconds, metrics, note, fold_metrics, of_targets}]: untuned
                  models on the same folds; without fold_scores, the note is the reason; `metrics`
                  are means over folds
    test_looks    [{trial, at, score, low, high, n_networks, n_trials, single, compressed, n_test,
                    n_fold, n_valid, of_folds}]: models that were scored on the test rows (of an
                  ensemble, `trial` is the first of its n_trials trials), with a 95 % interval, the
                  newest last, see `tunecli.database.attributes`; scored as in the search, without
                  calibration and threshold
    adjustment    {trial, n_rows, n_parts, calibration, threshold, labels, points, curve, why_not,
                  is_of_single, n_trials} of the model that was made last, or null;
                  `tunecli.training.outcome.adjustment` describes it
    objectives    [{metric, direction}], the first one first
    front         numbers of the complete trials that no other beats in every objective, the best
                  in the first objective first; with one objective only the best trial
    counts        {outcome: n}
    n_untrained   number of the infeasible trials that broke a limit before their training; they do
                  not count against search.trials if spares_untrained is true
    best          number of the best trial, or null
    again         a study file that repeats the best trial; empty without one
    expected      {score, low, high, drop, n_trials, n_test, unit, covers_scale}: the score to
                  expect of the best trial's model, with a 95 % interval, on n_test test units
                  (null: on very many), and whether it covers all possible values; drop is the luck
                  of the best of n_trials; null if nothing shows its noise
    standings     {region, is_given, worse_above, equal_above, trials}: the complete trials
                  compared with the best one; `region` is the difference in score that does not
                  matter, the study file's tolerance if `is_given`; a verdict needs a probability
                  above `worse_above` (also better) or `equal_above` (better or equal)
      trials      [{number, verdict, better, equal, worse}], all but the best; the verdict is
                  "better", "practically equal", "not distinguished", "worse", or "" if nothing
                  can be said; then three probabilities, null if unknown
    importance    {n_trials, values: {parameter: share}, left_out: {parameter: why}, reason,
                  intervals: {parameter: [low, high]}}: 5th and 95th percentile of 20 bootstrap
                  resamples of the trials
    isolation     [{parameter, branches, winner, behind, n_trials}]: for each choice, what its
                  options reached at equal cost with the rest tuned
      branches    [{choice, best, trial, expected, low, high, n_complete, n_pruned, n_lost}]:
                  expected best of n_trials trials, with a 95 % interval; null with too few
      behind      [{choice, mean, low, high, n_trials, n_more}]: distance to the winner, larger is
                  worse, with a 95 % interval, from n_trials trials of each; after n_more further
                  trials of each the interval would exclude 0, or null
    findings      [{kind, severity, sentence, weight, figures, parameters, trials, changes,
                    advice}], the most useful first; `figures` depends on the kind
      changes     [{change, line, …}]: NewRange {parameter, range}, Fixed {parameter, value},
                  DroppedChoices {parameter, choices}, NewSetting {path, value}; `line` as text
    trials        [{number, state, outcome, reason, traceback, value, values, spread, fold_scores,
                    metrics, best_step, params, ranges, config, seconds, n_weights, peak_memory,
                    attempt, worker, start, end, curve, undefined, of_targets}]; `value` is the
                    first objective's
      of_targets  {target: {metric: score}} of several targets: means over folds
      undefined   {metric: why}: a sentence on each metric that is null
      ranges      {parameter: {choices} or {low, high, log, step}}
      curve       {step, score, folds: [{step, epoch, train_loss, score, lr, metrics}]}, lists with
                  one entry per evaluation; the outer `score` is the mean over folds

A comparison of studies is one object too, and its `format` is 2. The findings on a study are in
the study's own export.

    format, metric, direction
    studies       [{name, best, value, spread, verdict, counts, n_untrained, seconds,
                  best_so_far}]: `best` is the number of the best trial, `verdict` how it compares
                  with the best of all (see `standings`), `best_so_far` has one entry per trial,
                  null before one is complete
    choices       [{parameter, options: [{choice, studies: {name: branch}}]}], the choices that at
                  least two studies have; a branch is one of the study's own `isolation`

The CSV has the scalars of a trial, then `fold.<n>`, `metric.<name>` and `param.<name>`. A
parameter that a trial does not have is an empty cell; a value that is off is `none`. An undefined
metric, infinity too, is `nan`. Text that begins with `=`, `+`, `-` or `@` has a `'` in front, so
that no spreadsheet evaluates it.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from tempfile import TemporaryFile
from typing import Any

from tunecli.database.curves import Curve
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.database.urls import without_password
from tunecli.report.analysis import ranking
from tunecli.report.analysis.importance import importance
from tunecli.report.analysis.importance_intervals import importance_intervals
from tunecli.report.analysis.pareto import front
from tunecli.report.analysis.standing import EQUAL
from tunecli.report.analysis.standings import Standings
from tunecli.report.analysis.undefined import undefined_metrics
from tunecli.report.findings.all_findings import all_findings
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding
from tunecli.report.findings.space.losing_options import isolations
from tunecli.report.phrases import foreign_text
from tunecli.report.studies import best
from tunecli.report.studies.comparison import ComparedStudy, Comparison

FORMAT = 2

_PART = 200  # trials whose curves are in memory at once
_PIECE = 2**20  # characters

_SCALARS = (
    *("number", "state", "outcome", "reason", "value", "spread", "best_step", "seconds"),
    *("n_weights", "peak_memory", "attempt", "worker", "start", "end"),
)


def study_json(study: StudyRecord) -> str:
    """Return everything the database has on a study; the module's docstring describes it."""
    return "".join(json_pieces(study))


def json_pieces(study: StudyRecord) -> Iterator[str]:
    """Yield the text of `study_json` in pieces: that of a large study would fill the memory.

    What stands before the trials needs the curves of all, but of each only the means over folds.
    So the trials are written first, to a temporary file.
    """
    with TemporaryFile("w+", encoding="ascii") as file:
        means: dict[int, Curve] = {}
        for start in range(0, len(study.trials), _PART):
            trials = study.trials[start : start + _PART]
            curves = study.curves(trials)
            means |= {trial_id: replace(curve, folds=()) for trial_id, curve in curves.items()}
            of_targets = study.target_scores(trials)
            texts = [
                _dumped(
                    _trial(t, curves.get(t.trial_id, Curve()))
                    | {"of_targets": of_targets.get(t.trial_id, {})}
                )
                for t in trials
            ]
            file.write(", " * bool(start) + ", ".join(texts))
        yield _dumped(_overview(study, Evidence.of(study, means))).removesuffix("}")
        yield ', "trials": ['
        file.seek(0)
        yield from iter(partial(file.read, _PIECE), "")
        yield "]}"


def _overview(study: StudyRecord, evidence: Evidence) -> dict[str, Any]:
    """Return everything but the trials."""
    winner = ranking.best_trial(study)
    return {
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
        "titles": dict(study.titles),
        "environment": study.environment,
        "edits": study.edits,
        "learned": [asdict(one) for one in study.learned],
        "summary": asdict(study.summary) if study.summary is not None else None,
        "baselines": [asdict(baseline) for baseline in study.baselines],
        "test_looks": [asdict(look) for look in study.test_looks],
        "adjustment": asdict(study.adjustment) if study.adjustment is not None else None,
        "counts": ranking.counts(study),
        "n_untrained": ranking.n_untrained(study),
        "spares_untrained": study.spares_untrained,
        "best": winner.number if winner is not None else None,
        "again": best.config_yaml(study, winner) if winner is not None else "",
        "expected": asdict(evidence.expected) if evidence.expected is not None else None,
        "standings": _standings(evidence.standings),
        "importance": asdict(importance(study)) | {"intervals": importance_intervals(study)},
        "isolation": [asdict(one) for one in isolations(evidence)],
        "findings": [_finding(finding) for finding in all_findings(evidence)],
    }


def _dumped(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:  # rare, and checking every number takes longer than writing it
        return json.dumps(without_nan(value), allow_nan=False)


def comparison_json(comparison: Comparison) -> str:
    """Return a comparison as JSON; the module's docstring describes it."""
    whole = {
        "format": FORMAT,
        "metric": comparison.metric,
        "direction": comparison.direction,
        "studies": [_compared(comparison, one) for one in comparison.contenders],
        "choices": [
            {
                "parameter": parameter,
                "options": [
                    {
                        "choice": option.choice,
                        "studies": {name: asdict(b) for name, b in option.branches.items()},
                    }
                    for option in options
                ],
            }
            for parameter, options in comparison.shared_choices().items()
        ],
    }
    return json.dumps(without_nan(whole), allow_nan=False)


def to_csv(study: StudyRecord) -> str:
    """Return one row per trial, with all parameters, metrics and fold scores as columns."""
    columns = trial_columns(study)
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(foreign_text.cell, columns))
    writer.writerows(map(_cell, row) for row in zip(*columns.values(), strict=True))
    return out.getvalue()


def trial_columns(study: StudyRecord) -> dict[str, list[Any]]:
    """Return the columns of the CSV as values, one per trial; None where a trial has none."""
    trials = study.trials
    columns = {name: [getattr(trial, name) for trial in trials] for name in _SCALARS}
    folds = [dict(enumerate(trial.fold_scores)) for trial in trials]
    for number in range(max(map(len, folds), default=0)):
        columns[f"fold.{number}"] = [scores.get(number) for scores in folds]
    for name in _union(trial.metrics for trial in trials):
        columns[f"metric.{name}"] = [trial.metrics.get(name) for trial in trials]
    for name in _union(trial.params for trial in trials):
        columns[f"param.{name}"] = [_param(trial.params, name) for trial in trials]
    return columns


def _standings(standings: Standings) -> dict[str, Any]:
    return {
        "region": standings.region,
        "is_given": standings.is_given,
        "worse_above": standings.compared.worse_above,
        "equal_above": EQUAL,
        "trials": [{"number": number, **asdict(one)} for number, one in standings.of.items()],
    }


def _compared(comparison: Comparison, one: ComparedStudy) -> dict[str, Any]:
    best = one.best
    return {
        "name": one.study.name,
        "best": best.number if best is not None else None,
        "value": best.value if best is not None else None,
        "spread": best.spread if best is not None else None,
        "verdict": comparison.verdict(one),
        "counts": ranking.counts(one.study),
        "n_untrained": ranking.n_untrained(one.study),
        "seconds": one.seconds,
        "best_so_far": one.best_so_far(),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    changes = [
        {"change": type(change).__name__, "line": change.line, **asdict(change)}
        for change in finding.changes
    ]
    return vars(finding) | {"changes": changes}


def _trial(trial: TrialRecord, curve: Curve) -> dict[str, Any]:
    plain = {key: value for key, value in vars(trial).items() if key != "trial_id"}
    return plain | {
        "ranges": {name: vars(kind) for name, kind in trial.ranges.items()},
        "spread": trial.spread,
        "start": trial.start.isoformat() if trial.start is not None else None,
        "end": trial.end.isoformat() if trial.end is not None else None,
        "undefined": undefined_metrics(trial, curve),
        "curve": {
            "step": curve.step,
            "score": curve.score,
            "folds": [vars(fold) for fold in curve.folds],
        },
    }


def without_nan(value: Any) -> Any:
    """Return the same value with null for every number that JSON cannot represent."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(entry) for entry in value]
    return value


def _union(mappings: Iterable[Mapping[str, object]]) -> list[str]:
    """Return all keys in the order in which they first appear."""
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return "nan"
    return value.isoformat() if hasattr(value, "isoformat") else foreign_text.cell(value)


def _param(params: Mapping[str, Any], name: str) -> Any:
    return "none" if name in params and params[name] is None else params.get(name)
