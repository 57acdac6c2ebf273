"""The learning rate in cosine cycles of growing length."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from training_cases import CPU, classification, component, trial

from tunecli.training.fold import FoldTraining
from tunecli.training.step.log_cosine import CosLogLR


def _coslog(share: float, n_cycles: int) -> float:
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + (2**n_cycles - 1) * share)))


@pytest.mark.parametrize("n_cycles", [1, 4])
def test_it_is_the_formula_of_the_paper(n_cycles: int) -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.3)
    schedule = CosLogLR(optimizer, 15, n_cycles)
    for step in range(15):
        expected = 0.3 * _coslog(step / 15, n_cycles)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)
        optimizer.step()
        schedule.step()


def test_it_steps_with_the_optimizer_over_the_whole_training() -> None:
    config = trial(schedule=component("CosLogLR"), epochs=4, optimizer=component("SGD", lr=0.1))
    training = FoldTraining(config, classification(n_train=40), CPU)
    rates = []
    while not training.is_over:
        for group in training.groups():
            rates.append(training.optimizers[0].param_groups[0]["lr"])
            training.step(group)
        training.evaluate()
    assert rates == pytest.approx([0.1 * _coslog(step / 20, 4) for step in range(20)])


def test_wrong_lengths_are_refused() -> None:
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters())
    with pytest.raises(ValueError, match="must be at least 1, but got 0 and 4"):
        CosLogLR(optimizer, 0)
