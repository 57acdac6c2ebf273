"""What one parameter does to the score while the others are accounted for: a linear model.

Scores are turned into normal scores of their ranks, so that a few terrible trials do not hide the
differences among the good ones. A number enters by its position in its range and the square of
that, a choice by an indicator per option; a parameter that a trial lacks adds nothing. What the
other parameters explain is removed from both sides first (Frisch and Waugh, 1933). This also keeps
a sampler that converges in all parameters at once from making one look like another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.study_file.settings.ranges import Categories

Array = NDArray[np.float64]


_TRIALS_PER_COLUMN = 4
_N_PERMUTATIONS = 300


@dataclass(frozen=True)
class Effect:
    """What a parameter explains in addition to the others.

    Attributes:
        score: (n,) normal scores of the trials without what the other parameters explain.
        columns: (n, 1 or more) the parameter's columns without what the others explain.
        explained: share of the variance of all normal scores that the others explain.
    """

    score: Array
    columns: Array
    explained: float

    @property
    def share(self) -> float:
        """Share of the variance left by the others that the parameter explains."""
        return _share(self.score, _orthonormal(self.columns))


def effect_of(evidence: Evidence, trials: Sequence[TrialRecord], name: str) -> Effect | None:
    """Return the effect of a parameter among trials that all have it; None if it does not vary.

    Args:
        trials: ranked, best first.
    """
    own = design_columns(evidence, trials, name)
    if not own.shape[1]:
        return None
    score = _normal_scores(evidence.all_goodness(trials))
    nuisance = _orthonormal(other_columns(evidence, trials, name, score, own.shape[1]))
    left = score - nuisance @ (nuisance.T @ score)
    own = own - nuisance @ (nuisance.T @ own)
    if np.linalg.norm(own) < 1e-9 * len(trials):
        return None
    explained = 1.0 - float(left @ left) / max(float(score @ score), 1e-12)
    return Effect(left, own, explained)


def design_columns(evidence: Evidence, trials: Sequence[TrialRecord], name: str) -> Array:
    """Return (n, k) centred columns of a parameter; k is 0 if it has one value in all trials.

    They are computed once for the same trials: each parameter needs those of all others.
    """
    return _designs(evidence, trials, [name])[0][0]


def _designs(
    evidence: Evidence, trials: Sequence[TrialRecord], names: Iterable[str]
) -> list[tuple[Array, Array]]:
    """Return the columns of each parameter, and an orthonormal basis of their space."""
    ids, found = tuple(map(attrgetter("trial_id"), trials)), []
    for name in names:
        if (name, ids) not in evidence.designs:
            columns = _design_columns(evidence, trials, name)
            evidence.designs[name, ids] = columns, _orthonormal(columns)
        found.append(evidence.designs[name, ids])
    return found


def _design_columns(evidence: Evidence, trials: Sequence[TrialRecord], name: str) -> Array:
    kind = evidence.ranges[name]
    if isinstance(kind, Categories):
        values = [repr(trial.params[name]) if name in trial.params else "" for trial in trials]
        levels = sorted(set(values))[1:]
        columns = np.array([[value == level for level in levels] for value in values], float)
    else:
        places = evidence.places(name)
        held = [places[trial.trial_id] if name in trial.params else None for trial in trials]
        centred = np.array([0.0 if place is None else place - 0.5 for place in held])
        n_distinct = len({*held} - {None})
        powers = [] if n_distinct < 2 else [centred] if n_distinct == 2 else [centred, centred**2]
        columns = np.array(powers).T
    return (columns - columns.mean(axis=0)) if columns.size else np.zeros((len(trials), 0))


def permutation_p(effect: Effect, rng: np.random.Generator) -> float:
    """Return how often the parameter's values in random order explain as much."""
    own = _orthonormal(effect.columns)
    observed = _share(effect.score, own)
    columns = np.ascontiguousarray(own.T)
    orders = (rng.permutation(len(own)) for _ in range(_N_PERMUTATIONS))
    projected = np.array([columns.take(order, axis=1) @ effect.score for order in orders])
    shares = (projected**2).sum(axis=1) / max(float(effect.score @ effect.score), 1e-12)
    return float((1 + (shares >= observed - 1e-12).sum()) / (1 + _N_PERMUTATIONS))


def other_columns(
    evidence: Evidence,
    trials: Sequence[TrialRecord],
    name: str,
    score: Array,
    n_own: int,
    *,
    trials_per_column: int = _TRIALS_PER_COLUMN,
) -> Array:
    """Return columns of the other parameters, the most explanatory first, as many as fit.

    Args:
        score: (n,) centred scores, which decide what is explanatory.
        n_own: columns that the model has already, besides its constant.
        trials_per_column: fewest trials for each column of the model.
    """
    room = len(trials) // trials_per_column - n_own - 1
    candidates = _designs(evidence, trials, (one for one in evidence.ranges if one != name))
    filled = [design for design in candidates if design[0].shape[1]]
    filled.sort(key=lambda design: -_share(score, design[1]))
    chosen = [np.zeros((len(trials), 0))]
    for columns, _ in filled:
        if columns.shape[1] <= room:
            chosen.append(columns)
            room -= columns.shape[1]
    return np.hstack(chosen)


def _orthonormal(columns: Array) -> Array:
    """Return (n, rank) an orthonormal basis of the space of the columns."""
    if not columns.shape[1]:
        return columns
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, sizes > 1e-9 * max(float(sizes[0]), 1e-12)]


def _share(score: Array, basis: Array) -> float:
    return float(((basis.T @ score) ** 2).sum() / max(float(score @ score), 1e-12))


def _normal_scores(values: Sequence[float] | Array) -> Array:
    """Return Blom's normal scores of the ranks, ties averaged; mean 0."""
    scores: Array = ndtri((ranks(values) - 0.375) / (len(values) + 0.25))
    centred: Array = scores - scores.mean()
    return centred


def ranks(values: Sequence[float] | Array) -> Array:
    """Return (n,) ranks from 1, where equal values share their mean rank."""
    _, inverse, n_equal = np.unique(values, return_inverse=True, return_counts=True)
    means: Array = np.cumsum(n_equal) - (n_equal - 1) / 2
    return means[inverse]
