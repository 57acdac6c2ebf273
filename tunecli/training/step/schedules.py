"""Set the learning rates over the steps of a fold: a warm-up, then any scheduler of torch.

With `training.epochs`, the scheduler steps once per epoch; OneCycleLR, CyclicLR and CosLogLR step
with the optimizer. With `training.steps`, every scheduler steps with the optimizer, so that
`T_max`, `total_iters` and `step_size` are steps like the training itself, however long an epoch
is. ReduceLROnPlateau counts epochs with a new score in both cases.

The warm-up is an extra factor on the rate, since torch's SequentialLR cannot hold every scheduler.
The rate is scaled for each step and restored after it, so that schedulers that multiply the
current rate never see the factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from tunecli.errors import TunecliError
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.settings import Component, Direction
from tunecli.training.models import user_parts
from tunecli.training.step.log_cosine import CosLogLR
from tunecli.training.step.optimizers import RATE_FACTOR
from tunecli.training.step.timetable import Timetable

PER_STEP = ("OneCycleLR", "CyclicLR", "CosLogLR")
"""Schedulers that always step with the optimizer; others do only with `training.steps`."""

GIVEN_RATES = ("max_lr", "base_lr", "min_lr")
"""Arguments that set absolute rates; torch takes one value per parameter group."""

CYCLES = 5
"""Number of CyclicLR's cycles in a training, up and down, unless `step_size_up` is set."""


def filled_in(
    component: Component, lr: float, timetable: Timetable, direction: Direction
) -> dict[str, Any]:
    """Return a scheduler's arguments, with defaults that follow from other settings.

    Args:
        component: the scheduler with its given arguments.
        lr: the optimizer's rate: the highest rate of OneCycleLR and CyclicLR; CyclicLR's lowest is
            a tenth of it. Both leave the optimizer's momentum unchanged.
        timetable: gives `T_max` and `total_iters` (epochs, or steps with `training.steps`),
            `total_steps` and `step_size_up` (steps), all without the warm-up.
        direction: direction of the objective, whose score ReduceLROnPlateau watches.

    Raises:
        TunecliError: OneCycleLR has too few steps to rise and fall.
    """
    given = {name: value for name, value in component.arguments.items() if value is not None}
    if "pct_start" in given:  # torch refuses integers, even 0 and 1
        given["pct_start"] = float(given["pct_start"])
    return {**_defaults(component.name, given, lr, timetable, direction), **given}


