"""Rules for arguments of samplers and pruners beyond their types, checked without Optuna.

The bounds are those of Optuna's constructors and of the documentation of each argument. Before a
search starts, the constructors themselves are called (`search/try_optuna.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunecli.study_file.catalogue.component_arguments import ArgumentProblem
from tunecli.study_file.catalogue.value_types import Interval, is_number
from tunecli.study_file.read.study_name import STUDY_NAME
from tunecli.study_file.settings.ranges import FloatRange, Parameter
from tunecli.study_file.settings.search_settings import AUTO, SearchSettings
from tunecli.study_file.settings.settings import (
    Component,
)
from tunecli.study_file.text.dump import inline

BOUNDS: dict[str, Interval] = {
    name: Interval.of(written)
    for name, written in {
        "n_startup_trials": "[0, inf)",
        "n_ei_candidates": "[1, inf)",
        "popsize": "[2, inf)",
        "population_size": "[2, inf)",
        "mutation_prob": "[0, 1]",
        "crossover_prob": "[0, 1]",
        "swapping_prob": "[0, 1]",
        "n_warmup_steps": "[0, inf)",
        "warmup": "[0, 1)",
        "interval_steps": "[1, inf)",
        "n_min_trials": "[1, inf)",
        "percentile": "[0, 100]",
        "patience": "[0, inf)",
        "min_delta": "[0, inf)",
        "min_resource": "[1, inf)",
        "max_resource": "[1, inf)",
        "reduction_factor": "[2, inf)",
        "min_early_stopping_rate": "[0, inf)",
        "bootstrap_count": "[0, inf)",
    }.items()
}
"""Bounds of arguments; each means the same in every class."""

HALVING = frozenset({"SuccessiveHalvingPruner", "HyperbandPruner"})

_EXCLUSIVE = (
    ("use_separable_cma", "with_margin"),
    ("use_separable_cma", "lr_adapt"),
    ("with_margin", "lr_adapt"),
)
"""Arguments of CmaEsSampler of which only one may be true."""


LEARNERS = ("TPESampler", "GPSampler", AUTO.name)
"""Samplers that can learn from trials that they did not suggest; `auto` takes one of them."""


def lesson_mistakes(search: SearchSettings) -> Iterator[str]:
    """Yield mistakes in `learn_from`."""
    for name in search.learn_from:
        if not STUDY_NAME.match(name):
            yield f"must be study names, but {inline(name)} is not a valid study name."
    if search.learn_from and search.sampler.name not in LEARNERS:
        name = search.sampler.name.removesuffix("Sampler")
        yield (
            f"{name} cannot learn from trials that it did not suggest. Use sampler: TPE or GP, "
            "or leave learn_from out."
        )


def multi_objective_mistakes(search: SearchSettings) -> Iterator[tuple[str, str]]:
    """Yield (setting, message) of what cannot be combined with several objectives."""
    if search.sampler.name == "CmaEsSampler":
        yield (
            "sampler",
            "CMA-ES supports only one objective. Use sampler: TPE, NSGAII or NSGAIII, or turn the "
            "other objectives into constraints.",
        )
    if search.learn_from:
        yield (
            "learn_from",
            "learning from other studies supports only one objective. Leave learn_from out.",
        )


def search_mistakes(component: Component) -> Iterator[ArgumentProblem]:
    """Yield mistakes in the arguments of a sampler or pruner whose types are right."""
    yield from _out_of_bounds(component)
    yield from _contradictions(component)
    for name, value in component.arguments.items():
        if not isinstance(value, Component):
            continue
        if component.name == "PatientPruner" and value.name in HALVING:
            short = value.name.removesuffix("Pruner")
            yield (
                (name,),
                f"Patient cannot wrap {short}, which decides at only a few evaluations, "
                "usually before patience runs out. Wrap Median, Percentile or Threshold.",
            )
        for path, message in search_mistakes(value):
            yield (name, value.name, *path), message


def _out_of_bounds(component: Component) -> Iterator[ArgumentProblem]:
    for name, value in component.arguments.items():
        if name in BOUNDS and is_number(value) and value not in BOUNDS[name]:
            yield (name,), f"{name} must be {BOUNDS[name]}, but got {value:g}."
        if name in BOUNDS and isinstance(value, str) and value != "auto":
            yield (name,), f"{name} must be a number or `auto`, but got {inline(value)}."


def _contradictions(component: Component) -> Iterator[ArgumentProblem]:
    given = component.arguments
    for one, other in _EXCLUSIVE:
        if given.get(one) is True and given.get(other) is True:
            yield (other,), f"{one} and {other} cannot be combined. Remove one of them."
    if given.get("group") is True and given.get("multivariate") is False:
        yield ("group",), "group requires multivariate: true. Leave out multivariate or group."
    if "warmup" in given and "n_warmup_steps" in given:
        yield (
            ("warmup",),
            "warmup is a share of a trial's evaluations and n_warmup_steps a number of them. "
            "Remove one of them.",
        )
    if component.name == "HyperbandPruner":
        low, high = given.get("min_resource"), given.get("max_resource")
        if is_number(low) and is_number(high) and low > high:
            yield (
                ("min_resource",),
                f"min_resource must not be above max_resource, but got {low:g} and {high:g}.",
            )
    if component.name == "ThresholdPruner":
        low, high = given.get("lower"), given.get("upper")
        if low is None and high is None:
            yield (), "Threshold requires lower or upper, the score at which a trial is stopped."
        elif is_number(low) and is_number(high) and low > high:
            yield ("upper",), f"lower must not be above upper, but got {low:g} and {high:g}."


def sampler_conflicts(sampler: Component, parameters: Sequence[Parameter]) -> Iterator[str]:
    """Yield what keeps an exhaustive sampler from visiting every point."""
    short = sampler.name.removesuffix("Sampler")
    if short not in ("Grid", "BruteForce"):
        return
    for parameter in parameters:
        given = parameter.range
        if isinstance(given, FloatRange) and given.step is None and given.low < given.high:
            yield (
                f"{short} needs finitely many points, but {parameter.name} is a continuous range. "
                "Give it a step, make it a choice, or write sampler: TPE."
            )
        if short == "Grid" and parameter.conditions:
            condition = parameter.conditions[-1].parameter
            yield (
                f"Grid does not support branches, but {parameter.name} depends on {condition}. "
                "Write sampler: BruteForce or TPE."
            )
