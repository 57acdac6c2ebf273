"""Arguments of samplers and pruners: refused with the file where Optuna's constructors refuse."""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

import optuna
import pytest
from optuna.exceptions import ExperimentalWarning

from tunecli.errors import StudyFileError
from tunecli.search.prune.judge import make_pruner
from tunecli.search.prune.warmup_share import WARMUP, at_length
from tunecli.search.try_optuna import refuse_what_optuna_refuses
from tunecli.study_file.catalogue.component_arguments import WITHDRAWN, signature
from tunecli.study_file.catalogue.names import names
from tunecli.study_file.catalogue.value_types import Interval
from tunecli.study_file.read.sampler_rules import BOUNDS, HALVING, search_mistakes
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.study_file import StudyFile

HEAD = "data: digits\nmodel: MLP\noptimizer: {AdamW: {lr: 1e-3}}\n"
NEEDED = {"ThresholdPruner": {"upper": 1.0}, "PercentilePruner": {"percentile": 25.0}}
NEEDED["PatientPruner"] = {"wrapped_pruner": Component(name="MedianPruner"), "patience": 1}  # type: ignore[dict-item]

CASES = [
    (kind, name, argument.name)
    for kind in ("sampler", "pruner")
    for name in names(kind)
    for argument in signature(kind, name).arguments
    if argument.name in BOUNDS
]


def beyond(argument: str) -> list[float]:
    interval = BOUNDS[argument]
    above = [] if interval.high == math.inf else [interval.high + 1]
    return [interval.low - 1, *above]


@pytest.mark.parametrize(("kind", "name", "argument"), CASES)
def test_bounds_hold_in_the_file_and_at_them_all_is_well(
    kind: str, name: str, argument: str
) -> None:
    for value in beyond(argument):
        wrong = Component(name=name, arguments={**NEEDED.get(name, {}), argument: value})
        assert [path for path, _ in search_mistakes(wrong)] == [(argument,)]
    low = int(BOUNDS[argument].low)
    right = Component(name=name, arguments={**NEEDED.get(name, {}), argument: low})
    assert list(search_mistakes(right)) == []
    if kind == "pruner" and name not in HALVING:
        assert make_pruner(at_length(right, 20))


@pytest.mark.parametrize(
    ("search", "column", "path", "message"),
    [
        (
            "pruner: {Median: {n_startup_trials: -1}}",
            29,
            "pruner.Median.n_startup_trials",
            "at le",
        ),
        ("sampler: {TPE: {n_ei_candidates: 0}}", 28, "sampler.TPE.n_ei_candidates", "at least 1"),
        ("sampler: {NSGA-II: {population_size: 1}}", 32, "sampler.NSGA-II.population_size", "2"),
        (
            "pruner: {Hyperband: {max_resource: 3, min_resource: 9}}",
            46,
            "pruner.Hyperband.min_resource",
            "min_resource must not be above max_resource, but got 9 and 3.",
        ),
        (
            "pruner: {Median: {warmup: 1}}",
            29,
            "pruner.Median.warmup",
            "warmup must be at least 0 and below 1, but got 1.",
        ),
        (
            "pruner: {Median: {n_warmup_steps: 2, warmup: 0.2}}",
            46,
            "pruner.Median.warmup",
            "warmup is a share of a trial's evaluations and n_warmup_steps a number of them. "
            "Remove one of them.",
        ),
        ("pruner: Threshold", 10, "pruner", "Threshold requires lower or upper"),
        (
            "sampler: {TPE: {multivariate: false, group: true}}",
            49,
            "sampler.TPE.group",
            "group requires multivariate: true",
        ),
        (
            "pruner: {Patient: {patience: 1, wrapped_pruner: Hyperband}}",
            45,
            "pruner.Patient.wrapped_pruner",
            "Patient cannot wrap Hyperband",
        ),
    ],
)
def test_a_wrong_value_has_its_place(search: str, column: int, path: str, message: str) -> None:
    with pytest.raises(StudyFileError, match=re.escape(message)) as caught:
        StudyFile.from_text(f"{HEAD}search: {{{search}}}\n", "a.yaml")
    [problem] = caught.value.problems
    assert (problem.line, problem.path) == (4, f"search.{path}")
    assert abs(problem.column - column) < 25


