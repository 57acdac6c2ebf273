"""Weights of classes and targets in a loss, as a study file gives them or the data asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tunecli.data.rows.dataset import FoldData
from tunecli.errors import DataError


def class_weights(weight: str | Sequence[float] | None, fold: FoldData) -> Tensor | None:
    """Return the class weights, (n_classes,) float32, on the device of the fold's targets.

    Args:
        weight: one number per class; None for no weights; or `balanced`, which is
            n_rows / (n_classes * n_rows of the class) on the training part, as in scikit-learn
            (King and Zeng 2001): the mean weight of a row is 1. A class without training rows
            counts as if it had one.

    Raises:
        DataError: the number of weights differs from the number of classes.
    """
    y = fold.y_train
    if weight is None:
        return None
    if isinstance(weight, str):
        if weight != "balanced":
            raise ValueError(
                f"weight must be `balanced` or a list of numbers, but got {weight!r}."
            )
        if fold.train_weights is not None:
            return _balanced(y, fold.train_weights, fold.n_classes)
        counts = torch.bincount(y, minlength=fold.n_classes).clamp(min=1)
        return len(y) / (fold.n_classes * counts.float())
    if len(weight) != fold.n_classes:
        raise DataError(
            f"weight must have one number for each of the {fold.n_classes} classes, but has "
            f"{len(weight)}. Use `balanced`, or list the numbers in the order of the classes."
        )
    return torch.tensor(weight, dtype=torch.float32, device=y.device)


def label_weights(name: str, given: str | Sequence[float] | None, fold: FoldData) -> Tensor | None:
    """Return one weight per label, (n_labels,) float32, on the device of the fold's targets.

    Args:
        name: `weight` or `pos_weight`, for messages.
        given: one number per label; None for no weights; or `balanced`, the rows without the label
            per row with it in the training part, which give both sides the same total weight. A
            label without training rows counts as if it had one.

    Raises:
        DataError: the number of weights differs from the number of labels.
    """
    if given is None:
        return None
    y = fold.y_train.double()
    if isinstance(given, str):
        if given != "balanced":
            raise ValueError(f"{name} must be `balanced` or a list of numbers, but got {given!r}.")
        sizes = torch.ones(len(y)) if fold.train_weights is None else fold.train_weights
        n_with = sizes.double().to(y.device) @ y
        return ((sizes.double().sum() - n_with) / n_with.clamp(min=1)).float()
    if len(given) != fold.n_targets:
        raise DataError(
            f"{name} must have one number for each of the {fold.n_targets} labels, but has "
            f"{len(given)}. List the numbers in the order of data.targets."
        )
    return torch.tensor(given, dtype=torch.float32, device=y.device)


def target_shares(weight: Sequence[float] | None, fold: FoldData) -> Tensor | None:
    """Return the share of each target in the loss of a row, (n_targets,) float32; their sum is 1.

    Args:
        weight: one number of at least 0 per target; None for equal shares.

    Raises:
        DataError: there is one target, or the number of weights differs from that of targets.
        ValueError: a weight is below 0, or none is above 0.
    """
    if weight is None:
        return None
    if fold.y_train.ndim == 1:
        raise DataError("weight is for several targets, but the data has one. Remove weight.")
    if len(weight) != fold.n_targets:
        raise DataError(
            f"weight must have one number for each of the {fold.n_targets} targets, but has "
            f"{len(weight)}. List the numbers in the order of data.targets."
        )
    if min(weight) < 0 or not 0 < sum(weight) < math.inf:
        raise ValueError("weight must have numbers of at least 0, and one above 0.")
    shares = torch.tensor(weight, dtype=torch.float64) / sum(weight)
    return shares.float().to(fold.y_train.device)


def mean_target(y: Tensor, weights: Tensor | None) -> float:
    """Return the (weighted) mean of the targets of some rows, (n,), in float64 on the CPU."""
    values = y.cpu().double()
    if weights is None:
        return values.mean().item()
    row_weights = weights.cpu().double()
    return float((values @ row_weights / row_weights.sum()).item())


def _balanced(y: Tensor, weights: Tensor, n_classes: int) -> Tensor:
    """Return class weights that give all classes the same total weight, with row weights.

    A class whose rows all have weight 0 gets 1.
    """
    totals = torch.zeros(n_classes, device=y.device).index_add_(0, y, weights.float())
    balanced = totals.sum() / (n_classes * totals)
    return torch.where(totals > 0, balanced, 1.0)
