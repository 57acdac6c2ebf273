"""Bounds of arguments: refused beyond them at their line, and at them torch builds and steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from training_cases import component

from tunecli.errors import StudyFileError
from tunecli.study_file.catalogue.bounds import BOUNDS, bound
from tunecli.study_file.catalogue.component_arguments import argument_type, signature
from tunecli.study_file.catalogue.names import names
from tunecli.study_file.catalogue.value_types import Interval, is_number
from tunecli.study_file.settings.settings import TrainingSettings
from tunecli.study_file.study_file import StudyFile
from tunecli.training.models.building import build_model
from tunecli.training.step.optimizers import build_optimizers, needs_closure
from tunecli.training.step.schedules import Rates
from tunecli.training.step.timetable import Timetable

NEEDED: dict[str, dict[str, Any]] = {
    "StepLR": {"step_size": 3},
    "MultiStepLR": {"milestones": [2, 5]},
    "ExponentialLR": {"gamma": 0.8},
    "CosineAnnealingWarmRestarts": {"T_0": 3},
}
BESIDE: dict[str, dict[str, Any]] = {
    "epochs": {"steps_per_epoch": 40},
    "steps_per_epoch": {"epochs": 40},
    "base_momentum": {"cycle_momentum": True},
    "max_momentum": {"cycle_momentum": True},
}
"""What an argument needs beside it to have a meaning."""

LISTS: dict[str, list[Any]] = {
    "betas": [0.9, 0.99],
    "etas": [0.5, 1.2],
    "step_sizes": [0, 50],
    "milestones": [2, 5],
}
NOT_NUMBERS = {"rest", "mode", "threshold_mode", "scale_mode", "anneal_strategy", "three_phase"}
NOT_NUMBERS |= {"cycle_momentum", "amsgrad", "decoupled_weight_decay", "centered", "nesterov"}
NOT_NUMBERS |= {"line_search_fn", "adjust_lr_fn", "ns_coefficients"}  # those may be any


def list_of(name: str, argument: str) -> list[Any] | None:
    return [1e-30, 1e-3] if (name, argument) == ("Adafactor", "eps") else LISTS.get(argument)


def cases() -> Iterator[tuple[str, str, str, int | None]]:
    for section in ("optimizer", "schedule"):
        for name in names(section):
            for argument in signature(section, name).arguments:
                if argument.name in NOT_NUMBERS:
                    continue
                items = list_of(name, argument.name)
                for index in range(len(items)) if items else [None]:
                    yield section, name, argument.name, index


CASES = list(cases())


def within(name: str, argument: str, index: int | None, value: Any) -> Any:
    """A list with one of its items replaced; the value itself of what is none."""
    items = list_of(name, argument)
    if items is None or index is None:
        return value
    return [*items[:index], value, *items[index + 1 :]]


def is_whole(section: Any, name: str, argument: str, index: int | None) -> bool:
    of = signature(section, name).argument(argument)
    assert of is not None
    return not argument_type(section, name, of).accepts(within(name, argument, index, 0.5))


def edges(interval: Interval, whole: bool) -> Iterator[float]:
    """The outermost numbers of an interval, as far as it has ends."""
    for end, has_end, into in (
        (interval.low, interval.has_low, math.inf),
        (interval.high, interval.has_high, -math.inf),
    ):
        if math.isfinite(end):
            inner = end + math.copysign(1, into) if whole else end + math.copysign(1e-6, into)
            value = end if has_end else inner
            yield int(value) if whole or value == int(value) else value


def outside(interval: Interval, whole: bool) -> Iterator[float]:
    for end, has_end, out_of in (
        (interval.low, interval.has_low, -1),
        (interval.high, interval.has_high, 1),
    ):
        if math.isfinite(end):
            yield int(end) + out_of if has_end or whole else end


def written(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    return str(value).lower()


def study_text(section: str, name: str, arguments: dict[str, str]) -> str:
    needed = {**NEEDED.get(name, {})}
    needed = {key: written(value) for key, value in needed.items() if key not in arguments}
    lines = [f"    {key}: {text}" for key, text in (arguments | needed).items()]
    head = ["data: digits", "model: MLP", "training: {batch_size: full}"]
    if section != "optimizer":
        head.append("optimizer: {SGD: {lr: 0.1}}")
    return "\n".join([*head, f"{section}:", f"  {name}:", *lines]) + "\n"


def refused(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(StudyFileError, match=r"^a\.yaml:") as caught:
        StudyFile.from_text(text, "a.yaml")
    return [(one.line, one.path, one.message) for one in caught.value.problems]


def test_every_number_of_optimizers_and_schedules_has_a_bound() -> None:
    assert [case for case in CASES if bound(*case) is None] == []


def test_every_bound_is_of_an_argument() -> None:
    known: dict[str, set[str]] = {section: set() for section in BOUNDS}
    for section in BOUNDS:
        kinds: list[Any] = ["model", "adapter"] if section == "model" else [section]
        for kind, name in [(one, name) for one in kinds for name in names(one)]:
            for argument in signature(kind, name).arguments:
                plain = argument.name
                full = f"{name}.{plain}"
                known[section] |= {plain, full, *(f"{full}[{i}]" for i in range(2))}
    assert {s: set(bounds) - known[s] for s, bounds in BOUNDS.items()} == {
        s: set() for s in BOUNDS
    }


@pytest.mark.parametrize(("section", "name", "argument", "index"), CASES)
def test_beyond_a_bound_is_refused_at_its_line(
    section: str, name: str, argument: str, index: int | None
) -> None:
    interval = bound(section, name, argument, index)
    assert interval is not None
    whole = is_whole(section, name, argument, index)
    for value in outside(interval, whole):
        beside = {key: written(given) for key, given in BESIDE.get(argument, {}).items()}
        text = study_text(
            section, name, {argument: written(within(name, argument, index, value))} | beside
        )
        line = next(i for i, one in enumerate(text.split("\n"), 1) if f" {argument}:" in one)
        [(at, path, message)] = refused(text)
        item = argument if index is None else f"{argument}[{index}]"
        assert (at, path) == (line, f"{section}.{name}.{item}")
        assert message.startswith(f"{item} must be {interval}, but got ")


@pytest.mark.parametrize(("section", "name", "argument", "index"), CASES)
def test_at_a_bound_the_file_is_right_and_torch_steps(
    section: str, name: str, argument: str, index: int | None
) -> None:
    interval = bound(section, name, argument, index)
    assert interval is not None
    for value in edges(interval, is_whole(section, name, argument, index)):
        beside = BESIDE.get(argument, {})
        beside = {"base_lr": 0} if (name, argument) == ("CyclicLR", "max_lr") else beside
        given = {argument: within(name, argument, index, value), **beside}
        text = study_text(section, name, {key: written(item) for key, item in given.items()})
        StudyFile.from_text(text, "a.yaml")
        take_steps(section, name, {**NEEDED.get(name, {}), **given})


def take_steps(section: str, name: str, arguments: dict[str, Any]) -> None:
    """Three epochs of two steps with the optimizer and the schedule that a fold would have."""
    model = build_model(component("MLP", width=6, depth=2), (4,), 3)
    x, y = torch.randn(9, 4), torch.randint(3, (9,))
    if section == "optimizer":
        optimizer, schedule = component(name, **arguments), None
    else:
        optimizer, schedule = component("SGD", lr=0.1), component(name, **arguments)
    optimizers = build_optimizers(optimizer, model, "all")
    rates = Rates(schedule, optimizers, Timetable.of(TrainingSettings(epochs=6), 2), "minimize")

    def closure() -> torch.Tensor:
        model.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        return loss

    for step in range(12):
        if step and step % 2 == 0:
            rates.watch(1.0)
            rates.new_epoch(step)
        rates.before_step(step)
        closure()
        for one in optimizers:
            one.step(closure if needs_closure(one) else None)
        rates.after_step()
        assert -1e-9 < rates.rate(step) < math.inf  # LinearLR rounds what should be 0


@pytest.mark.parametrize("name", names("optimizer"))
def test_a_rate_may_be_a_whole_number(name: str) -> None:
    take_steps("optimizer", name, {"lr": 1})


@pytest.mark.parametrize(
    ("section", "text", "path", "message"),
    [
        ("schedule", "{StepLR: {step_size: 0}}", "StepLR.step_size", "at least 1, but got 0"),
        ("schedule", "{StepLR: {step_size: {int: [0, 5]}}}", "StepLR.step_size", "got 0"),
        (
            "schedule",
            "{ReduceLROnPlateau: {factor: {float: [0.5, 1.5]}}}",
            "ReduceLROnPlateau.factor",
            "at least 0 and below 1, but got 1.5",
        ),
        (
            "optimizer",
            "{Rprop: {step_sizes: [1, 0.1]}}",
            "Rprop.step_sizes",
            "must be [smallest, largest], but got [1, 0.1]",
        ),
        ("schedule", "{OneCycleLR: {epochs: 3}}", "OneCycleLR.epochs", "be given together"),
    ],
)
def test_ends_of_ranges_and_what_is_in_order(
    section: str, text: str, path: str, message: str
) -> None:
    optimizer = "" if section == "optimizer" else "optimizer: {SGD: {lr: 0.1}}\n"
    [(_, at, said)] = refused(f"data: digits\nmodel: MLP\n{optimizer}{section}: {text}\n")
    assert at == f"{section}.{path}"
    assert message in said


def test_all_of_them_are_told_at_once() -> None:
    text = (
        "data: digits\nmodel: MLP\noptimizer:\n  Rprop: {lr: 0, etas: [2, 0.5]}\n"
        "schedule:\n  ReduceLROnPlateau:\n    factor: 1.5\n    patience: -1\n    cooldown: -3\n"
    )
    assert [(line, path.partition(".")[2]) for line, path, _ in refused(text)] == [
        (4, "Rprop.lr"),
        (4, "Rprop.etas[0]"),
        (4, "Rprop.etas[1]"),
        (7, "ReduceLROnPlateau.factor"),
        (8, "ReduceLROnPlateau.patience"),
        (9, "ReduceLROnPlateau.cooldown"),
    ]


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ("[0, 1)", "at least 0 and below 1"),
        ("(0, inf)", "above 0"),
        ("(-inf, 0]", "at most 0"),
    ],
)
def test_intervals_in_words(interval: str, words: str) -> None:
    assert str(Interval.of(interval)) == words
    assert all(not is_number(value) for value in (True, None, "1"))
