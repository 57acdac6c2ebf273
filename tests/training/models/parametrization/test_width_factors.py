from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrize
from training_cases import component

from tunecli.study_file.catalogue.parametrizations import ADAM_LIKE, SGD_LIKE
from tunecli.training.models.building import build_model
from tunecli.training.models.parametrization.width_factors import (
    WidthFactors,
    matrix,
    width_rates,
)
from tunecli.training.step.optimizers import RATE_FACTOR, build_optimizers

N_FEATURES, N_OUTPUTS, BASE = 5, 3, 8


def mlp(width: int | list[int], parametrization: str = "mup", **arguments: Any) -> nn.Module:
    """With the same random numbers in each call."""
    torch.manual_seed(0)
    given = {"width": width, "parametrization": parametrization, "base_width": BASE, **arguments}
    return build_model(component("MLP", **given), (N_FEATURES,), N_OUTPUTS)


@pytest.mark.parametrize("arguments", [{}, {"batch_norm": True, "residual": True}])
def test_at_the_base_width_nothing_changes(arguments: dict[str, Any]) -> None:
    ours, usual = mlp(BASE, **arguments), mlp(BASE, "standard", **arguments)
    for one, other in zip(ours.parameters(), usual.parameters(), strict=True):
        assert torch.equal(one, other)
    for name in (*ADAM_LIKE, *SGD_LIKE):
        assert width_rates(component(name), ours) == {}
        assert width_rates(component(name), usual) == {}


