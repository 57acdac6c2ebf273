"""Optuna's samplers: one new instance per trial, and which trials each kind may see.

A new sampler seeded from `(seed, n)` keeps no state between trials, so a resumed search suggests
what an uninterrupted one would have suggested (`suggester.py`).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from optuna import samplers
from optuna.exceptions import ExperimentalWarning
from optuna.search_space import IntersectionSearchSpace

from tunecli.database.trials import to_distribution
from tunecli.search.suggest.tpe import KeepingTPE, TrialRows, keep_more_integrals
from tunecli.study_file.settings.ranges import Categories, Parameter
from tunecli.study_file.settings.settings import Component

Continues = Literal["rebuilt", "replayed", "enumerated"]


@dataclass(frozen=True)
class SamplerKind:
    """How a sampler learns and resumes.

    Attributes:
        continues: `rebuilt`: what it learned is in the trials alone; `replayed`: it keeps more in
            the study, so a resumed search asks again from the start; `enumerated`: not a sampler,
            but the points of a finite space in a shuffled order.
        learns_from_pruned: whether it sees trials that did not complete as PRUNED. Otherwise a
            pruned trial counts as complete with its last mean, and a trial without a value as
            complete with the worst value so far.
        weighs_violations: whether it prefers, of two trials that break limits, the one that breaks
            them by less.
    """

    continues: Continues
    learns_from_pruned: bool = False
    weighs_violations: bool = False


KINDS: Mapping[str, SamplerKind] = {
    "RandomSampler": SamplerKind("rebuilt"),
    "TPESampler": SamplerKind("rebuilt", learns_from_pruned=True, weighs_violations=True),
    "GPSampler": SamplerKind("rebuilt"),
    "CmaEsSampler": SamplerKind("replayed"),
    "NSGAIISampler": SamplerKind("replayed", weighs_violations=True),
    "NSGAIIISampler": SamplerKind("replayed", weighs_violations=True),
    "QMCSampler": SamplerKind("replayed"),
    "GridSampler": SamplerKind("enumerated"),
    "BruteForceSampler": SamplerKind("enumerated"),
}


def trial_seed(seed: int, number: int) -> int:
    """Return the seed for the suggestion of trial `number`, in [0, 2**32)."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def make_sampler(
    component: Component, seed: int, number: int, rows: TrialRows, *, branches: bool
) -> samplers.BaseSampler:
    """Return the sampler that suggests trial `number`.

    Args:
        component: its name in optuna.samplers, and its arguments.
        rows: what the samplers of a search share.
        branches: whether the space has conditional parameters; TPE then models each group of
            parameters that occur together.
    """
    own_seed = trial_seed(seed, number)
    arguments = _defaults(component, seed, own_seed, branches) | component.arguments
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # `group` and some arguments
        warnings.simplefilter("ignore", FutureWarning)  # a newer Optuna's, at every trial
        if component.name == "TPESampler":
            keep_more_integrals()
            return KeepingTPE(rows, **arguments)
        sampler: samplers.BaseSampler = getattr(samplers, component.name)(**arguments)
        return sampler


def _defaults(component: Component, seed: int, own_seed: int, branches: bool) -> dict[str, Any]:
    match component.name:
        case "TPESampler":
            if branches and component.arguments.get("multivariate", True):
                return {"seed": own_seed, "group": True, "multivariate": True}
            return {"seed": own_seed}  # multivariate by default only with one objective
        case "CmaEsSampler":
            return {"seed": own_seed, "warn_independent_sampling": False}
        case "QMCSampler":  # all points of the sequence need the same scramble
            independent = samplers.RandomSampler(seed=own_seed)
            return {
                "seed": seed,
                "independent_sampler": independent,
                "warn_independent_sampling": False,
                "warn_asynchronous_seeding": False,
            }
        case "GPSampler":
            _one_torch_thread()
            return {"seed": own_seed, "warn_independent_sampling": False}
        case _:
            return {"seed": own_seed}


def common_space(component: Component, searched: Sequence[Parameter]) -> IntersectionSearchSpace:
    """Return the space of the parameters that all trials have, which a sampler models together.

    A sampler would derive it from the trials, again for each suggestion. It would also include the
    parameters of a branch until a trial takes another branch, and CMA-ES breaks when parameters
    drop out. TPE derives its own, since it models branches.
    """
    if component.name == "TPESampler":
        return IntersectionSearchSpace(include_pruned=True)
    space = IntersectionSearchSpace()
    space._search_space = {p.name: to_distribution(p.range) for p in searched if not p.conditions}
    return space


def share_space(space: IntersectionSearchSpace, sampler: samplers.BaseSampler) -> None:
    """Give a sampler the search space of the previous one, so that it need not start over."""
    for name in ("_search_space", "_intersection_search_space"):
        if isinstance(getattr(sampler, name, None), IntersectionSearchSpace):
            setattr(sampler, name, space)


def _one_torch_thread() -> None:
    """Limit torch to one thread: GP uses it in the driver, and rounding depends on threads."""
    import torch

    torch.set_num_threads(1)


def drawn_independently(sampler: str, searched: Sequence[Parameter]) -> list[str]:
    """Return the parameters that a sampler draws independently while it models the others.

    Empty for Random, which draws all independently, and for the samplers that draw none so.
    """
    conditional = [p.name for p in searched if p.conditions]
    match sampler:
        case "QMCSampler" | "GPSampler":
            return conditional
        case "CmaEsSampler":
            return [p.name for p in searched if p.conditions or isinstance(p.range, Categories)]
        case _:
            return []
