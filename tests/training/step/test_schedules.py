from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch.optim import Optimizer, lr_scheduler
from training_cases import component

from tunecli.errors import TunecliError
from tunecli.study_file.catalogue import names
from tunecli.study_file.settings.settings import Component, TrainingSettings
from tunecli.training.step.schedules import PER_STEP, Rates, filled_in
from tunecli.training.step.timetable import Timetable

LR, SPE, EPOCHS = 0.2, 5, 8  # steps per epoch

ARGUMENTS: dict[str, dict[str, Any]] = {
    "StepLR": {"step_size": 3, "gamma": 0.5},
    "MultiStepLR": {"milestones": [2, 5]},
    "ConstantLR": {"factor": 0.5, "total_iters": 3},
    "LinearLR": {},
    "ExponentialLR": {"gamma": 0.8},
    "CosineAnnealingLR": {"eta_min": 0.01},
    "ReduceLROnPlateau": {"patience": 1},
    "CyclicLR": {"step_size_up": 4},
    "CosineAnnealingWarmRestarts": {"T_0": 3},
    "OneCycleLR": {},
    "PolynomialLR": {"power": 2.0},
}
REQUIRED: dict[str, dict[str, Any]] = {
    "StepLR": {"step_size": 3},
    "MultiStepLR": {"milestones": [2, 5]},
    "ExponentialLR": {"gamma": 0.8},
    "CosineAnnealingWarmRestarts": {"T_0": 3},
}
SCORES = [0.5, 0.6, 0.6, 0.55, 0.6, 0.61, 0.6, 0.6]


def timetable(**settings: Any) -> Timetable:
    length = {} if "steps" in settings else {"epochs": EPOCHS}
    return Timetable.of(TrainingSettings(**{**length, **settings}), SPE)


def optimizer(lr: float = LR) -> Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=lr, momentum=0.9)