def _defaults(
    name: str, given: dict[str, Any], lr: float, timetable: Timetable, direction: Direction
) -> dict[str, Any]:
    """Return defaults for arguments that the file does not set."""
    match name:
        case "CosineAnnealingLR":
            return {"T_max": timetable.schedule_length}
        case "PolynomialLR":
            return {"total_iters": timetable.schedule_length}
        case "ReduceLROnPlateau":
            return {"mode": "max" if direction == "maximize" else "min"}
        case "CyclicLR":
            n_up = max(1, timetable.n_schedule_steps // (2 * CYCLES))
            rates = {"base_lr": lr / 10, "max_lr": lr}
            return {**rates, "step_size_up": n_up, "cycle_momentum": False}
        case "CosLogLR":
            return {"total_steps": max(1, timetable.n_schedule_steps)}
        case "OneCycleLR":
            return _one_cycle(given, lr, timetable)
    return {}


def _build(
    component: Component, optimizer: Optimizer, timetable: Timetable, direction: Direction
) -> LRScheduler:
    """Build one scheduler, from torch or the user's own."""
    if is_code(component.name):
        return user_parts.build_schedule(component, optimizer)
    group = optimizer.param_groups[0]
    lr = float(group["lr"]) / group.get(RATE_FACTOR, 1.0)
    arguments = _for_groups(filled_in(component, lr, timetable, direction), optimizer)
    kind = CosLogLR if component.name == "CosLogLR" else getattr(lr_scheduler, component.name)
    scheduler: LRScheduler = kind(optimizer, **arguments)
    return scheduler


def _for_groups(arguments: dict[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """Return the arguments with absolute rates multiplied by each parameter group's factor."""
    factors = [group.get(RATE_FACTOR, 1.0) for group in optimizer.param_groups]
    if all(factor == 1.0 for factor in factors):
        return arguments
    return {
        name: [value * factor for factor in factors]
        if name in GIVEN_RATES and isinstance(value, int | float)
        else value
        for name, value in arguments.items()
    }


def _one_cycle(given: dict[str, Any], lr: float, timetable: Timetable) -> dict[str, Any]:
    defaults: dict[str, Any] = {"max_lr": lr, "cycle_momentum": False}
    if "epochs" in given or "steps_per_epoch" in given:
        return defaults
    n_steps = given.get("total_steps", timetable.n_schedule_steps)
    if n_steps < 2:
        raise TunecliError(
            f"OneCycleLR needs at least 2 steps after the warm-up, but has {n_steps}. "
            "Train longer, or use another schedule."
        )
    return {"total_steps": n_steps, **defaults}


def steps_with_optimizer(component: Component, timetable: Timetable) -> bool:
    """Return whether a scheduler counts optimizer steps, not epochs."""
    if component.name in PER_STEP:
        return True
    return timetable.in_steps and component.name != "ReduceLROnPlateau"


class Rates:
    """Sets the learning rates of a fold's optimizers, which change together.

    Call `before_step`, step the optimizers, call `after_step`; call `new_epoch` between epochs.
    """

    def __init__(
        self,
        component: Component | None,
        optimizers: Sequence[Optimizer],
        timetable: Timetable,
        direction: Direction,
    ) -> None:
        self._optimizers = optimizers
        self._timetable = timetable
        self._schedulers: list[LRScheduler] = []
        self._per_step = component is not None and steps_with_optimizer(component, timetable)
        self._scheduled: list[float] = []  # restored by `after_step` during the warm-up
        self._score: float | None = None
        if component is not None:
            for optimizer in optimizers:
                self._schedulers.append(_build(component, optimizer, timetable, direction))
                # Schedulers warn unless their optimizer has stepped in this process. It has not if
                # it resumes from a checkpoint, or if its first step overflowed in fp16.
                optimizer._opt_called = True  # type: ignore[attr-defined]

    @property
    def _groups(self) -> list[dict[str, Any]]:
        """The current parameter groups; loading an optimizer's state replaces them."""
        return [group for optimizer in self._optimizers for group in optimizer.param_groups]

    def warmup_factor(self, step: int) -> float:
        """Return the share of the rate at optimizer step `step`, from 0; always above 0."""
        return min(1.0, (step + 1) / (self._timetable.n_warmup + 1))

    def before_step(self, step: int) -> None:
        """Set the rates of optimizer step `step`, counted from 0."""
        if step < self._timetable.n_warmup:
            factor = self.warmup_factor(step)
            self._scheduled = [group["lr"] for group in self._groups]
            for group, rate in zip(self._groups, self._scheduled, strict=True):
                group["lr"] = rate * factor
        elif self._per_step and step > self._timetable.n_warmup:
            for scheduler in self._schedulers:
                # A OneCycleLR with a smaller `total_steps` stays at its last rate.
                if scheduler.last_epoch + 1 < getattr(scheduler, "total_steps", float("inf")):
                    scheduler.step()

    def after_step(self) -> None:
        """Remove the factor of the warm-up exactly."""
        if self._scheduled:
            for group, rate in zip(self._groups, self._scheduled, strict=True):
                group["lr"] = rate
            self._scheduled = []

    def new_epoch(self, step: int) -> None:
        """Step the schedulers that count epochs, after `step` optimizer steps.

        An epoch that began during the warm-up does not count. ReduceLROnPlateau counts only epochs
        with a new score.
        """
        score, self._score = self._score, None
        if self._per_step or step - self._timetable.steps_per_epoch < self._timetable.n_warmup:
            return
        for scheduler in self._schedulers:
            if not isinstance(scheduler, ReduceLROnPlateau):
                scheduler.step()
            elif score is not None:
                scheduler.step(score)

    def watch(self, score: float) -> None:
        """Store the fold's newest score for ReduceLROnPlateau."""
        self._score = score

    def rate(self, step: int) -> float:
        """Return the rate of the first parameter group at step `step`, the last one done."""
        return float(self._groups[0]["lr"]) * self.warmup_factor(step)

    def state_dict(self) -> dict[str, Any]:
        """Return the schedulers' states; the optimizers' states hold the rates."""
        return {
            "schedulers": [scheduler.state_dict() for scheduler in self._schedulers],
            "score": self._score,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume the schedule; the optimizers' states must be loaded before."""
        for scheduler, saved in zip(self._schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(saved)
        self._score = state["score"]
