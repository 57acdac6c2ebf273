"""Optuna's samplers, each made anew for every trial, and what each of them may see.

A fresh sampler seeded from `(seed, n)` keeps no state of its own between trials, so that a resumed
search suggests what an uninterrupted one would have (`sampling.py`).
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from optuna import samplers
from optuna.exceptions import ExperimentalWarning
from optuna.search_space import IntersectionSearchSpace

from tunecli.search.suggest.distributions import to_distribution
from tunecli.study_file.settings.ranges import Categories, Parameter
from tunecli.study_file.settings.settings import Component

Continues = Literal["rebuilt", "replayed", "enumerated"]


@dataclass(frozen=True)
class SamplerKind:
    """How a sampler is made, fed and continued.

    Attributes:
        continues: `rebuilt`: what it learned is in the trials alone; `replayed`: it keeps more in
            the study, so a resumed search asks again from the start; `enumerated`: no sampler at
            all, the points of a finite space in a shuffled order.
        learns_from_pruned: sees unfinished trials as PRUNED; otherwise a pruned trial is shown as
            complete with its last mean, and one without a value with the worst value so far.
        weighs_violations: of two trials beyond their limits, takes the one that is less so.
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
    """The seed of trial `number`'s suggestion, in [0, 2**32)."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def make_sampler(
    component: Component, seed: int, number: int, *, branches: bool
) -> samplers.BaseSampler:
    """The sampler that suggests trial `number`.

    Args:
        component: its name in optuna.samplers, and its arguments.
        branches: whether the space has conditional parameters; TPE then models each group of
            parameters that occur together.
    """
    own_seed = trial_seed(seed, number)
    arguments = _defaults(component, seed, own_seed, branches) | component.arguments
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # `group` and some arguments
        warnings.simplefilter("ignore", FutureWarning)  # a newer Optuna's, at every trial
        return _CLASSES[component.name](**arguments)


def _defaults(component: Component, seed: int, own_seed: int, branches: bool) -> dict[str, Any]:
    match component.name:
        case "TPESampler":
            if branches and component.arguments.get("multivariate", True):
                return {"seed": own_seed, "group": True, "multivariate": True}
            return {"seed": own_seed}  # with several objectives Optuna's is not multivariate
        case "CmaEsSampler":
            return {"seed": own_seed, "warn_independent_sampling": False}
        case "QMCSampler":  # its scramble must be the same for every point of the sequence
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
    """What all trials have in common: the space that a sampler models together.

    A sampler would find it in the trials, anew for each of them. It would also begin with the
    parameters of a branch while no trial has taken another, and CMA-ES breaks when some drop out.
    TPE finds its own, since it models branches.
    """
    if component.name == "TPESampler":
        return IntersectionSearchSpace(include_pruned=True)
    space = IntersectionSearchSpace()
    space._search_space = {p.name: to_distribution(p.range) for p in searched if not p.conditions}
    return space


def share_space(space: IntersectionSearchSpace, sampler: samplers.BaseSampler) -> None:
    """Let a sampler go on from the search space of the one before it."""
    for name in ("_search_space", "_intersection_search_space"):
        if isinstance(getattr(sampler, name, None), IntersectionSearchSpace):
            setattr(sampler, name, space)


def _one_torch_thread() -> None:
    """GP computes with torch in the driver, and its rounding follows the number of threads."""
    import torch

    torch.set_num_threads(1)


_CLASSES: Mapping[str, Callable[..., samplers.BaseSampler]] = {
    "RandomSampler": samplers.RandomSampler,
    "TPESampler": samplers.TPESampler,
    "GPSampler": samplers.GPSampler,
    "CmaEsSampler": samplers.CmaEsSampler,
    "NSGAIISampler": samplers.NSGAIISampler,
    "NSGAIIISampler": samplers.NSGAIIISampler,
    "QMCSampler": samplers.QMCSampler,
}


def drawn_independently(sampler: str, searched: Sequence[Parameter]) -> list[str]:
    """Parameters that a sampler draws one by one, at random, while it models the others together.

    Random draws all so, and the rest of those not named here none.
    """
    conditional = [p.name for p in searched if p.conditions]
    match sampler:
        case "QMCSampler" | "GPSampler":
            return conditional
        case "CmaEsSampler":
            return [p.name for p in searched if p.conditions or isinstance(p.range, Categories)]
        case _:
            return []
