"""Losses of several values and of labels against torch, and what their outputs mean."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tunecli.data.preprocessing.scaling import TargetScale
from tunecli.data.rows.dataset import FoldData, PerTarget
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import Component, Task
from tunecli.training.step.losses import Loss, build_loss, n_outputs

N_ROWS, N_TARGETS = 40, 3


def _fold(
    y: Tensor,
    task: Task,
    y_mean: PerTarget = 0.0,
    y_std: PerTarget = 1.0,
    weights: Tensor | None = None,
) -> FoldData:
    x, rows = torch.zeros(len(y), 2), torch.arange(len(y))
    return FoldData(
        0, task, x, y, x, y, rows, 0, y_mean=y_mean, y_std=y_std, train_weights=weights
    )


def _loss(name: str, fold: FoldData, **arguments: Any) -> Loss:
    return build_loss(Component(name=name, arguments=arguments), fold)


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.manual_seed(seed))


def _labels() -> Tensor:
    return (_random(N_ROWS, N_TARGETS) > torch.tensor([0.0, 0.8, -0.5])).float()


VALUE_LOSSES = ["MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"]


@pytest.mark.parametrize("name", VALUE_LOSSES)
def test_a_loss_of_values_is_the_mean_over_rows_and_targets(name: str) -> None:
    y, outputs = _random(N_ROWS, N_TARGETS), _random(N_ROWS, N_TARGETS, seed=1)
    loss = _loss(name, _fold(y, "regression"))
    assert loss.n_outputs == N_TARGETS
    assert torch.equal(loss(outputs, y), getattr(nn, name)()(outputs, y))
    weighted = _loss(name, _fold(y, "regression", weights=torch.ones(N_ROWS)))
    assert weighted(outputs, y).shape == (N_ROWS,)
    torch.testing.assert_close(weighted(outputs, y).mean(), loss(outputs, y))


@pytest.mark.parametrize("name", [*VALUE_LOSSES, "GaussianNLLLoss", "PoissonNLLLoss"])
def test_the_targets_of_a_row_count_by_their_weights(name: str) -> None:
    y, weight = _random(N_ROWS, N_TARGETS).exp(), [2.0, 0.0, 6.0]
    n_outputs = N_TARGETS * (2 if name == "GaussianNLLLoss" else 1)
    outputs = _random(N_ROWS, n_outputs, seed=1)
    alone = []
    for number in (0, 2):
        own = outputs[:, number::N_TARGETS]
        alone.append(_loss(name, _fold(y[:, number], "regression"))(own, y[:, number]))
    fold = _fold(y, "regression", y_mean=(0.0,) * N_TARGETS, y_std=(1.0,) * N_TARGETS)
    expected = 0.25 * alone[0] + 0.75 * alone[1]
    torch.testing.assert_close(_loss(name, fold, weight=weight)(outputs, y), expected)
    rows = _fold(y, "regression", fold.y_mean, fold.y_std, weights=torch.ones(N_ROWS))
    of_rows = _loss(name, rows, weight=weight)(outputs, y)
    assert of_rows.shape == (N_ROWS,)
    torch.testing.assert_close(of_rows.mean(), expected)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0, 2.0], "one number for each of the 3 targets, but has 2"),
        ([1.0, -1.0, 2.0], "at least 0"),
        ([0.0, 0.0, 0.0], "one above 0"),
    ],
)
def test_weights_that_do_not_fit_the_targets_are_refused(
    weight: list[float], message: str
) -> None:
    fold = _fold(_random(N_ROWS, N_TARGETS), "regression")
    with pytest.raises((DataError, ValueError), match=message):
        _loss("MSELoss", fold, weight=weight)


def test_weights_of_a_single_target_are_refused() -> None:
    with pytest.raises(DataError, match="weight is for several targets"):
        _loss("MSELoss", _fold(_random(N_ROWS), "regression"), weight=[1.0])


@pytest.mark.parametrize("name", [*VALUE_LOSSES, "GaussianNLLLoss", "PoissonNLLLoss"])
def test_one_column_has_the_bits_of_a_single_target(name: str) -> None:
    y = _random(N_ROWS).exp()
    outputs = _random(N_ROWS, 2 if name == "GaussianNLLLoss" else 1, seed=1)
    losses = [_loss(name, _fold(one, "regression")) for one in (y, y[:, None])]
    values = [loss(outputs, one) for loss, one in zip(losses, (y, y[:, None]), strict=True)]
    assert torch.equal(*values)
    single, several = (loss.predict(outputs) for loss in losses)
    assert (single == several[:, 0]).all() if several.ndim > 1 else (single == several).all()


def test_gaussian_and_poisson_have_a_part_per_target() -> None:
    y, outputs = _random(N_ROWS, N_TARGETS).exp(), _random(N_ROWS, 2 * N_TARGETS, seed=1)
    fold = _fold(y, "regression", y_mean=(0.0,) * N_TARGETS, y_std=(1.0,) * N_TARGETS)
    gaussian = Component(name="GaussianNLLLoss")
    assert n_outputs(gaussian, fold) == 2 * N_TARGETS
    mean, variance = outputs[:, :N_TARGETS], functional.softplus(outputs[:, N_TARGETS:])
    loss = build_loss(gaussian, fold)
    torch.testing.assert_close(loss(outputs, y), nn.GaussianNLLLoss()(mean, y, variance))
    assert torch.equal(torch.from_numpy(loss.predict(outputs)).float(), mean)
    rates = outputs[:, :N_TARGETS]
    poisson = _loss("PoissonNLLLoss", fold)
    logs = y.double().mean(0).log().float()
    torch.testing.assert_close(poisson(rates, y), nn.PoissonNLLLoss()(rates + logs, y))
    predicted = torch.from_numpy(poisson.predict(rates)).float()
    torch.testing.assert_close(predicted, (rates + logs).exp())


def test_each_target_is_standardized_by_itself_and_comes_back_in_its_unit() -> None:
    y = _random(N_ROWS, N_TARGETS).double() * torch.tensor([1.0, 10, 1e4]) + 1e6
    y[:, 0] = 7.25  # a constant one has a deviation of 1
    scale = TargetScale.of(y)
    standardized = scale.standardized(y)
    assert standardized.dtype == torch.float32
    assert (standardized[:, 0] == 0).all()
    assert standardized[:, 1:].mean(0).abs().max() < 1e-6
    torch.testing.assert_close(
        standardized[:, 1:].std(0, correction=0), torch.ones(2), rtol=1e-6, atol=0
    )
    for column in range(N_TARGETS):
        alone = TargetScale.of(y[:, column].contiguous())
        assert torch.equal(alone.standardized(y[:, column]), standardized[:, column])
    loss = _loss("MSELoss", _fold(standardized, "regression", scale.mean, scale.std))
    back = torch.from_numpy(loss.predict(standardized))
    torch.testing.assert_close(back, y, rtol=1e-6, atol=1e-3)


def test_the_loss_of_labels_is_torchs() -> None:
    y, outputs = _labels(), _random(N_ROWS, N_TARGETS, seed=1)
    loss = _loss("BCEWithLogitsLoss", _fold(y, "multilabel"))
    assert loss.n_outputs == N_TARGETS
    torch.testing.assert_close(loss(outputs, y), nn.BCEWithLogitsLoss()(outputs, y))
    torch.testing.assert_close(
        torch.from_numpy(loss.predict(outputs)), outputs.double().sigmoid().float()
    )
    rows = _loss("BCEWithLogitsLoss", _fold(y, "multilabel", weights=torch.ones(N_ROWS)))
    expected = functional.binary_cross_entropy_with_logits(outputs, y, reduction="none").mean(1)
    torch.testing.assert_close(rows(outputs, y), expected)


def test_labels_have_weights() -> None:
    y, outputs = _labels(), _random(N_ROWS, N_TARGETS, seed=1)
    weight, pos_weight = [1.0, 0.5, 2.0], [1.0, 3.0, 0.2]
    loss = _loss("BCEWithLogitsLoss", _fold(y, "multilabel"), weight=weight, pos_weight=pos_weight)
    expected = nn.BCEWithLogitsLoss(
        weight=torch.tensor(weight), pos_weight=torch.tensor(pos_weight)
    )
    torch.testing.assert_close(loss(outputs, y), expected(outputs, y))


def test_balanced_gives_both_sides_of_a_label_the_same_weight() -> None:
    y, weights = _labels(), torch.rand(N_ROWS, generator=torch.manual_seed(2)) + 0.1
    for sizes in (None, weights):
        fold = _fold(y, "multilabel", weights=sizes)
        pos_weight = _loss("BCEWithLogitsLoss", fold, pos_weight="balanced").module.pos_weight
        own = torch.ones(N_ROWS) if sizes is None else sizes
        positive, negative = own @ y, own @ (1 - y)
        torch.testing.assert_close(pos_weight * positive, negative)


def test_a_label_without_training_rows_counts_as_if_it_had_one() -> None:
    y = _labels()
    y[:, 1] = 0
    loss = _loss("BCEWithLogitsLoss", _fold(y, "multilabel"), pos_weight="balanced")
    assert loss.module.pos_weight[1] == N_ROWS
    assert math.isfinite(loss(torch.zeros(N_ROWS, N_TARGETS), y))


@pytest.mark.parametrize("name", ["weight", "pos_weight"])
def test_wrong_weights_of_labels_are_refused(name: str) -> None:
    message = f"{name} must have one number for each of the 3 labels, but has 2"
    with pytest.raises(DataError, match=message):
        _loss("BCEWithLogitsLoss", _fold(_labels(), "multilabel"), **{name: [1.0, 2.0]})
    with pytest.raises(ValueError, match=f"{name} must be `balanced` or a list"):
        _loss("BCEWithLogitsLoss", _fold(_labels(), "multilabel"), **{name: "equal"})
