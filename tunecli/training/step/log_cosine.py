"""A learning rate in cosine cycles, each about twice as long as the one before."""

from __future__ import annotations

import math

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class CosLogLR(LRScheduler):
    """Lets the rate rise and fall in cosine cycles of growing length, from 0 to 0.

    After the share t of all steps, it is lr · ½ (1 − cos(2π log₂(1 + (2^n_cycles − 1) t))).
    Holzmüller et al. (2024), "Better by Default", https://arxiv.org/abs/2407.04491, section 3.

    Args:
        optimizer: its rates are the highest ones.
        total_steps: number of steps of the training.
        n_cycles: number of cycles; 4 in the paper.
    """

    def __init__(
        self, optimizer: Optimizer, total_steps: int, n_cycles: int = 4, last_epoch: int = -1
    ) -> None:
        if total_steps < 1 or n_cycles < 1:
            raise ValueError(
                f"total_steps and n_cycles must be at least 1, but got {total_steps} and "
                f"{n_cycles}."
            )
        self.total_steps = total_steps
        self.n_cycles = n_cycles
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | Tensor]:
        """Return the rate of each parameter group at the current step."""
        share = self.last_epoch / self.total_steps
        cycles = math.log2(1 + (2**self.n_cycles - 1) * share)
        factor = (1 - math.cos(2 * math.pi * cycles)) / 2
        return [float(rate) * factor for rate in self.base_lrs]
