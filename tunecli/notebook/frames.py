"""The tables of a study as pandas DataFrames; the guide's topic `report` lists their columns.

Numbers are numbers, times are UTC, and what is missing is NaN, NaT or NA. Integers that can be
missing are pandas' `Int64`.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from tunecli.database.curves import Curve, FoldCurve
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.export.study_export import trial_columns
from tunecli.report.findings.evidence.finding import Finding
from tunecli.training.outcome.evaluation import Baseline

_INTEGERS = ("best_step", "n_weights", "peak_memory", "attempt", "worker")
_TIMES = ("start", "end")
_FLOATS = ("value", "spread", "seconds")
_FLOAT_FAMILIES = ("value.", "fold.", "metric.")

CURVES = ("trial", "step", "score", "train_loss")
FOLDS = ("trial", "fold", "step", "epoch", "train_loss", "score", "lr")
FINDINGS = (
    *("kind", "severity", "sentence", "weight", "parameters", "trials", "changes", "advice"),
    "is_shown",
)
BASELINES = ("name", "value", "spread", "seconds", "note")


def trials_frame(study: StudyRecord) -> pd.DataFrame:
    """Return one row per trial, by its number: the columns of the CSV, as numbers and times.

    With several objectives, `value` is the first one's and `value.<metric>` those of the others.
    """
    columns = trial_columns(study)
    for place, objective in enumerate(study.further_objectives, start=1):
        columns[f"value.{objective.metric}"] = [
            trial.values[place] if trial.values else None for trial in study.trials
        ]
    return _typed(pd.DataFrame(columns)).set_index("number")


def curves_frame(study: StudyRecord, curves: Mapping[int, Curve]) -> pd.DataFrame:
    """Return one row per trial and evaluation: means over folds.

    Args:
        curves: by `trial_id`.
    """
    rows = [row for trial in study.trials for row in _means(trial, curves)]
    return pd.DataFrame(rows, columns=[*CURVES])


def folds_frame(study: StudyRecord, curves: Mapping[int, Curve]) -> pd.DataFrame:
    """Return one row per trial, fold and evaluation, with the study's other metrics.

    Args:
        curves: by `trial_id`, with folds.
    """
    rows = [
        row
        for trial in study.trials
        for number, fold in enumerate(curves.get(trial.trial_id, Curve()).folds)
        for row in _evaluations(trial, number, fold)
    ]
    return _frame(rows, FOLDS)


def findings_frame(findings: Iterable[Finding], shown: Sequence[Finding]) -> pd.DataFrame:
    """Return one row per finding, the most useful first.

    Args:
        shown: the findings that a report shows without `--all`.
    """
    rows = [
        {name: getattr(finding, name) for name in FINDINGS[:-1]}
        | {
            "changes": tuple(change.line for change in finding.changes),
            "is_shown": finding in shown,
        }
        for finding in findings
    ]
    return pd.DataFrame(rows, columns=[*FINDINGS])


def baselines_frame(baselines: Iterable[Baseline]) -> pd.DataFrame:
    """Return one row per untuned baseline, with its fold scores and metrics."""
    return _frame([_baseline(one) for one in baselines], BASELINES)


def _means(trial: TrialRecord, curves: Mapping[int, Curve]) -> Iterator[tuple[Any, ...]]:
    curve = curves.get(trial.trial_id, Curve())
    losses = dict(enumerate(curve.train_loss))  # none in a study of another program
    for place, (step, score) in enumerate(zip(curve.step, curve.score, strict=True)):
        yield trial.number, step, score, losses.get(place, float("nan"))


def _evaluations(trial: TrialRecord, fold: int, curve: FoldCurve) -> Iterator[dict[str, Any]]:
    columns = (curve.step, curve.epoch, curve.train_loss, curve.score, curve.lr)
    for *numbers, metrics in zip(*columns, curve.metrics, strict=True):
        named = dict(zip(FOLDS, (trial.number, fold, *numbers), strict=True))
        yield named | {f"metric.{name}": value for name, value in metrics.items()}


def _baseline(one: Baseline) -> dict[str, Any]:
    scores = one.fold_scores
    return {
        "name": one.name,
        "value": statistics.fmean(scores) if scores else None,
        "spread": statistics.stdev(scores) if len(scores) > 1 else None,
        "seconds": one.seconds,
        "note": one.note,
        **{f"fold.{number}": score for number, score in enumerate(scores)},
        **{f"metric.{name}": value for name, value in one.metrics.items()},
    }


def _frame(rows: Sequence[Mapping[str, Any]], first: Sequence[str]) -> pd.DataFrame:
    """Return the rows with these columns first, even without rows."""
    others = dict.fromkeys(name for row in rows for name in row if name not in first)
    return _typed(pd.DataFrame([*rows], columns=[*first, *others]))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with the types of its numbers and times, also where all are missing."""
    kinds: dict[str, Any] = dict.fromkeys(_INTEGERS, "Int64")
    kinds |= dict.fromkeys(_TIMES, "datetime64[us, UTC]")
    kinds |= dict.fromkeys(_FLOATS, "float64")
    floats = (name for name in frame.columns if name.startswith(_FLOAT_FAMILIES))
    kinds |= dict.fromkeys(floats, "float64")
    return frame.astype({name: kind for name, kind in kinds.items() if name in frame.columns})
