"""Folds that wait elsewhere: when they do, and that they come back as they were."""

from __future__ import annotations

import pytest
import torch
from training_cases import CPU, classification, component, trial

from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import FoldTraining
from tunecli.training.state.memory import Movable, device_memory, must_wait_elsewhere


def test_main_memory_is_no_device_memory() -> None:
    assert device_memory(CPU) is None


@pytest.mark.parametrize(
    ("n_bytes", "n_folds", "memory", "waits"),
    [
        (100, 5, 1000, False),
        (101, 5, 1000, True),
        (101, 1, 1000, False),  # the only fold has its turn all the time
        (10**12, 5, None, False),
    ],
)
def test_a_fold_of_more_than_a_tenth_waits_elsewhere(
    n_bytes: int, n_folds: int, memory: int | None, waits: bool
) -> None:
    assert must_wait_elsewhere(n_bytes, n_folds, memory) == waits


def test_weights_buffers_and_optimizer_states_are_what_moves() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(5, 4)).sum().backward()
    optimizer.step()
    states = [value for state in optimizer.state.values() for value in state.values()]
    tensors = [*model.parameters(), *model.buffers(), *states]
    assert Movable([model], [optimizer]).n_bytes == sum(t.nbytes for t in tensors)


def test_a_fold_that_has_waited_goes_on_bit_for_bit() -> None:
    config = trial(ema=0.9, optimizer=component("AdamW"))
    whole, waiting = (FoldTraining(config, classification(), CPU) for _ in range(2))
    for _ in range(2):
        assert next(whole) == next(waiting)
        waiting.leave_device()
        waiting.keep()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_folds_leave_a_cuda_device_and_come_back() -> None:
    device = torch.device("cuda")
    folds = [classification(0), classification(1)]
    config = trial(ema=0.9, optimizer=component("AdamW"))
    staying, leaving = (CrossValidation(config, folds, device) for _ in range(2))
    for _ in range(3):
        assert next(staying) == next(leaving)
        for fold in leaving.folds:
            assert isinstance(fold, FoldTraining)
            fold.leave_device()
            assert {p.device.type for p in fold.model.parameters()} == {"cpu"}


def test_the_history_of_lbfgs_counts_and_moves() -> None:
    model = torch.nn.Linear(30, 1)
    optimizer = torch.optim.LBFGS(model.parameters(), history_size=5)
    x, y = torch.randn(64, 30), torch.randn(64, 1)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        error = torch.nn.functional.mse_loss(model(x), y)
        error.backward()
        return error

    optimizer.step(loss)
    (state,) = optimizer.state.values()
    n_history = len(state["old_dirs"]) + len(state["old_stps"])
    n_weights = sum(p.nbytes for p in model.parameters())
    assert n_history >= 4
    assert Movable([model], [optimizer]).n_bytes >= n_weights * (1 + n_history)