@given(width=st.integers(1, 64), depth=st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_start_and_rates_are_those_of_table_3(width: int, depth: int) -> None:
    model, usual = mlp(width, depth=depth), mlp(width, "standard", depth=depth)
    adam = width_rates(component("Adam"), model)
    sgd = width_rates(component("SGD"), model)
    m = width / BASE
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    usual_layers = [module for module in usual.modules() if isinstance(module, nn.Linear)]
    for place, (layer, other) in enumerate(zip(layers, usual_layers, strict=True)):
        fan_in = 1.0 if place == 0 else m
        fan_out = 1.0 if place == depth else m
        is_output = place == depth
        # Variance 1 / fan_in (torch's own) for all but the output, which has 1 / fan_in².
        started = other.weight / math.sqrt(m) if is_output else other.weight
        torch.testing.assert_close(layer.weight, started)
        # Torch's biases shrink with fan_in; those of the table do not.
        torch.testing.assert_close(layer.bias, other.bias * math.sqrt(fan_in))
        assert adam.get(layer.weight, 1.0) == pytest.approx(1 / fan_in)
        assert adam.get(layer.bias, 1.0) == pytest.approx(1)
        expected = 1 / m if is_output else fan_out / fan_in
        assert sgd.get(layer.weight, 1.0) == pytest.approx(expected)
        assert sgd.get(layer.bias, 1.0) == pytest.approx(fan_out)


@given(multiplier=st.floats(0.01, 100), fan_in=st.floats(0.1, 64), fan_out=st.floats(0.1, 64))
def test_a_multiplier_moved_into_a_parameter_keeps_the_walk_of_its_product(
    multiplier: float, fan_in: float, fan_out: float
) -> None:
    """Lemma J.1: `multiplier · w` and `v` walk together, for a loss of their value alone."""
    before = matrix(fan_in, fan_out)
    after = before.times(multiplier)
    for rate_before, rate_after, is_adam in (
        (before.adam, after.adam, True),
        (before.sgd, after.sgd, False),
    ):
        assert rate_before is not None
        assert rate_after is not None
        gradient = 0.3  # of the loss by the value
        scaled = math.copysign(1, gradient) if is_adam else gradient
        w = before.start - rate_before * (scaled if is_adam else multiplier * gradient)
        v = after.start - rate_after * scaled
        assert v == pytest.approx(multiplier * w, rel=1e-6, abs=1e-9)


def test_a_list_of_widths_has_a_factor_per_layer() -> None:
    rates = width_rates(component("AdamW"), mlp([16, 32]))
    weights = [(tuple(p.shape), rate) for p, rate in rates.items() if p.ndim == 2]
    assert weights == [((16, 5), 1.0), ((32, 16), 1 / 2), ((3, 32), 1 / 4)]


def test_a_step_of_adamw_takes_the_same_share_of_every_weight() -> None:
    model = mlp(64)
    optimizer = component("AdamW", lr=0.01, weight_decay=0.3)
    [built] = build_optimizers(optimizer, model, "all")
    assert {group[RATE_FACTOR] for group in built.param_groups} == {1.0, 1 / 8}
    for group in built.param_groups:
        assert group["lr"] * group["weight_decay"] == pytest.approx(0.01 * 0.3)
    before = [p.detach().clone() for p in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    built.step()
    for one, other in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(other.detach(), one * (1 - 0.01 * 0.3))


def test_other_factors_multiply_and_biases_stay_without_decay() -> None:
    model = mlp(16)
    optimizer = component("AdamW", lr=1.0, weight_decay=0.5)
    head = model.get_parameter("head.weight")
    [built] = build_optimizers(optimizer, model, "weights", {head: 0.1})
    found = {p: group for group in built.param_groups for p in group["params"]}
    assert found[head]["lr"] == pytest.approx(0.1 / 2)
    assert found[head]["weight_decay"] == pytest.approx(0.5 * 2)
    bias = model.get_parameter("head.bias")
    assert (found[bias]["lr"], found[bias]["weight_decay"]) == (1.0, 0.0)


def test_pruned_and_copied_models_keep_their_rates() -> None:
    model = copy.deepcopy(mlp(32))
    rates = width_rates(component("Adam"), model)
    by_shape = {tuple(p.shape): rate for p, rate in rates.items() if p.ndim == 2}
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            parametrize.register_parametrization(layer, "weight", nn.Identity())
    masked = width_rates(component("Adam"), model)
    assert {tuple(p.shape): rate for p, rate in masked.items() if p.ndim == 2} == by_shape


def test_only_models_of_tunecli_have_factors() -> None:
    model = nn.Linear(2, 1)
    model.width_factors = {"weight": WidthFactors(1.0, 0.5)}
    assert width_rates(component("Adam"), model) == {}


def _change(parametrization: str, width: int) -> float:
    """How far four steps of Adam move the outputs, on average."""
    torch.manual_seed(0)
    given = {"width": width, "depth": 3, "parametrization": parametrization, "base_width": 32}
    model = build_model(component("MLP", **given), (20,), 4)
    x, y = torch.randn(64, 20), torch.randint(4, (64,))
    first = model(x).detach()
    optimizer = component("Adam", lr=0.01)
    [built] = build_optimizers(optimizer, model, "all")
    for _ in range(4):
        built.zero_grad()
        cross_entropy(model(x), y).backward()
        built.step()
    return (model(x) - first).detach().std().item()


def test_outputs_move_alike_at_every_width() -> None:
    """The coordinate check of the paper, appendix D.1."""
    ours = [_change("mup", width) for width in (32, 128, 512)]
    usual = [_change("standard", width) for width in (32, 128, 512)]
    assert max(ours) < 1.5 * min(ours)
    assert usual[2] > 3 * usual[0]


EXPONENTS = range(-10, -4)


def _loss(parametrization: str, width: int, lr: float, x: Tensor, y: Tensor, seed: int) -> float:
    """Mean training loss of digits in the third epoch of Adam."""
    torch.manual_seed(seed)
    given = {"width": width, "depth": 4, "parametrization": parametrization, "base_width": 32}
    model = build_model(component("MLP", **given), (64,), 10)
    optimizer = component("Adam", lr=lr)
    [built] = build_optimizers(optimizer, model, "all")
    for _ in range(3):
        losses = []
        for rows in torch.randperm(len(x)).split(64):
            built.zero_grad()
            loss = cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            built.step()
            losses.append(loss.item())
    return sum(losses) / len(losses)


def _best_exponent(parametrization: str, width: int) -> float:
    """The power of two of the best learning rate, by a parabola through the three best places."""
    pixels, classes = load_digits(return_X_y=True)
    x = torch.tensor((pixels - pixels.mean(0)) / (pixels.std(0) + 1e-8)).float()
    y = torch.tensor(classes)
    logs = [
        math.log(sum(_loss(parametrization, width, 2.0**e, x, y, seed) for seed in range(2)))
        for e in EXPONENTS
    ]
    place = min(range(1, len(logs) - 1), key=lambda i: logs[i])
    below, here, above = logs[place - 1 : place + 2]
    return EXPONENTS[place] + 0.5 * (below - above) / (below - 2 * here + above)


@pytest.mark.slow
def test_the_best_learning_rate_of_digits_stays_from_width_32_to_512() -> None:
    narrow = _best_exponent("standard", 32)  # that of mup too: it is the base width
    assert abs(_best_exponent("mup", 512) - narrow) < 1  # less than a factor of 2
    assert abs(_best_exponent("standard", 512) - narrow) > 2  # more than a factor of 4
