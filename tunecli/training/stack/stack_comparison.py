"""Compare a stack with each of its models alone, at the first use of their shapes.

Whether kernels give a model the same bits in a stack depends on the machine and the shapes, not on
the values: another order of a sum shows in thousands of numbers at once.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from tunecli.data.rows.features import as_features
from tunecli.training.stack.fold_stack import StackableFold
from tunecli.training.stack.joined_tensors import ALIGNED
from tunecli.training.stack.stacked_losses import stacked_losses
from tunecli.training.stack.stacked_models import StackedModels
from tunecli.training.step.batches import Batch


class Alike(NamedTuple):
    """What models have in common with themselves in a stack.

    Attributes:
        in_training: whether gradients and buffers are the same.
        in_evaluation: whether outputs are, too.
    """

    in_training: bool
    in_evaluation: bool


_ANYWHERE = (0, 1, 2, 4, 8)
"""Numbers by which the rows to evaluate may be off from an aligned address."""
_COMPARED: dict[object, Alike] = {}
"""Results of this process."""


def compare_stack(folds: Sequence[StackableFold], n_rows: int) -> Alike:
    """Compare the folds' models with the same models in a stack.

    Args:
        n_rows: rows of a batch.
    """
    with folds[0].precision.in_force(), torch.random.fork_rng(devices=[]):
        threads = torch.get_num_threads()
        sizes = n_rows, *(tuple(map(len, fold.valid_blocks())) for fold in folds)
        key = (repr([fold.model for fold in folds]), sizes, threads, folds[0].fold.task)
        if key not in _COMPARED:
            _COMPARED[key] = _compare(folds, n_rows)
    return _COMPARED[key]


def has_differed() -> bool:
    """Return whether a comparison of this process has found a difference in training."""
    return not all(alike.in_training for alike in _COMPARED.values())


def _compare(folds: Sequence[StackableFold], n_rows: int) -> Alike:
    torch.manual_seed(0)
    batches = [_random_batch(fold, n_rows) for fold in folds]
    alone, *moved = (_trained_alone(folds, batches, n) for n in _shifts(batches[0].x))
    together = [copy.deepcopy(fold.model).train() for fold in folds]
    models = StackedModels(together, n_rows)
    with models.bound([torch.Generator().manual_seed(k) for k in range(len(folds))]):
        outputs = models.outputs([batch.x for batch in batches])
        steps = [fold.step for fold in folds]
        losses = stacked_losses(steps, outputs, batches, [1.0] * len(folds))
        for weight, gradient in zip(models.weights, models.gradients(losses), strict=True):
            weight.grad = gradient
        in_evaluation = _evaluate_alike(folds, alone, models)
    in_training = all(
        _are_equal(one, other)
        for models_ in (together, *moved)
        for one, other in zip(map(_results, alone), map(_results, models_), strict=True)
    )
    return Alike(in_training, in_training and in_evaluation)


def _trained_alone(
    folds: Sequence[StackableFold], batches: Sequence[Batch], shift: int
) -> list[nn.Module]:
    """Return copies of the models with the gradients that each has alone.

    Args:
        shift: see `_moved`.
    """
    models = [copy.deepcopy(fold.model).train() for fold in folds]
    for k, (fold, model, batch) in enumerate(zip(folds, models, batches, strict=True)):
        torch.manual_seed(k)
        outputs = model(_moved(batch.x, shift))
        fold.step.loss_of(outputs, batch).backward()  # type: ignore[no-untyped-call]
    return models


def _shifts(whole: Tensor) -> list[int]:
    """Return by how many numbers batches after whole ones are off from an aligned address."""
    unit = ALIGNED // whole.element_size()
    return sorted({n * whole.numel() % unit for n in range(unit)})


def _moved(x: Tensor, shift: int) -> Tensor:
    """Return the same rows at an address that is off from an aligned one by `shift` numbers.

    The rows of a batch lie somewhere in a larger tensor, in a stack they are copied. On some CPUs
    small products are rounded by the address.
    """
    return torch.empty(x.numel() + shift, dtype=x.dtype)[shift:].view(x.shape).copy_(x)


@torch.no_grad()
def _evaluate_alike(
    folds: Sequence[StackableFold], alone: Sequence[nn.Module], models: StackedModels
) -> bool:
    """Return whether the blocks of the folds fit together, and have the same outputs so."""
    blocks = [[_random_rows(fold, one) for one in fold.valid_blocks()] for fold in folds]
    sizes = [[len(one) for one in of_fold] for of_fold in blocks]
    if not blocks[0] or len({*map(len, sizes)}) > 1:
        return False
    if any(max(of_all) - min(of_all) > 1 for of_all in zip(*sizes, strict=True)):
        return False
    return all(
        _are_equal(
            [model.eval()(_moved(x, n)) for model, x in zip(alone, rows, strict=True)], ours
        )
        for rows in zip(*blocks, strict=True)
        for ours in [models.evaluated(rows)]
        for n in _ANYWHERE
    )


def _random_batch(fold: StackableFold, n_rows: int) -> Batch:
    """Return rows of the fold with random numbers in place of theirs; codes are left."""
    data = fold.fold
    weights = None if data.train_weights is None else data.train_weights[:n_rows]
    x = next(iter(as_features(data.x_train).batches(None, [n_rows])))
    return Batch(_random_rows(fold, x), data.y_train[:n_rows], weights=weights)


def _random_rows(fold: StackableFold, x: Tensor) -> Tensor:
    x, n_codes = x.clone(), len(fold.fold.cat_cardinalities)
    (x[:, :-n_codes] if n_codes else x).normal_()
    return x


def _results(model: nn.Module) -> list[Tensor]:
    """Return the gradients and buffers of a model."""
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    return [*gradients, *model.buffers()]


def _are_equal(some: list[Tensor], others: list[Tensor]) -> bool:
    pairs = zip(some, others, strict=True)
    return all(torch.allclose(a, b, rtol=0, atol=0, equal_nan=True) for a, b in pairs)
