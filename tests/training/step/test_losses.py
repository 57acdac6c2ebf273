"""Losses against torch.nn.functional and the formulas, with their gradients and predictions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor
from torch.nn import functional

from tunecli.data.rows.dataset import FoldData
from tunecli.errors import DataError
from tunecli.study_file.catalogue.names import LOSS_TASKS, names
from tunecli.study_file.settings.settings import Component
from tunecli.training.step.loss_weights import class_weights
from tunecli.training.step.losses import (
    Loss,
    build_loss,
    n_outputs,
    standardizes_target,
)

CLASSIFICATION = [name for name, task in LOSS_TASKS.items() if "classification" in task]
REGRESSION = [name for name, task in LOSS_TASKS.items() if "regression" in task]


def _fold(y: Tensor, n_classes: int = 0, y_mean: float = 0.0, y_std: float = 1.0) -> FoldData:
    x = torch.zeros(len(y), 2)
    task = "classification" if n_classes else "regression"
    return FoldData(0, task, x, y, x, y, torch.arange(len(y)), n_classes, y_mean, y_std)


def _classes(n_classes: int, n: int = 60) -> Tensor:
    """Unequal numbers of rows of each class, each at least one."""
    y = (torch.rand(n, generator=torch.manual_seed(1)) ** 2 * n_classes).long()
    y[:n_classes] = torch.arange(n_classes)
    return y


def _loss(name: str, fold: FoldData, **arguments: Any) -> Loss:
    return build_loss(Component(name=name, arguments=arguments), fold)


def _value_and_gradient(
    loss: Callable[[Tensor, Tensor], Tensor], outputs: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    outputs = outputs.clone().requires_grad_()
    value = loss(outputs, y)
    value.backward()
    assert outputs.grad is not None
    return value.detach(), outputs.grad


def _assert_same(
    ours: Callable[[Tensor, Tensor], Tensor],
    oracle: Callable[[Tensor, Tensor], Tensor],
    outputs: Tensor,
    y: Tensor,
) -> None:
    """Equal values and equal gradients."""
    pairs = zip(
        _value_and_gradient(ours, outputs, y), _value_and_gradient(oracle, outputs, y), strict=True
    )
    for a, b in pairs:
        torch.testing.assert_close(a, b)


def _balanced(y: Tensor, n_classes: int) -> Tensor:
    weights = compute_class_weight("balanced", classes=np.arange(n_classes), y=y.numpy())
    return torch.tensor(weights, dtype=torch.float32)


def test_every_loss_that_a_study_file_may_name_is_here() -> None:
    y = _classes(3)
    for name in names("loss"):
        fold = _fold(y, 3) if "classification" in LOSS_TASKS[name] else _fold(y.float())
        wanted = n_outputs(Component(name=name), fold)
        loss = _loss(name, fold)
        assert loss.n_outputs == wanted
        outputs = torch.randn(len(y), wanted)
        assert loss(outputs, fold.y_train).shape == ()
        assert loss.predict(outputs).shape == ((len(y), 3) if fold.n_classes else (len(y),))
        assert standardizes_target(Component(name=name)) == (name != "PoissonNLLLoss")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(weighted: bool, smoothing: float) -> None:
    y = _classes(4)
    weight = _balanced(y, 4) if weighted else None
    loss = _loss(
        "CrossEntropyLoss",
        _fold(y, 4),
        label_smoothing=smoothing,
        weight="balanced" if weighted else None,
    )

    def oracle(outputs: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, y, weight, label_smoothing=smoothing)

    _assert_same(loss, oracle, torch.randn(60, 4), y)


def test_cross_entropy_by_its_formula() -> None:
    outputs = torch.tensor([[1.0, 2.0], [0.5, 0.0]])
    y = torch.tensor([0, 1])
    loss = _loss("CrossEntropyLoss", _fold(y, 2), weight=[1.0, 3.0])
    nll = [math.log(1 + math.exp(1.0)), math.log(1 + math.exp(0.5))]
    assert loss(outputs, y).item() == pytest.approx((nll[0] + 3 * nll[1]) / 4)


@pytest.mark.parametrize("weight", [None, "balanced"])
def test_nll_on_outputs_is_cross_entropy(weight: str | None) -> None:
    y = _classes(4)
    nll = _loss("NLLLoss", _fold(y, 4), weight=weight)
    cross_entropy = _loss("CrossEntropyLoss", _fold(y, 4), weight=weight)
    _assert_same(nll, cross_entropy, torch.randn(60, 4), y)


@pytest.mark.parametrize("weighted", [False, True])
def test_binary_cross_entropy_has_one_output_for_two_classes(weighted: bool) -> None:
    y = _classes(2)
    loss = _loss("BCEWithLogitsLoss", _fold(y, 2), weight="balanced" if weighted else None)
    assert loss.n_outputs == 1
    rows = _balanced(y, 2)[y] if weighted else None

    def oracle(outputs: Tensor, y: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(outputs[:, 0], y.float(), rows)

    outputs = torch.randn(60, 1)
    _assert_same(loss, oracle, outputs, y)
    p = outputs[:, 0].double().sigmoid().numpy()
    np.testing.assert_allclose(loss.predict(outputs), np.stack([1 - p, p], 1), rtol=1e-6)


def test_binary_cross_entropy_is_one_against_the_rest_for_more() -> None:
    y = _classes(3)
    loss = _loss("BCEWithLogitsLoss", _fold(y, 3), weight="balanced")
    rows = _balanced(y, 3)[y]

    def oracle(outputs: Tensor, y: Tensor) -> Tensor:
        parts = [
            functional.binary_cross_entropy_with_logits(outputs[:, k], (y == k).float(), rows)
            for k in range(3)
        ]
        return torch.stack(parts).mean()

    outputs = torch.randn(60, 3)
    _assert_same(loss, oracle, outputs, y)
    p = outputs.double().sigmoid().numpy()
    np.testing.assert_allclose(loss.predict(outputs), p / p.sum(1, keepdims=True), rtol=1e-6)


def test_multi_margin() -> None:
    y = _classes(3)
    loss = _loss("MultiMarginLoss", _fold(y, 3), p=2, margin=0.7)

    def oracle(outputs: Tensor, y: Tensor) -> Tensor:
        truth = outputs.gather(1, y[:, None])
        parts = (0.7 - truth + outputs).clamp(min=0) ** 2 / 3
        return (parts * (1 - functional.one_hot(y, 3))).sum(1).mean()

    _assert_same(loss, oracle, torch.randn(60, 3), y)


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "NLLLoss", "MultiMarginLoss"])
def test_softmax_predictions(name: str) -> None:
    outputs = torch.randn(60, 3)
    predicted = _loss(name, _fold(_classes(3), 3)).predict(outputs)
    np.testing.assert_allclose(predicted, outputs.softmax(1).numpy(), rtol=1e-5)


@given(
    st.sampled_from(CLASSIFICATION),
    st.integers(2, 5),
    st.sampled_from([0.1, 1.0, 30.0, 1000.0]),
)
@settings(max_examples=40, deadline=None)
def test_predictions_are_probabilities_in_the_outputs_order(
    name: str, n_classes: int, spread: float
) -> None:
    loss = _loss(name, _fold(_classes(n_classes), n_classes))
    outputs = torch.randn(20, loss.n_outputs) * spread
    p = loss.predict(outputs)
    assert p.dtype == np.float32
    assert p.min() >= 0
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    likeliest = (outputs[:, 0] > 0).long() if loss.n_outputs == 1 else outputs.argmax(1)
    assert (p[np.arange(20), likeliest.numpy()] == p.max(1)).all()


@pytest.mark.parametrize(
    ("name", "arguments", "oracle"),
    [
        ("MSELoss", {}, functional.mse_loss),
        ("L1Loss", {}, functional.l1_loss),
        ("SmoothL1Loss", {"beta": 0.3}, lambda o, y: functional.smooth_l1_loss(o, y, beta=0.3)),
        ("HuberLoss", {"delta": 0.3}, lambda o, y: functional.huber_loss(o, y, delta=0.3)),
    ],
)
def test_losses_between_values(
    name: str, arguments: dict[str, Any], oracle: Callable[[Tensor, Tensor], Tensor]
) -> None:
    y = torch.randn(30)
    loss = _loss(name, _fold(y, y_mean=150.0, y_std=70.0), **arguments)
    outputs = torch.randn(30, 1)
    _assert_same(loss, lambda o, y: oracle(o[:, 0], y), outputs, y)
    np.testing.assert_allclose(
        loss.predict(outputs), outputs[:, 0].numpy() * 70.0 + 150.0, rtol=1e-6, atol=1e-4
    )


def test_gaussian_nll_by_its_formula() -> None:
    y = torch.randn(30)
    loss = _loss("GaussianNLLLoss", _fold(y, y_mean=5.0, y_std=2.0), full=True)
    assert loss.n_outputs == 2

    def oracle(outputs: Tensor, y: Tensor) -> Tensor:
        mean, variance = outputs[:, 0], torch.log1p(outputs[:, 1].exp())
        return -torch.distributions.Normal(mean, variance.sqrt()).log_prob(y).mean()

    outputs = torch.randn(30, 2)
    _assert_same(loss, oracle, outputs, y)
    np.testing.assert_allclose(loss.predict(outputs), outputs[:, 0] * 2.0 + 5.0, rtol=1e-6)


def test_poisson_nll_by_its_formula() -> None:
    y = torch.poisson(torch.full((40,), 6.0), generator=torch.manual_seed(0))
    loss = _loss("PoissonNLLLoss", _fold(y))

    def oracle(outputs: Tensor, y: Tensor) -> Tensor:
        rate = outputs[:, 0].exp() * y.mean()
        log_probability = torch.distributions.Poisson(rate).log_prob(y)
        return -(log_probability + torch.lgamma(y + 1)).mean()  # y! is left out unless `full`

    outputs = torch.randn(40, 1) * 0.3
    _assert_same(loss, oracle, outputs, y)
    rates = outputs[:, 0].exp().numpy() * y.mean().item()
    np.testing.assert_allclose(loss.predict(outputs), rates, rtol=1e-6)
    assert loss.predict(torch.zeros(1, 1))[0] == pytest.approx(y.mean().item())


def test_poisson_nll_refuses_what_are_no_counts() -> None:
    message = "PoissonNLLLoss takes counts, but the smallest target is -0.5. Use MSELoss"
    with pytest.raises(DataError, match=message):
        _loss("PoissonNLLLoss", _fold(torch.tensor([3.0, -0.5])))
    only_valid = replace(_fold(torch.tensor([3.0, 1.0])), y_valid=torch.tensor([-1.0, 2.0]))
    with pytest.raises(DataError, match="smallest target is -1"):
        _loss("PoissonNLLLoss", only_valid)
    with pytest.raises(ValueError, match="only log_input: true"):
        _loss("PoissonNLLLoss", _fold(torch.tensor([3.0])), log_input=False)


def test_poisson_nll_takes_nothing_but_zeros() -> None:
    loss = _loss("PoissonNLLLoss", _fold(torch.zeros(4)))
    assert loss(torch.zeros(4, 1), torch.zeros(4)).item() == 1.0


@pytest.mark.parametrize("name", [*CLASSIFICATION, *REGRESSION])
@pytest.mark.parametrize("weight", [None, "balanced"])
@given(cuts=st.sets(st.integers(1, 59), max_size=4))
@settings(max_examples=10, deadline=None)
def test_batches_joined_by_their_total_weight_are_one_batch(
    name: str, weight: str | None, cuts: set[int]
) -> None:
    y = _classes(3)
    takes_weight = name in ("CrossEntropyLoss", "NLLLoss", "BCEWithLogitsLoss")
    fold = _fold(y, 3) if name in CLASSIFICATION else _fold(y.float())
    loss = _loss(name, fold, **({"weight": weight} if takes_weight else {}))
    outputs, y = torch.randn(60, loss.n_outputs), fold.y_train
    ends = [0, *sorted(cuts), 60]
    parts = [(outputs[a:b], y[a:b]) for a, b in pairwise(ends)]
    total = sum(loss.total_weight(y) for _, y in parts)
    joined = sum(loss(o, y) * loss.total_weight(y) for o, y in parts) / total
    torch.testing.assert_close(joined, loss(outputs, y))
    torch.testing.assert_close(torch.as_tensor(total).float(), torch.tensor(60.0))


@given(st.lists(st.integers(1, 30), min_size=2, max_size=6))
def test_balanced_weights_are_scikit_learns_with_mean_1(counts: list[int]) -> None:
    n_classes = len(counts)
    y = torch.repeat_interleave(torch.arange(n_classes), torch.tensor(counts))
    weights = class_weights("balanced", _fold(y, n_classes))
    assert weights is not None
    torch.testing.assert_close(weights, _balanced(y, n_classes))
    assert weights[y].mean().item() == pytest.approx(1)


def test_class_weights_come_from_the_training_part_alone() -> None:
    fold = _fold(_classes(3), 3)
    other = replace(fold, y_valid=torch.zeros(60, dtype=torch.int64))
    expected, weights = class_weights("balanced", fold), class_weights("balanced", other)
    assert weights is not None
    assert expected is not None
    assert torch.equal(weights, expected)


def test_a_class_without_training_rows_has_a_finite_weight() -> None:
    weights = class_weights("balanced", _fold(torch.tensor([0, 0, 2]), 3))
    assert weights is not None
    torch.testing.assert_close(weights, torch.tensor([0.5, 1.0, 1.0]))


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "NLLLoss", "BCEWithLogitsLoss"])
def test_wrong_class_weights_are_refused(name: str) -> None:
    fold = _fold(_classes(3), 3)
    with pytest.raises(DataError, match="one number for each of the 3 classes, but has 2"):
        _loss(name, fold, weight=[1.0, 2.0])
    with pytest.raises(ValueError, match="`balanced` or a list of numbers, but got 'equal'"):
        _loss(name, fold, weight="equal")


@pytest.mark.parametrize("name", [*CLASSIFICATION, *REGRESSION])
def test_predictions_need_no_gradient_and_keep_nan(name: str) -> None:
    y = _classes(3)
    fold = _fold(y, 3) if name in CLASSIFICATION else _fold(y.float())
    loss = _loss(name, fold)
    outputs = torch.zeros(2, loss.n_outputs, requires_grad=True)
    assert np.isfinite(loss.predict(outputs)).all()
    with torch.no_grad():
        outputs[1] = math.nan
    assert np.isfinite(loss.predict(outputs)[0]).all()
    assert np.isnan(loss.predict(outputs)[1]).all()


@pytest.mark.parametrize("name", [*CLASSIFICATION, *REGRESSION])
def test_half_precision_outputs_are_computed_in_float32(name: str) -> None:
    y = _classes(3)
    fold = _fold(y, 3) if name in CLASSIFICATION else _fold(y.float())
    loss = _loss(name, fold)
    outputs = torch.randn(60, loss.n_outputs).bfloat16()
    torch.testing.assert_close(loss(outputs, fold.y_train), loss(outputs.float(), fold.y_train))
