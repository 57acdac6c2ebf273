"""The first trials of a study, which its sampler suggests before it learns from any other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tunecli.study_file.catalogue.component_arguments import signature
from tunecli.study_file.settings.search_settings import SearchSettings
from tunecli.study_file.settings.settings import Component

_START_UP = {
    "TPESampler": "n_startup_trials",
    "GPSampler": "n_startup_trials",
    "NSGAIISampler": "population_size",
    "NSGAIIISampler": "population_size",
}
"""The argument that says how many results a sampler waits for before it learns."""


@dataclass(frozen=True)
class BlindTrials:
    """How many trials a sampler suggests without learning, and why.

    Trial n is suggested from trials 0 … n - `parallel`, so it comes `parallel - 1` trials after
    the last result that it knows.

    Attributes:
        n: number of the study's first trials.
        n_results: number of results that the sampler waits for.
        delay: number of trials until a result counts; CMA-ES waits for its first trial, then for
            its first generation, so each delay counts.
    """

    n: int
    n_results: int
    delay: int


def blind_trials(search: SearchSettings, n_searched: int) -> BlindTrials | None:
    """Return the blind trials of a study.

    None for samplers that never learn, and with `learn_from`: how many results of other studies
    fit is not known before the search.

    Args:
        n_searched: number of searched parameters.
    """
    waits = _waits(search.sampler, n_searched)
    if not waits or search.learn_from:
        return None
    delay = search.parallel - 1 if search.order == "exact" else 0
    n = sum(waits) + delay * len(waits)
    return BlindTrials(min(n, search.trials), sum(waits), delay)


def _waits(sampler: Component, n_searched: int) -> list[int]:
    """Return the numbers of results that a sampler waits for, one after the other."""
    if sampler.name == "CmaEsSampler":  # then for its first generation, of cmaes' default size
        drawn = 4 + math.floor(3 * math.log(max(n_searched, 1)))
        waits = [_argument(sampler, "n_startup_trials"), _argument(sampler, "popsize") or drawn]
        return [wait for wait in waits if wait]
    name = _START_UP.get(sampler.name)
    return [max(_argument(sampler, name), 1)] if name else []


def _argument(sampler: Component, name: str) -> int:
    """Return a number that the study file gives, or else Optuna's default."""
    known = signature("sampler", sampler.name).argument(name)
    assert known is not None
    value: Any = sampler.arguments.get(name, known.default)
    return int(value or 0)
