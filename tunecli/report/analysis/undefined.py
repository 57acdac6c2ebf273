"""Which metrics of a trial are undefined, in which folds, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tunecli.database.curves import Curve
from tunecli.database.records import TrialRecord
from tunecli.report.phrases.wording import joined
from tunecli.study_file.settings.metric_names import metric_needs


def undefined_metrics(
    trial: TrialRecord, curve: Curve, titles: Mapping[str, str] | None = None
) -> Mapping[str, str]:
    """Return a sentence on each metric of a trial that is NaN or infinite, by its name.

    Args:
        curve: the trial's curves; without its folds the sentence does not name the folds.
        titles: what people read instead of the name of a metric.
    """
    return {
        name: _sentence((titles or {}).get(name, name), metric_needs(name), values)
        for name, value in trial.metrics.items()
        if not math.isfinite(value)
        for values in (_values(name, trial, curve),)
    }


def _values(name: str, trial: TrialRecord, curve: Curve) -> dict[int, float]:
    """Return the values that are not finite at the evaluation that counts, by fold."""
    step = trial.best_step
    at_best = {
        number: dict(zip(fold.step, fold.metrics, strict=True)).get(-1 if step is None else step)
        for number, fold in enumerate(curve.folds)
    }
    values = {number: (metrics or {}).get(name, 0.0) for number, metrics in at_best.items()}
    return {number: value for number, value in values.items() if not math.isfinite(value)}


def _sentence(name: str, needed: str, values: Mapping[int, float]) -> str:
    folds = ""
    if values:
        some = joined([*map(str, [*values][:_MOST])])
        more = f" and {len(values) - _MOST} more" if len(values) > _MOST else ""
        folds = f" in {'fold' if len(values) == 1 else 'folds'} {some}{more}"
    got = joined([*dict.fromkeys(map(str, values.values()))] or ["nan"])
    why = f"it needs {needed} for validation" if needed else f"its value is {got}"
    return f"{name} is not defined{folds}: {why}."


_MOST = 5
"""Folds that are named."""
