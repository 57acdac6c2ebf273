"""Row weights in training: a row of weight k counts as k rows, and one of weight 0 as none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_cases import CPU, classification, component, regression, trial

from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.settings import Component
from tunecli.training.models.building import build_model
from tunecli.training.step.augmentation import mixed
from tunecli.training.step.batches import Batch, Batches
from tunecli.training.step.gradient_step import GradientStep
from tunecli.training.step.losses import build_loss, n_outputs
from tunecli.training.step.optimizers import build_optimizers
from tunecli.training.step.precision import Precision

CLASSES = classification(n_train=24)
VALUES = regression(n_train=24)
COUNTS = replace(
    VALUES, y_train=VALUES.y_train.abs().round(), y_valid=VALUES.y_valid.abs().round()
)
WEIGHTS = torch.tensor([0, 1, 2, 3] * 6, dtype=torch.float32)
CASES = [
    (CLASSES, component("CrossEntropyLoss")),
    (CLASSES, component("CrossEntropyLoss", weight="balanced", label_smoothing=0.1)),
    (CLASSES, component("NLLLoss", weight="balanced")),
    (CLASSES, component("BCEWithLogitsLoss", weight="balanced")),
    (CLASSES, component("MultiMarginLoss")),
    (VALUES, component("MSELoss")),
    (VALUES, component("HuberLoss")),
    (VALUES, component("GaussianNLLLoss")),
    (COUNTS, component("PoissonNLLLoss")),
]


def rows(fold: FoldData, chosen: Tensor, weights: Tensor | None) -> FoldData:
    """A fold of the training rows chosen."""
    x = fold.x_train
    assert isinstance(x, Tensor)
    return replace(fold, x_train=x[chosen], y_train=fold.y_train[chosen], train_weights=weights)


def stepped(
    fold: FoldData,
    loss: Component,
    cuts: list[int] | None = None,
    optimizer: Component | None = None,
    **training: Any,
) -> tuple[list[Tensor], float]:
    """The weights after one step over all rows, in batches of these sizes; and the mean loss."""
    config = trial(loss=loss, optimizer=optimizer or component("SGD", lr=0.1), **training)
    torch.manual_seed(3)
    model: nn.Module = build_model(config.model, fold.shape, n_outputs(loss, fold))
    step = GradientStep(
        config,
        fold,
        model,
        build_loss(loss, fold),
        build_optimizers(config.optimizer, model, "all"),
        Precision(config.training, CPU),
    )
    batches = Batches(
        fold.x_train, fold.y_train, "full", shuffle=False, weights=fold.train_weights
    )
    batches.begin_epoch()
    (whole,) = batches.rest_of_epoch()
    sizes = cuts or [len(whole.y)]
    parts = [torch.split(v, sizes) if isinstance(v, Tensor) else [v] * len(sizes) for v in whole]
    step([Batch(*values) for values in zip(*parts, strict=True)])
    return [p.detach() for p in model.parameters()], step.take_mean_loss()


def assert_same(one: tuple[list[Tensor], float], other: tuple[list[Tensor], float]) -> None:
    assert one[1] == pytest.approx(other[1], rel=1e-5)
    for a, b in zip(one[0], other[0], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("fold", "loss"), CASES)
def test_a_weight_counts_as_so_many_rows_and_none_as_no_row(
    fold: FoldData, loss: Component
) -> None:
    repeated = torch.arange(24).repeat_interleave(WEIGHTS.long())
    weighted = rows(fold, torch.arange(24), WEIGHTS)
    assert_same(stepped(weighted, loss), stepped(rows(fold, repeated, None), loss))


@pytest.mark.parametrize(("fold", "loss"), CASES)
def test_parts_of_a_batch_give_the_mean_of_the_whole(fold: FoldData, loss: Component) -> None:
    weighted = rows(fold, torch.arange(24), WEIGHTS)
    whole = stepped(weighted, loss)
    assert_same(stepped(weighted, loss, cuts=[1, 4, 19]), whole)  # the first weighs nothing
    assert_same(stepped(weighted, loss, micro_batch=5), whole)


def test_lbfgs_minimizes_the_weighted_loss() -> None:
    lbfgs = component("LBFGS", lr=0.1, max_iter=3)
    repeated = torch.arange(24).repeat_interleave(WEIGHTS.long())
    loss = component("MSELoss")
    assert_same(
        stepped(rows(VALUES, torch.arange(24), WEIGHTS), loss, optimizer=lbfgs),
        stepped(rows(VALUES, repeated, None), loss, optimizer=lbfgs),
    )


def test_weights_of_mixed_rows_follow_their_targets() -> None:
    y = torch.arange(24)
    weights = y.float()
    batch = mixed(torch.zeros(24, 2), y, 0.4, weights)
    assert batch.other is not None
    assert batch.other_weights is not None
    torch.testing.assert_close(batch.other_weights, batch.other.float())


def test_batches_carry_weights_in_the_order_of_the_rows() -> None:
    y = torch.arange(24)
    batches = Batches(torch.zeros(24, 2), y, 7, shuffle=True, weights=y.float())
    batches.begin_epoch()
    for batch in batches.rest_of_epoch():
        assert batch.weights is not None
        torch.testing.assert_close(batch.weights, batch.y.float())
