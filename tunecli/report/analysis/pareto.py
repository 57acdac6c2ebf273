"""The Pareto front of a study, from the best in the first objective on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.phrases import wording

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Front:
    """The Pareto front of a study.

    Attributes:
        trials: the best in the first objective first; of trials with equal values only the first.
        n_complete: trials from which they are chosen.
    """

    trials: tuple[TrialRecord, ...]
    n_complete: int


def front(study: StudyRecord) -> Front:
    """Return the front of the complete trials; a trial that breaks a limit is not complete."""
    import numpy as np

    known = [trial for trial in study.trials if _counts(trial, len(study.objectives))]
    if not known:
        return Front((), 0)
    signs = np.array([-1.0 if o.direction == "maximize" else 1.0 for o in study.objectives])
    values = np.array([trial.values for trial in known]) * signs  # smaller is better
    order = sorted(range(len(known)), key=lambda i: (*values[i].tolist(), known[i].number))
    kept = _unbeaten(values[order])
    return Front(tuple(known[order[i]] for i in kept), len(known))


def goal(study: StudyRecord) -> str:
    """Return all objectives as text: `maximize accuracy, minimize size`."""
    return ", ".join(f"{one.direction} {wording.plain(one.metric)}" for one in study.objectives)


def _counts(trial: TrialRecord, n_objectives: int) -> bool:
    is_whole = trial.state == "complete" and len(trial.values) == n_objectives
    return is_whole and all(map(math.isfinite, trial.values))


def _unbeaten(values: NDArray[np.float64]) -> Sequence[int]:
    """Return the rows that no earlier row equals or beats in everything.

    Args:
        values: (n, n_objectives), smaller is better; sorted, so that no row beats an earlier one.
    """
    import numpy as np

    kept: list[int] = []
    best = np.empty((0, values.shape[1]))
    for index, row in enumerate(values):
        if not (best <= row).all(axis=1).any():
            kept.append(index)
            best = np.vstack([best, row])
    return kept
