"""Decide whether the folds of a trial train as one stack.

It follows from the configuration, the shapes and the machine's kernels, so it is the same whenever
a trial trains. Since the bits are equal, a trial may also go on in another way than it began.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from tunecli.data.rows.features import TensorFeatures, as_features
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.metric_names import prediction_metrics
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.models.convolutional import CNN
from tunecli.training.stack.fold_stack import FoldStack, StackableFold
from tunecli.training.stack.joined_tensors import CannotStackError
from tunecli.training.stack.picture_layers import n_products
from tunecli.training.stack.stack_comparison import compare_stack, has_differed
from tunecli.training.step.batches import batch_sizes
from tunecli.training.step.optimizers import needs_closure

LARGEST_PRODUCT = 2**26
"""Rows of a batch times weights of a model above which a stack is not faster."""

LARGEST_CONVOLUTIONS = 2**25
"""Multiplications of a `CNN` for a batch above which a stack is not faster."""

OTHER_BITS = (
    "its folds train one after another, because this machine rounds differently if "
    "they train together"
)


def stack_of(
    config: TrialConfig, folds: Sequence[StackableFold]
) -> tuple[FoldStack | None, list[str]]:
    """Return the stack of a trial's folds, or None if each trains alone; and notes for the user.

    A note follows the words "Trial 3: ". A process notes a difference of its kernels once.
    """
    stack = possible_stack(config, folds)
    if stack is None:
        return None, []
    is_known = has_differed()
    alike = compare_stack(folds, _whole_batch(config, folds[0]))
    stack.evaluates_together = alike.in_evaluation
    if alike.in_training:
        return stack, []
    return None, [] if is_known else [OTHER_BITS]


def possible_stack(config: TrialConfig, folds: Sequence[StackableFold]) -> FoldStack | None:
    """Return the stack of a trial's folds, without comparing its bits; None if there is none."""
    n_rows = {_whole_batch(config, fold) for fold in folds}
    if len(folds) == 1 or len(n_rows) > 1 or not all(could_stack(config, f) for f in folds):
        return None
    try:
        return FoldStack(folds, n_rows.pop(), config.training.accumulate)
    except CannotStackError:
        return None


def could_stack(config: TrialConfig, fold: StackableFold) -> bool:
    """Return whether a fold can step in a stack that is faster, judging by this fold alone."""
    is_small = _is_small(fold.model, fold.fold.shape, _whole_batch(config, fold))
    return is_small and _is_plain(config) and _is_in_memory(fold)


def _is_small(model: nn.Module, shape: Sequence[int], n_rows: int) -> bool:
    """Return whether a stack of such models is faster for batches of `n_rows` rows."""
    if isinstance(model, CNN):
        return n_rows * n_products(model, shape) <= LARGEST_CONVOLUTIONS
    return n_rows * sum(weight.numel() for weight in model.parameters()) <= LARGEST_PRODUCT


def _whole_batch(config: TrialConfig, fold: StackableFold) -> int:
    """Return the rows of a whole batch."""
    return batch_sizes(len(fold.fold.y_train), config.training.batch_size)[0]


def _is_plain(config: TrialConfig) -> bool:
    """Return whether all folds compute in 32 bits, without code that may do anything."""
    training = config.training
    metrics = prediction_metrics(config)
    parts = [config.model, config.loss, config.optimizer, config.schedule, *metrics]
    has_code = any(part is not None and is_code(part.name) for part in parts)
    is_whole = training.dtype == "fp32" and training.micro_batch is None and not training.fade_out
    return is_whole and not has_code and not config.data.augment


def _is_in_memory(fold: StackableFold) -> bool:
    """Return whether a fold can step in a stack, with rows in the memory of the CPU."""
    rows = as_features(fold.fold.x_train)
    by_closure = any(needs_closure(optimizer) for optimizer in fold.optimizers)
    return isinstance(rows, TensorFeatures) and fold.device.type == "cpu" and not by_closure
