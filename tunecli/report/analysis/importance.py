"""How much each parameter matters: Optuna's default evaluator, on counts instead of trials.

That evaluator is PED-ANOVA (https://arxiv.org/abs/2304.10255) in its form for conditional
parameters (https://arxiv.org/abs/2601.20800): a parameter of a branch is evaluated among the
trials that have it, and weighted by their share. It measures what the best tenth of the trials
have in common.

The evaluator needs no more of the trials than how many values of a parameter lie in each of at
most 50 cells of its range. The cell of each value is computed once; then a resample of the trials
takes a few counts. The densities are Optuna's own.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.guessing import UNBEATEN, is_guessing_beaten
from tunecli.report.analysis.ranking import once_per_study, ranked
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range

Indices = NDArray[np.intp]

ENOUGH_TRIALS = 10

_TOP = 0.1  # the evaluator's share of best trials
_FEWEST = 5  # trials; with fewer, the share of a rare branch's parameter would be chance
_FEWEST_ALIKE = 2  # trials that drew a parameter from one range, for the evaluator to count them
_MOST_CELLS = 50  # of the evaluator's grid


@dataclass(frozen=True)
class Importance:
    """The importance of each parameter, largest first.

    Attributes:
        n_trials: complete trials that it rests on.
        values: shares, with a sum of 1.
        left_out: why a parameter has no importance.
        reason: why nothing could be computed; empty if something could.
    """

    n_trials: int
    values: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


@once_per_study
def importance(study: StudyRecord) -> Importance:
    """Return the importance of parameters over the complete trials of a study."""
    trials = ranked(study)
    reason = _why_not(trials) or ("" if is_guessing_beaten(study) else UNBEATEN)
    if reason:
        return Importance(len(trials), reason=reason)
    left_out = _left_out(trials)
    names = [name for name in _names(trials) if name not in left_out]
    if not names:
        reason = "no parameter varies"
        return Importance(len(trials), left_out=left_out, reason=reason)
    evaluator = PedAnova.of(study, trials, names)
    return Importance(len(trials), evaluator.importances(np.arange(len(trials)), names), left_out)


def _why_not(trials: Sequence[TrialRecord]) -> str:
    """Return why importance cannot be computed, or an empty text. Args: `trials`: best first."""
    if len(trials) < ENOUGH_TRIALS:
        return f"{ENOUGH_TRIALS} complete trials are needed; this study has {len(trials)}"
    values = [trial.value for trial in trials if trial.value is not None]
    return "the scores hardly differ" if hardly_differ(values) else ""


def hardly_differ(values: Sequence[float]) -> bool:
    """Return whether the best tenth is no better than the rest.

    Args:
        values: best first.
    """
    return values[math.ceil(_TOP * len(values)) - 1] == values[-1]


def _names(trials: Sequence[TrialRecord]) -> list[str]:
    return list(dict.fromkeys(name for trial in trials for name in trial.params))


def _left_out(trials: Sequence[TrialRecord]) -> dict[str, str]:
    reasons = {}
    for name in _names(trials):
        ranges = [trial.ranges[name] for trial in trials if name in trial.ranges]
        if len(ranges) < _FEWEST:
            have = "trial has" if len(ranges) == 1 else "trials have"
            reasons[name] = f"only {len(ranges)} complete {have} it"
        elif all(_is_single(kind) for kind in ranges):
            reasons[name] = "its range is a single value"
        elif len({_shape(kind) for kind in ranges}) > 1:
            reasons[name] = "its range changed its type"
    return reasons


def _is_single(kind: Range) -> bool:
    match kind:
        case Categories(choices):
            return len(choices) == 1
        case FloatRange() | IntRange():
            return kind.low == kind.high


def _shape(kind: Range) -> object:
    """Return what Optuna requires to be the same in all trials of a study."""
    match kind:
        case Categories(choices):
            return tuple((type(choice), choice) for choice in choices)
        case FloatRange() | IntRange():
            return type(kind), kind.log


@dataclass(frozen=True)
class _Drawn:
    """The trials that drew a parameter from one range.

    Attributes:
        trials: (m,) their indices.
        cells: (m,) the cell of each one's value.
        density: returns the density of each cell, from the number of values in each.
    """

    trials: Indices
    cells: Indices
    n_cells: int
    density: Callable[[Indices], NDArray[np.float64]]

    def divergence(self, n_times: Indices, is_top: NDArray[np.bool_]) -> float:
        """Return how far the density of the top trials is from that of all (Pearson).

        Args:
            n_times: (n_trials,) how often each trial counts.
        """
        everywhere, top = n_times[self.trials], (n_times * is_top)[self.trials]
        of_all = self.density(self._counts(everywhere)) + 1e-12
        of_top = self.density(self._counts(top)) + 1e-12
        return float(of_all @ ((of_top / of_all - 1) ** 2))

    def _counts(self, n_times: Indices) -> Indices:
        return np.bincount(np.repeat(self.cells, n_times), minlength=self.n_cells)


@dataclass(frozen=True)
class PedAnova:
    """The evaluator for some trials of a study.

    Attributes:
        losses: (n_trials,) values, smaller is better; trials are in the order of their numbers.
        ranges: (n_trials,) the index in `drawn` of the range of each trial, by parameter; that of
            a trial without the parameter is -1.
        drawn: the trials of each range with more than one value; None for the others.
    """

    losses: NDArray[np.float64]
    ranges: Mapping[str, Indices]
    drawn: Mapping[str, Sequence[_Drawn | None]]

    @classmethod
    def of(
        cls, study: StudyRecord, trials: Sequence[TrialRecord], names: Sequence[str]
    ) -> PedAnova:
        """Return the evaluator for complete trials with finite values, in any order."""
        by_number = sorted(trials, key=lambda trial: trial.number)
        sign = -1.0 if study.direction == "maximize" else 1.0
        losses = sign * np.array([trial.value for trial in by_number], float)
        columns = {name: _column(by_number, name) for name in names}
        return cls(
            losses,
            {name: ranges for name, (ranges, _) in columns.items()},
            {name: drawn for name, (_, drawn) in columns.items()},
        )

    def importances(self, order: Indices, names: Sequence[str]) -> dict[str, float]:
        """Return the importances of these parameters, largest first, with a sum of 1.

        Args:
            order: indices of the trials that count; one may be among them more than once.
        """
        losses = self.losses[order]
        last = math.ceil(_TOP * len(order)) - 1
        is_top = self.losses <= np.partition(losses, last)[last]
        n_times = np.bincount(order, minlength=len(self.losses))
        squared = (int(n_times @ is_top) / len(order)) ** 2
        shares = {name: self._share(name, order, n_times, is_top) * squared for name in names}
        largest_first = sorted(shares.items(), key=itemgetter(1))[::-1]  # Optuna's order of equals
        whole = sum(share for _, share in largest_first)
        return {n: share / whole if whole else 1 / len(names) for n, share in largest_first}

    def _share(
        self, name: str, order: Indices, n_times: Indices, is_top: NDArray[np.bool_]
    ) -> float:
        """Return what a parameter explains, over all ranges that it was drawn from."""
        codes, first = np.unique(self.ranges[name][order], return_index=True)
        n_top, share = int(n_times @ is_top), 0.0
        for code in codes[np.argsort(first)]:
            drawn = self.drawn[name][code] if code >= 0 else None
            if drawn is None:
                continue
            n_here = int(n_times[drawn.trials].sum())
            n_top_here = int(n_times[drawn.trials] @ is_top[drawn.trials])
            if n_here >= _FEWEST_ALIKE and n_top_here:
                weight = (n_top_here / n_top) ** 2 / (n_here / len(order))
                share += weight * drawn.divergence(n_times, is_top)
        return share


def _column(trials: Sequence[TrialRecord], name: str) -> tuple[Indices, list[_Drawn | None]]:
    """Return the index of the range of each trial that has a parameter, and what each range drew.

    Ranges that Optuna takes as equal are one.
    """
    from tunecli.database.trials import to_distribution  # imports Optuna, which is slow

    codes: dict[object, int] = {}
    of_range: dict[Range, int] = {}
    for kind in dict.fromkeys(trial.ranges[name] for trial in trials if name in trial.ranges):
        of_range[kind] = codes.setdefault(to_distribution(kind), len(codes))
    ranges = np.array([of_range[t.ranges[name]] if name in t.ranges else -1 for t in trials])
    kinds = {code: kind for kind, code in reversed(of_range.items())}
    drawn = [_drawn(trials, name, kinds[code], ranges == code) for code in range(len(codes))]
    return ranges, drawn


def _drawn(
    trials: Sequence[TrialRecord], name: str, kind: Range, has_it: NDArray[np.bool_]
) -> _Drawn | None:
    from tunecli.database.trials import to_distribution

    if _is_single(kind):
        return None
    places = np.flatnonzero(has_it)
    values: Sequence[Any] = [trials[place].params[name] for place in places.tolist()]
    density = _parzen_density()
    if isinstance(kind, Categories):
        index_of = to_distribution(kind).to_internal_repr
        cells = np.array([int(index_of(value)) for value in values])
        return _Drawn(places, cells, len(kind.choices), lambda counts: density(counts, kind))
    cells, n_cells = _cells(kind, values)
    return _Drawn(places, cells, n_cells, lambda counts: density(counts, IntRange(0, n_cells - 1)))


def _cells(kind: FloatRange | IntRange, values: Sequence[float]) -> tuple[Indices, int]:
    """Return the cell of each number in the evaluator's grid, and the number of cells."""
    n_cells = _MOST_CELLS
    if isinstance(kind, IntRange) and kind.log:
        size = int(np.ceil(np.log(kind.high - kind.low + 1) / np.log(2))) + 1
        n_cells = min(size, _MOST_CELLS)
    elif kind.step is not None:
        n_cells = min(round((kind.high - kind.low) / kind.step) + 1, _MOST_CELLS)
    low, high = (math.log(kind.low), math.log(kind.high)) if kind.log else (kind.low, kind.high)
    scaled = np.log(values) if kind.log else np.asarray(values)
    cells = np.ceil((scaled - low) / ((high - low) / (n_cells - 1)) - 0.5).astype(int)
    return np.clip(cells, 0, n_cells - 1), n_cells


@cache
def _parzen_density() -> Callable[[Indices, Range], NDArray[np.float64]]:
    """Return Optuna's density over the cells of a range, from the number of values in each."""
    from tunecli.database.trials import to_distribution

    estimator = _without_other_evaluators().ScottParzenEstimator

    def density(counts: Indices, cells: Range) -> NDArray[np.float64]:
        observed = np.flatnonzero(counts)
        fitted = estimator(observed, to_distribution(cells), counts[observed], prior_weight=1.0)
        found: NDArray[np.float64] = fitted.pdf(np.arange(len(counts)))
        return found

    return density


def _without_other_evaluators() -> Any:
    """Import the densities of Optuna's evaluator without its other evaluators.

    Those import scikit-learn and pandas, which would take more time than a whole report.
    """
    package, module = "optuna.importance", "optuna.importance._ped_anova.scott_parzen_estimator"
    if package in sys.modules:
        return import_module(module)
    spec = find_spec(package)
    assert spec is not None
    sys.modules[package] = module_from_spec(spec)  # its own code is not run
    try:
        return import_module(module)
    finally:
        del sys.modules[package]  # so that whoever imports it later gets all of it
