"""Optuna's TPE, to the same suggestions, without computing again what it computed before.

TPE reads the parameters of all trials anew for each suggestion, and it integrates normal densities
over the steps of integer ranges one number at a time. Neither changes for a trial that has ended.
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
from optuna.trial import FrozenTrial

Rows = dict[int, tuple[float, ...] | None]
"""What ended trials drew, as Optuna represents it, by `trial_id`; None for a trial that lacks a
parameter.
"""

_MOST_INTEGRALS = 2**17
"""Integrals that are kept, 20 MB; Optuna keeps 1,000. An integer range from 8 to 256 needs about
60,000 of them, whatever the number of trials.
"""


class TrialRows:
    """What ended trials drew, which the samplers of one search share.

    A sampler is made for each suggestion, so it cannot keep anything itself.
    """

    def __init__(self) -> None:
        self._of: dict[tuple[str, ...], Rows] = {}

    def of(self, names: tuple[str, ...]) -> Rows:
        """Return the rows with these parameters, to be read and added to."""
        return self._of.setdefault(names, {})


class KeepingTPE(TPESampler):
    """TPE with the rows of ended trials at hand. Args: `arguments`: those of `TPESampler`."""

    def __init__(self, rows: TrialRows, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._rows = rows

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, NDArray[Any]]:
        known = self._rows.of(tuple(search_space))
        rows = []
        for trial in trials:
            key = trial._trial_id
            row = known[key] if key in known else self._row(trial, search_space, study)
            if trial.state.is_finished():
                known[key] = row
            if row is not None:
                rows.append(row)
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