def used_rates(
    schedule: Component | None, table: Timetable, scores: Sequence[float] = SCORES
) -> list[float]:
    """Rates at which the optimizer really steps, driven as a fold drives it."""
    stepper = optimizer()
    rates = Rates(schedule, [stepper], table, "maximize")
    used = []
    for step in range(table.n_steps):
        if step and step % SPE == 0:
            rates.watch(scores[step // SPE - 1])
            rates.new_epoch(step)
        rates.before_step(step)
        used.append(stepper.param_groups[0]["lr"])
        stepper.step()
        rates.after_step()
        assert rates.rate(step) == pytest.approx(used[-1])
    return used


def rates_by_torch(schedule: Component, **filled: Any) -> list[float]:
    """The rates of torch's scheduler stepped by hand, per step or per epoch."""
    stepper = optimizer()
    arguments = {**schedule.arguments, **filled}
    scheduler = getattr(lr_scheduler, schedule.name)(stepper, **arguments)
    used = []
    for epoch in range(EPOCHS):
        for _ in range(SPE):
            used.append(stepper.param_groups[0]["lr"])
            stepper.step()
            if schedule.name in PER_STEP and len(used) < EPOCHS * SPE:
                scheduler.step()
        if schedule.name == "ReduceLROnPlateau":
            scheduler.step(SCORES[epoch])
        elif schedule.name not in PER_STEP:
            scheduler.step()
    return used


FILLED: dict[str, dict[str, Any]] = {
    "CosineAnnealingLR": {"T_max": EPOCHS},
    "PolynomialLR": {"total_iters": EPOCHS},
    "ReduceLROnPlateau": {"mode": "max"},
    "CyclicLR": {"base_lr": LR / 10, "max_lr": LR, "cycle_momentum": False},
    "OneCycleLR": {"max_lr": LR, "total_steps": EPOCHS * SPE, "cycle_momentum": False},
}


OF_TORCH = [name for name in names.names("schedule") if hasattr(lr_scheduler, name)]
"""All others have tests of their own, in `test_log_cosine.py`."""


@pytest.mark.parametrize("name", OF_TORCH)
def test_every_schedule_gives_the_rates_of_torch_stepped_by_hand(name: str) -> None:
    schedule = component(name, **ARGUMENTS[name])
    expected = rates_by_torch(schedule, **FILLED.get(name, {}))
    assert used_rates(schedule, timetable()) == pytest.approx(expected)
    assert len(set(expected)) > 1  # the schedule does something here


@pytest.mark.parametrize("length", [{"epochs": 20}, {"steps": 100}, {"steps": 12}])
@pytest.mark.parametrize("warmup", [0.0, 0.1])
@pytest.mark.parametrize("name", OF_TORCH)
def test_defaults_make_sense_at_any_length(
    name: str, warmup: float, length: dict[str, int]
) -> None:
    table = timetable(warmup=warmup, **length)
    used = used_rates(component(name, **REQUIRED.get(name, {})), table, [0.5] * 20)
    assert all(math.isfinite(rate) and rate >= 0 for rate in used)
    assert all(rate > 0 for rate in used[:-1])
    # The peak of a one-cycle may lie between two steps.
    assert max(used) == pytest.approx(LR, rel=0.05 if name == "OneCycleLR" else 1e-6)
    if name != "ReduceLROnPlateau" or "epochs" in length:
        assert len({round(rate, 9) for rate in used[table.n_warmup :]}) > 1


@pytest.mark.parametrize(
    "name", [name for name in names.names("schedule") if name != "ReduceLROnPlateau"]
)
def test_steps_of_a_training_given_in_steps_are_what_a_schedule_counts(name: str) -> None:
    """One step is then what an epoch of a single batch is otherwise."""
    n_steps = 12  # two and a half epochs
    schedule = component(name, **REQUIRED.get(name, {}))
    epochs_of_a_step = Timetable.of(TrainingSettings(epochs=n_steps), 1)
    stepper = optimizer()
    rates = Rates(schedule, [stepper], epochs_of_a_step, "maximize")
    expected = []
    for step in range(n_steps):
        if step:
            rates.new_epoch(step)
        rates.before_step(step)
        expected.append(stepper.param_groups[0]["lr"])
        stepper.step()
        rates.after_step()
    assert used_rates(schedule, timetable(steps=n_steps)) == pytest.approx(expected)


def test_a_plateau_counts_epochs_in_a_training_given_in_steps_too() -> None:
    schedule = component("ReduceLROnPlateau", patience=1)
    assert used_rates(schedule, timetable(steps=EPOCHS * SPE)) == used_rates(schedule, timetable())


def test_formulas() -> None:
    """Cosine annealing is equation 5 of Loshchilov and Hutter 2017; the others are plain."""
    epochs = range(EPOCHS)
    cosine = [LR * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2 for epoch in epochs]
    steps = [LR * 0.5 ** (epoch // 3) for epoch in epochs]
    powers = [LR * 0.8**epoch for epoch in epochs]
    for schedule, expected in (
        (component("CosineAnnealingLR"), cosine),
        (component("StepLR", step_size=3, gamma=0.5), steps),
        (component("ExponentialLR", gamma=0.8), powers),
    ):
        assert used_rates(schedule, timetable())[::SPE] == pytest.approx(expected)


def test_constant_without_a_schedule() -> None:
    assert set(used_rates(None, timetable())) == {LR}


@pytest.mark.parametrize("name", [None, *OF_TORCH])
def test_warmup_rises_linearly_and_then_the_schedule_begins(name: str | None) -> None:
    table = timetable(warmup=0.25)  # two epochs
    n_warmup = 2 * SPE
    assert table.n_warmup == n_warmup
    schedule = None if name is None else component(name, **ARGUMENTS[name])
    used = used_rates(schedule, table)
    initial = used[n_warmup]
    ramp = [initial * (step + 1) / (n_warmup + 1) for step in range(n_warmup)]
    assert used[:n_warmup] == pytest.approx(ramp)
    if name is None or name == "ReduceLROnPlateau":
        return
    without = Timetable.of(TrainingSettings(epochs=EPOCHS - 2), SPE)
    assert used[n_warmup:] == pytest.approx(used_rates(schedule, without))


def test_plateau_after_warmup_counts_epochs_after_it() -> None:
    used = used_rates(component("ReduceLROnPlateau", patience=0), timetable(warmup=0.25))
    # Epochs 3 to 8 end with scores .6 .55 .6 .61 .6 .6: first best, three failures (.6 is no
    # better than .6), and the last one comes too late.
    per_epoch = [LR, LR / 10, LR / 100, LR / 100, LR / 1000]
    assert used[3 * SPE :: SPE] == pytest.approx(per_epoch)


def test_plateau_waits_for_a_score() -> None:
    stepper = optimizer()
    rates = Rates(component("ReduceLROnPlateau", patience=0), [stepper], timetable(), "minimize")
    for epoch, score in enumerate([1.0, None, None, 1.0], 1):
        if score is not None:
            rates.watch(score)
        rates.new_epoch(epoch * SPE)
        expected = LR / 10 if epoch == 4 else LR
        assert stepper.param_groups[0]["lr"] == pytest.approx(expected)


def test_arguments_of_the_file_go_before_what_is_filled_in() -> None:
    def fill(name: str, **arguments: Any) -> dict[str, Any]:
        return filled_in(component(name, **arguments), LR, timetable(), "minimize")

    assert fill("CosineAnnealingLR", T_max=3) == {"T_max": 3}
    assert fill("CosineAnnealingLR", T_max=None) == {"T_max": EPOCHS}
    assert fill("PolynomialLR", total_iters=3) == {"total_iters": 3}
    assert fill("ReduceLROnPlateau")["mode"] == "min"
    assert fill("ReduceLROnPlateau", mode="max")["mode"] == "max"
    assert fill("OneCycleLR", max_lr=1.0)["max_lr"] == 1.0
    assert "total_steps" not in fill("OneCycleLR", epochs=2, steps_per_epoch=5)
    assert fill("CyclicLR", base_lr=0.01)["base_lr"] == 0.01
    assert fill("StepLR", step_size=2) == {"step_size": 2}


@pytest.mark.parametrize(
    ("settings", "arguments", "n_steps"),
    [({"steps": 1}, {}, 1), ({"warmup": 0.999}, {}, 0), ({}, {"total_steps": 1}, 1)],
)
def test_a_one_cycle_needs_two_steps(
    settings: dict[str, Any], arguments: dict[str, Any], n_steps: int
) -> None:
    with pytest.raises(TunecliError, match=f"at least 2 steps after .* but has {n_steps}"):
        used_rates(component("OneCycleLR", **arguments), timetable(**settings))
    assert len(used_rates(component("OneCycleLR"), timetable(steps=2))) == 2


def test_a_one_cycle_that_ends_early_stays_at_its_last_rate() -> None:
    used = used_rates(component("OneCycleLR", total_steps=20), timetable())
    assert len(set(used[19:])) == 1
    assert used[19] == min(used)


def test_momentum_is_left_to_the_optimizer() -> None:
    for name in PER_STEP:
        stepper = optimizer()
        rates = Rates(component(name), [stepper], timetable(), "maximize")
        for step in range(10):
            rates.before_step(step)
            stepper.step()
            rates.after_step()
            assert stepper.param_groups[0]["momentum"] == 0.9


@pytest.mark.parametrize("name", PER_STEP)
def test_several_optimizers_follow_one_schedule_at_their_own_rates(name: str) -> None:
    steppers = [optimizer(0.2), optimizer(0.02)]
    rates = Rates(component(name), steppers, timetable(warmup=0.1), "maximize")
    for step in range(20):
        rates.before_step(step)
        first, second = (stepper.param_groups[0]["lr"] for stepper in steppers)
        assert first == pytest.approx(10 * second)
        for stepper in steppers:
            stepper.step()
        rates.after_step()