def test_what_only_optuna_knows_has_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BOUNDS, "n_startup_trials", Interval())
    text = f"{HEAD}search:\n  pruner: {{Median: {{n_startup_trials: -1}}}}\n"
    study = StudyFile.from_text(text, "a.yaml")
    with pytest.raises(StudyFileError, match=r"^a.yaml:5:3: search.pruner: .*negative"):
        refuse_what_optuna_refuses(study)


GIVEN: dict[str, Any] = {
    "qmc_type": "halton",
    "wrapped_pruner": optuna.pruners.MedianPruner(),
    "percentile": 50.0,
    "min_resource": 2,
    "max_resource": 9,
    "popsize": 6,
    "crossover_prob": 0.5,
    "mutation_prob": 0.5,
    "swapping_prob": 0.4,
    "min_delta": 0.1,
    "lower": 0.0,
    "upper": 1.0,
}
"""Values that are no defaults, of arguments that take more than true, false or a whole number."""

BESIDE: dict[str, dict[str, Any]] = {
    "ThresholdPruner": {"upper": 1.0},
    "PercentilePruner": {"percentile": 25.0},
    "PatientPruner": {"wrapped_pruner": optuna.pruners.MedianPruner(), "patience": 1},
    "SuccessiveHalvingPruner": {"min_resource": 2},
    "HyperbandPruner": {"max_resource": 9},
    "GridSampler": {"search_space": {"x": [1]}},
}


def build(kind: str, name: str, argument: str, default: object) -> None:
    value = GIVEN.get(argument, not default if isinstance(default, bool | None) else 7)
    module = optuna.samplers if kind == "sampler" else optuna.pruners
    getattr(module, name)(**{**BESIDE.get(name, {}), argument: value})


@pytest.mark.parametrize(
    ("kind", "name", "argument", "default"),
    [
        (kind, name, argument.name, argument.default)
        for kind in ("sampler", "pruner")
        for name in names(kind)
        for argument in signature(kind, name).arguments
        if argument.name != WARMUP  # is tunecli's own
    ],
)
def test_no_argument_offered_is_one_that_optuna_means_to_remove(
    kind: str, name: str, argument: str, default: object
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ExperimentalWarning)
        build(kind, name, argument, default)


@pytest.mark.parametrize(
    ("name", "argument"), [(name, one) for name, given in WITHDRAWN.items() for one in given]
)
def test_what_optuna_means_to_remove_is_refused_at_its_line(name: str, argument: str) -> None:
    with pytest.warns(FutureWarning, match="deprecated"):
        build("sampler", name, argument, False if argument.startswith("consider") else 0)
    text = f"{HEAD}search:\n  sampler:\n    {name}:\n      {argument}: 2\n"
    with pytest.raises(StudyFileError, match=rf"^a\.yaml:7:7: .*{argument} of") as caught:
        StudyFile.from_text(text, "a.yaml")
    [problem] = caught.value.problems
    assert "Leave it out" in problem.message or "Write" in problem.message


@pytest.mark.parametrize("word", ["", "word", "Auto"])
@pytest.mark.parametrize(
    ("pruner", "argument"), [("Hyperband", "max_resource"), ("SuccessiveHalving", "min_resource")]
)
def test_a_length_is_a_number_or_auto(pruner: str, argument: str, word: str) -> None:
    component = Component(name=f"{pruner}Pruner", arguments={argument: word})
    [(path, message)] = search_mistakes(component)
    assert path == (argument,)
    assert message == f"{argument} must be a number or `auto`, but got {word!r}."
    assert [*search_mistakes(Component(name=component.name, arguments={argument: "auto"}))] == []
