"""Kernels that are called directly do what `Optimizer.step` does, to the bit."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunecli.training.step.direct_updates import GroupUpdate, is_ready, kernel_of, step_directly

KINDS: list[tuple[type[Optimizer], dict[str, Any]]] = [
    (torch.optim.AdamW, {}),
    (torch.optim.AdamW, {"amsgrad": True, "maximize": True}),
    (torch.optim.Adam, {"weight_decay": 0.1, "betas": (0.5, 0.9), "eps": 1e-3}),
    (torch.optim.Adam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.1}),
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "maximize": True}),
    (torch.optim.Adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.2}),
]


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3, bias=False))


def optimizer_of(model: nn.Module, kind: type[Optimizer], options: dict[str, Any]) -> Optimizer:
    """One with two groups, of which the second has another rate."""
    weights = list(model.parameters())
    groups = [{"params": weights[:2]}, {"params": weights[2:], "lr": 0.02}]
    return kind(groups, fused=True, **options)  # type: ignore[call-arg]


def set_gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters():
        weight.grad = torch.randn(weight.shape, generator=generator)


def tensors_of(model: nn.Module, optimizer: Optimizer) -> list[Tensor]:
    states = optimizer.state_dict()["state"].values()
    return [*model.parameters(), *(value for state in states for value in state.values())]


def assert_same(one: list[Tensor], other: list[Tensor]) -> None:
    assert len(one) == len(other)
    assert all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_direct_step_is_the_step_of_the_optimizer(
    kind: type[Optimizer], options: dict[str, Any]
) -> None:
    ours, theirs = network(), network()
    mine, own = (optimizer_of(model, kind, options) for model in (ours, theirs))
    direct = []
    for step in range(4):
        for model in (ours, theirs):
            set_gradients(model, step)
        direct.append(step_directly(mine))
        if not direct[-1]:
            mine.step()
        own.step()
        assert_same(tensors_of(ours, mine), tensors_of(theirs, own))
    assert mine.state_dict()["param_groups"] == own.state_dict()["param_groups"]
    assert direct[1:] == [True] * 3
    makes_states = kind is not torch.optim.Adagrad and (kind, "momentum" in options) != (
        torch.optim.SGD,
        False,
    )
    assert direct[0] != makes_states  # in its first step


def test_a_direct_step_removes_the_gradients_and_another_leaves_them() -> None:
    model = network()
    optimizer = optimizer_of(model, torch.optim.AdamW, {})
    set_gradients(model, 0)
    assert not step_directly(optimizer)
    assert not optimizer.state_dict()["state"]  # to look for a state does not make it
    assert all(weight.grad is not None for weight in model.parameters())
    optimizer.step()
    assert step_directly(optimizer)
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("spoil", ["strides", "missing"])
def test_gradients_that_the_kernel_would_misread_go_to_the_optimizer(spoil: str) -> None:
    model = network()
    optimizer = optimizer_of(model, torch.optim.AdamW, {})
    set_gradients(model, 0)
    optimizer.step()
    first = next(iter(model.parameters()))
    set_gradients(model, 1)
    assert first.grad is not None
    first.grad = first.grad.t().contiguous().t() if spoil == "strides" else None
    before = [tensor.clone() for tensor in tensors_of(model, optimizer)]
    assert not step_directly(optimizer)
    assert_same(tensors_of(model, optimizer), before)


@pytest.mark.parametrize(
    "optimizer",
    [
        torch.optim.AdamW(network().parameters()),
        torch.optim.RMSprop(network().parameters()),
        torch.optim.LBFGS(network().parameters()),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_only_fused_kernels_are_called(optimizer: Optimizer) -> None:
    assert kernel_of(optimizer) is None
    assert not step_directly(optimizer)


def test_a_subclass_of_ones_own_keeps_its_step() -> None:
    class Own(torch.optim.AdamW):
        pass

    assert kernel_of(Own(network().parameters(), fused=True)) is None


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("rates", [(0.1, 0.1, 0.1), (0.1, 0.05, 0.1)])
def test_one_update_of_several_models_is_that_of_each(
    kind: type[Optimizer], options: dict[str, Any], rates: tuple[float, ...]
) -> None:
    models = [network(seed) for seed in range(3)]
    optimizers = [optimizer_of(model, kind, options) for model in models]
    for seed, (model, optimizer) in enumerate(zip(models, optimizers, strict=True)):
        set_gradients(model, seed)
        optimizer.step()
    alone = copy.deepcopy(models)
    states = [copy.deepcopy(optimizer.state_dict()) for optimizer in optimizers]
    others = [optimizer_of(model, kind, options) for model in alone]
    kernel = kernel_of(optimizers[0])
    assert kernel is not None
    assert all(is_ready(one, kernel) for one in optimizers)
    for seed, other in enumerate(others):
        other.load_state_dict(states[seed])
        set_gradients(models[seed], 10 + seed)
        set_gradients(alone[seed], 10 + seed)
        for one in (optimizers[seed], other):
            one.param_groups[0]["lr"] = rates[seed]
        other.step()
    for index in range(2):
        update = GroupUpdate(kernel, optimizers, index)
        update([weight.grad for weight in update.weights if weight.grad is not None])
    for k in range(3):
        mine, theirs = tensors_of(models[k], optimizers[k]), tensors_of(alone[k], others[k])
        assert_same(mine, theirs)
