"""Optuna's TPE, to the same suggestions, without computing again what it computed before.

TPE divides all trials into good and bad ones and reads their parameters anew for each parameter of
a suggestion, and it integrates normal densities over the steps of integer ranges one number at a
time. The division is the same for all parameters, and the rest for all other trials.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe import _truncnorm
from optuna.samplers._tpe.sampler import _split_trials, default_gamma
from optuna.trial import FrozenTrial, TrialState

Rows = dict[int, tuple[float, ...] | None]
"""What trials drew, as Optuna represents it, by `trial_id`; None if a parameter is missing."""

Divided = tuple[list[FrozenTrial], list[FrozenTrial]]
"""The good trials and the bad ones."""

_MOST_INTEGRALS = 2**17
"""Integrals that are kept, 20 MB; Optuna keeps 1,000. An integer range from 8 to 256 needs about
60,000 of them, whatever the number of trials.
"""


class TrialRows:
    """What trials drew, which the samplers of one search share.

    A sampler is made for each suggestion, so it cannot keep anything itself. Trials are suggested
    one after another, so a running one has all its parameters before the next one is suggested.
    """

    def __init__(self) -> None:
        self._of: dict[tuple[str, ...], Rows] = {}

    def of(self, names: tuple[str, ...]) -> Rows:
        """Return the rows with these parameters, to be read and added to."""
        return self._of.setdefault(names, {})


class KeepingTPE(TPESampler):
    """TPE with the rows of other trials at hand. Args: `arguments`: those of `TPESampler`."""

    def __init__(self, rows: TrialRows, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._rows = rows
        self._divided: dict[int, Divided] = {}

    def _sample(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if study._is_multi_objective():
            return super()._sample(study, trial, search_space)
        if trial.number not in self._divided:
            self._divided = {trial.number: self._divide(study, trial)}
        good, bad = (
            self._build_parzen_estimator(study, search_space, trials, handle_below=is_good)
            for trials, is_good in zip(self._divided[trial.number], (True, False), strict=True)
        )
        drawn = good.sample(self._rng.rng, self._n_ei_candidates)
        best = self._compare(drawn, self._compute_acquisition_func(drawn, good, bad))
        return {name: kind.to_external_repr(best[name]) for name, kind in search_space.items()}

    def _divide(self, study: Study, trial: FrozenTrial) -> Divided:
        """Return the good and the bad trials, from which each parameter is sampled."""
        states = [TrialState.COMPLETE, TrialState.PRUNED]
        if self._constant_liar:
            states.append(TrialState.RUNNING)
        others = [
            other
            for other in study._get_trials(
                deepcopy=False, states=states, use_cache=not self._constant_liar
            )
            if other.number != trial.number
        ]
        n_ended = sum(other.state != TrialState.RUNNING for other in others)
        return _split_trials(study, others, (self._gamma or default_gamma)(n_ended))

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, NDArray[Any]]:
        known = self._rows.of(tuple(search_space))
        new = [trial for trial in trials if trial._trial_id not in known]
        known.update({trial._trial_id: self._row(trial, search_space, study) for trial in new})
        rows = [row for trial in trials if (row := known[trial._trial_id]) is not None]
        columns = zip(*rows, strict=True) if rows else [()] * len(search_space)
        return {
            name: np.asarray(column) for name, column in zip(search_space, columns, strict=True)
        }

    def _row(
        self, trial: FrozenTrial, space: dict[str, BaseDistribution], study: Study
    ) -> tuple[float, ...] | None:
        params = self._get_params(trial, study)
        if not space.keys() <= params.keys():
            return None
        return tuple(kind.to_internal_repr(params[name]) for name, kind in space.items())


def keep_more_integrals() -> None:
    """Let Optuna keep more of the integrals that it computes one number at a time."""
    kept: Any = getattr(_truncnorm, "_log_ndtr_single", None)  # other versions compute otherwise
    if hasattr(kept, "cache_parameters") and kept.cache_parameters()["maxsize"] < _MOST_INTEGRALS:
        _truncnorm._log_ndtr_single = lru_cache(_MOST_INTEGRALS)(kept.__wrapped__)
