"""Whether all values of a parameter were compared where it counts: among the good trials.

An effect may show only once everything else is good; among poor trials it drowns. So the values
are compared by parts, which are the options of a choice or the thirds of a range. Each part must
have a trial among the best quarter. And among the better half, with the other parameters accounted
for, the scores of the parts must differ by no more than chance explains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.effects import other_columns
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.positions import position
from tunecli.study_file.settings.ranges import Categories, Range
from tunecli.study_file.text.scalars import Scalar

Array = NDArray[np.float64]

_GOOD_SHARE = 0.25
_FEWEST_GOOD = 10
_BETTER_SHARE = 0.5
_N_PARTS = 3  # of a range
_TRIALS_PER_COLUMN = 2


def are_all_parts_good(evidence: Evidence, trials: Sequence[TrialRecord], name: str) -> bool:
    """Return whether each part of a parameter has a trial among the best quarter, at least ten.

    Args:
        trials: ranked, best first; all have the parameter.
    """
    kind = evidence.ranges[name]
    good = trials[: max(_FEWEST_GOOD, math.ceil(_GOOD_SHARE * len(trials)))]
    return {*_parts_of(evidence, good, name)} >= parts(kind)


def chance_of_parts(evidence: Evidence, trials: Sequence[TrialRecord], name: str) -> float:
    """Return the p-value of no difference between the parts among the better half of the trials.

    It is that of an F-test between the linear models with and without the parts; 0 if there are
    too few trials for the test.

    Args:
        trials: ranked, best first; all have the parameter.
    """
    better = trials[: math.ceil(_BETTER_SHARE * len(trials))]
    own = _indicators(_parts_of(evidence, better, name))
    score = evidence.all_goodness(better)
    score = score - score.mean()
    others = other_columns(
        evidence, better, name, score, own.shape[1] - 1, trials_per_column=_TRIALS_PER_COLUMN
    )
    without, rank_without = _residual(np.hstack([np.ones((len(better), 1)), others]), score)
    left, rank = _residual(np.hstack([own, others]), score)
    n_more, n_free = rank - rank_without, len(better) - rank
    if n_more < 1 or n_free < 1 or left <= 0:
        return 0.0
    return float(fdtrc(n_more, n_free, max(without - left, 0.0) / n_more / (left / n_free)))


def parts(kind: Range) -> set[str]:
    """Return the names of the options of a choice, or of the thirds of a range with values."""
    if isinstance(kind, Categories):
        return {repr(choice) for choice in kind.choices}
    if not kind.step or kind.high - kind.low >= _N_PARTS * kind.step:
        return {str(part) for part in range(_N_PARTS)}
    n_steps = round((kind.high - kind.low) / kind.step)
    return {part_of(kind, kind.low + n * kind.step) for n in range(n_steps + 1)}


def part_of(kind: Range, value: Scalar) -> str:
    """Return the name of an option, or of the third of a range in which a number lies."""
    if isinstance(kind, Categories):
        return repr(value)
    assert isinstance(value, int | float)
    return _third(position(kind, value))


def _third(place: float) -> str:
    return str(min(int(_N_PARTS * place), _N_PARTS - 1))


def _parts_of(evidence: Evidence, trials: Sequence[TrialRecord], name: str) -> list[str]:
    """Return the part of a parameter in which each trial is, as `part_of` names it."""
    if isinstance(evidence.ranges[name], Categories):
        return [repr(trial.params[name]) for trial in trials]
    return [*map(_third, evidence.positions_of(name, trials))]


def _indicators(names: Sequence[str]) -> Array:
    """Return (n, n_parts) with a 1 where a trial is in a part."""
    is_in: NDArray[np.bool_] = np.array(names)[:, None] == np.unique(names)
    return is_in.astype(float)


def _residual(design: Array, score: Array) -> tuple[float, int]:
    """Return the sum of squares that a linear model leaves, and the model's rank."""
    fitted, _, rank, _ = np.linalg.lstsq(design, score, rcond=None)
    left = score - design @ fitted
    return float(left @ left), int(rank)
