"""When things happen in one fold's training, counted in optimizer steps.

Everything is known before the first step: how many there are, where a fold is evaluated, how long
the rate warms up. Folds differ by a row or two in size and so may differ in steps, but never in
the number of evaluations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunecli.study_file.read import defaults
from tunecli.study_file.settings.settings import TrainingSettings

EVALUATIONS_OVER_STEPS = 10
"""Evaluations of a training that is given in steps, unless `eval_every` says otherwise."""


@dataclass(frozen=True)
class Timetable:
    """The steps of one fold's training.

    Attributes:
        steps_per_epoch: optimizer steps of one pass over the training part.
        n_steps: optimizer steps in all.
        n_warmup: steps at the start during which the rate rises.
        in_steps: whether the training is given in steps; schedules then count steps too.
        evaluations: the number of steps done at each evaluation; never decreasing, the last is
            `n_steps`. Two are equal only where `eval_every` is less than one step and the fewest
            batches are not known.
    """

    steps_per_epoch: int
    n_steps: int
    n_warmup: int
    in_steps: bool
    evaluations: tuple[int, ...]

    @classmethod
    def of(
        cls, settings: TrainingSettings, n_batches: int, fewest_batches: int | None = None
    ) -> Timetable:
        """The timetable of a fold whose training part has `n_batches` batches.

        Args:
            fewest_batches: of any fold of the trial. Evaluations that have no step between them
                in that fold are then one, in every fold alike; else all are planned.
        """
        steps_per_epoch = math.ceil(n_batches / settings.accumulate)
        if settings.steps is not None:
            n_steps = settings.steps
            every = settings.eval_every or math.ceil(n_steps / EVALUATIONS_OVER_STEPS)
            evaluations = _moments(n_steps, every, 1)
        else:
            epochs = settings.epochs or defaults.EPOCHS
            n_steps = epochs * steps_per_epoch
            every = settings.eval_every or 1
            least = 1 / math.ceil(fewest_batches / settings.accumulate) if fewest_batches else 0.0
            evaluations = _moments(epochs, every, steps_per_epoch, least)
        n_warmup = round(settings.warmup * n_steps)
        in_steps = settings.steps is not None
        return cls(steps_per_epoch, n_steps, n_warmup, in_steps, evaluations)

    @property
    def n_schedule_steps(self) -> int:
        """Optimizer steps after the warm-up."""
        return self.n_steps - self.n_warmup

    @property
    def n_schedule_epochs(self) -> int:
        """Epochs that begin after the warm-up has ended; at least 1."""
        n_epochs = math.ceil(self.n_steps / self.steps_per_epoch)
        return max(1, n_epochs - math.ceil(self.n_warmup / self.steps_per_epoch))

    @property
    def schedule_length(self) -> int:
        """What a schedule counts, steps or epochs, after the warm-up; at least 1."""
        return max(1, self.n_schedule_steps) if self.in_steps else self.n_schedule_epochs


def _moments(length: int, every: float, n_steps: int, least: float = 0.0) -> tuple[int, ...]:
    """Steps at multiples of `every`, and at the end.

    Args:
        n_steps: in one unit of `length`.
        least: time between two moments, in units of `length`.
    """
    every = max(every, least)
    n_evaluations = math.ceil(length / every - 1e-9)  # 0.1 + 0.2 must not make one more
    ends = [min(length, k * every) for k in range(1, n_evaluations)]
    if ends and length - ends[-1] < least - 1e-9:
        ends.pop()
    return tuple(math.ceil(end * n_steps - 1e-9) for end in [*ends, length])
