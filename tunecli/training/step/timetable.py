"""Plan one fold's training in optimizer steps.

Everything is known before the first step: the number of steps, the evaluations, the length of the
warm-up. Folds differ by a row or two in size and so may differ in steps, but never in the number
of evaluations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunecli.study_file.read import defaults
from tunecli.study_file.settings.settings import TrainingSettings, TrialConfig


@dataclass(frozen=True)
class Timetable:
    """The steps of one fold's training.

    Attributes:
        steps_per_epoch: optimizer steps of one pass over the training part.
        n_steps: total number of optimizer steps.
        n_warmup: number of first steps during which the rate rises.
        in_steps: whether the length is set in steps; schedules then count steps too.
        evaluations: the number of steps done at each evaluation, not decreasing; the last is
            `n_steps`. Two are equal only if `eval_every` is less than one step and the fewest
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
        """Return the timetable of a fold whose training part has `n_batches` batches.

        Args:
            fewest_batches: smallest number of batches of any fold of the trial. Evaluations
                without a step between them in that fold are merged in every fold; None plans all
                evaluations.
        """
        steps_per_epoch = math.ceil(n_batches / settings.accumulate)
        if settings.steps is not None:
            n_steps = settings.steps
            every = settings.eval_every or math.ceil(n_steps / defaults.EVALUATIONS_OVER_STEPS)
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
        """Length of the schedule after the warm-up, in steps or epochs; at least 1."""
        return max(1, self.n_schedule_steps) if self.in_steps else self.n_schedule_epochs


def n_evaluations(config: TrialConfig) -> int:
    """Return how many evaluations a trial has if nothing stops it.

    0 if it trains by user code that does not say how many.
    """
    if config.train is not None:
        return config.training.epochs or 0
    return len(Timetable.of(config.training, n_batches=1).evaluations)


def _moments(length: int, every: float, n_steps: int, least: float = 0.0) -> tuple[int, ...]:
    """Return the steps at multiples of `every`, and at the end.

    Args:
        n_steps: number of steps in one unit of `length`.
        least: smallest distance of two moments, in units of `length`.
    """
    every = max(every, least)
    n_evaluations = math.ceil(length / every - 1e-9)  # rounding as in 0.1 + 0.2 must not add one
    ends = [min(length, k * every) for k in range(1, n_evaluations)]
    if ends and length - ends[-1] < least - 1e-9:
        ends.pop()
    return tuple(math.ceil(end * n_steps - 1e-9) for end in [*ends, length])
