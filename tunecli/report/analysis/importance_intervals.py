"""Bootstrap intervals of importances over trials.

A trial that is drawn twice counts twice. A parameter with too few trials in a resample counts as 0
there, so that the interval of a rare branch's parameter is as wide as its uncertainty.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tunecli.database.records import StudyRecord
from tunecli.report.analysis.importance import Indices, PedAnova, hardly_differ, importance
from tunecli.report.analysis.ranking import ranked

N_RESAMPLES = 20


class ImportanceInterval(NamedTuple):
    """The 5th and the 95th percentile of the resamples."""

    low: float
    high: float


def importance_intervals(
    study: StudyRecord, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> dict[str, ImportanceInterval]:
    """Return the interval of each parameter that has an importance, by name; deterministic."""
    names = [*importance(study).values]
    if not names:
        return {}
    trials = ranked(study)
    evaluator, draw = PedAnova.of(study, trials, names), random.Random(seed)
    drawn = [
        _importances(evaluator, np.array(draw.choices(range(len(trials)), k=len(trials))), names)
        for _ in range(n_resamples)
    ]
    shares = {name: sorted(values.get(name, 0.0) for values in drawn) for name in names}
    return {
        name: ImportanceInterval(_quantile(values, 0.05), _quantile(values, 0.95))
        for name, values in shares.items()
    }


def _importances(evaluator: PedAnova, drawn: Indices, names: Sequence[str]) -> Mapping[str, float]:
    if hardly_differ(np.sort(evaluator.losses[drawn]).tolist()):
        return {}
    known = [name for name in names if (evaluator.ranges[name][drawn] >= 0).sum() > 1]
    return evaluator.importances(drawn, known)


def _quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile of sorted values, linear between neighbours, like NumPy's default."""
    position = share * (len(values) - 1)
    below = int(position)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (position - below)
