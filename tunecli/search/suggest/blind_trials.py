"""The first trials of a study, which its sampler suggests before it learns from any other."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunecli.study_file.catalogue.component_arguments import signature
from tunecli.study_file.settings.search_settings import SearchSettings
from tunecli.study_file.settings.settings import Component

_START_UP = {
    "TPESampler": "n_startup_trials",
    "GPSampler": "n_startup_trials",
    "NSGAIISampler": "population_size",
    "NSGAIIISampler": "population_size",
}
"""The argument that says how many results a sampler needs before it learns."""


@dataclass(frozen=True)
class BlindTrials:
    """How many trials a sampler suggests without learning, and why.

    Trial n is suggested from trials 0 … n - `parallel`, so it comes `parallel - 1` trials after
    the last result that it knows.

    Attributes:
        n: number of the study's first trials.
        n_results: number of results that the sampler needs before it learns.
        delay: number of trials until a result counts.
    """

    n: int
    n_results: int
    delay: int


def blind_trials(search: SearchSettings, n_searched: int) -> BlindTrials | None:
    """Return the blind trials of a study; None for samplers that never learn.

    Args:
        n_searched: number of searched parameters.
    """
    needed = _results_needed(search.sampler, n_searched)
    if needed is None:
        return None
    delay = search.parallel - 1 if search.order == "exact" else 0
    return BlindTrials(min(needed + delay, search.trials), needed, delay)


def _results_needed(sampler: Component, n_searched: int) -> int | None:
    if sampler.name == "CmaEsSampler":  # its first generation is drawn, cmaes' default in size
        drawn = 4 + math.floor(3 * math.log(max(n_searched, 1)))
        return int(sampler.arguments.get("popsize") or drawn)
    if sampler.name not in _START_UP:
        return None
    known = signature("sampler", sampler.name).argument(_START_UP[sampler.name])
    assert known is not None
    return int(sampler.arguments.get(known.name, known.default))  # type: ignore[call-overload,no-any-return]
