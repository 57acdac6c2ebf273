"""Since numerics version 3, numbers that are too small for all bits are zero in a training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from training_cases import CPU, classification, component, trial

from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.fold import FoldTraining

OPTIMIZERS = [component("AdamW", lr=0.01), component("SGD", lr=0.1, momentum=0.9)]


def rare() -> FoldData:
    """A feature that only the first row has, as a rare category."""
    fold = classification(n_train=1200)
    x = torch.as_tensor(fold.x_train).clone()
    x[:, 0] = 0
    x[0, 0] = 1
    return replace(fold, x_train=x)


def config(numerics: int, **changes: Any) -> TrialConfig:
    settings = {"model": component("Linear"), "batch_size": 1, "epochs": 1, "shuffle": False}
    return trial(**settings, **changes).model_copy(update={"numerics": numerics})


def denormals(tensors: list[Tensor]) -> int:
    """How many of the numbers are denormal, whatever the arithmetic of this thread."""
    bits = torch.cat([t.detach().flatten() for t in tensors]).view(torch.int32) & 0x7FFFFFFF
    return int(((bits > 0) & (bits < 2**23)).sum())


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_a_rare_category_leaves_no_denormal_numbers_and_the_weights_are_the_same(
    optimizer: Any,
) -> None:
    found = {}
    for numerics in (2, 3):
        fold = FoldTraining(config(numerics, optimizer=optimizer), rare(), CPU)
        evaluation = next(fold)
        states = [value for state in fold.optimizers[0].state.values() for value in state.values()]
        found[numerics] = denormals(states), evaluation, fold.model.state_dict()
    (n_before, before, weights_before), (n_now, now, weights_now) = found[2], found[3]
    assert n_before > 0
    assert n_now == 0
    assert now == before
    for name, weight in weights_now.items():
        assert torch.equal(weight, weights_before[name])


def test_the_arithmetic_outside_is_left_as_it_is() -> None:
    next(FoldTraining(config(3), rare(), CPU))
    assert denormals([torch.tensor([torch.finfo(torch.float32).tiny]) / 2]) == 1
