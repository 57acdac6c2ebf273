"""The losses a study file can name, and the meaning of a model's outputs under each.

A loss determines three things: how many outputs the model has, what is minimized, and how outputs
become predictions. torch.nn computes the losses; this module adds class weights, targets in the
form that each loss requires, and predictions in the original unit.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tunecli.data.rows.dataset import FoldData, PerTarget
from tunecli.data.text.token_blocks import NO_LOSS
from tunecli.errors import DataError
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.settings import WITHOUT, Component, Task
from tunecli.training.models import user_parts
from tunecli.training.outcome.output_meaning import OutputMeaning
from tunecli.training.outcome.token_predictions import token_sums
from tunecli.training.step import loss_weights

Predictions = NDArray[np.floating]
"""Probabilities, float32; or values in the original unit, float64."""


class Loss(ABC):
    """A loss, fitted to a fold if necessary (class weights, units).

    Losses are means over the rows of a batch. To combine the means of several batches into the
    mean over all their rows (gradient accumulation, the loss of an epoch), weight each by
    `total_weight`.

    Attributes:
        n_outputs: number of outputs that the model must have.
        meaning: meaning of the outputs.
        standardized_target: whether the loss takes standardized regression targets.
        n_evaluated: batches that are evaluated at once: so few that evaluation needs no more
            memory than training.
        fits_probabilities: whether the smallest loss is that of the true probabilities.
    """

    standardized_target: ClassVar[bool] = True
    n_evaluated: ClassVar[int] = 8
    fits_probabilities: ClassVar[bool] = False
    meaning: OutputMeaning

    def __init__(self, name: str, arguments: dict[str, Any], fold: FoldData) -> None:
        if fold.train_weights is not None:
            arguments = {**arguments, "reduction": "none"}
        self.module: Callable[..., Tensor] = getattr(nn, name)(**arguments)
        self.n_outputs = self.outputs_for(fold)

    @staticmethod
    def outputs_for(fold: FoldData) -> int:
        """Return the number of outputs of the model: one per class, value or label."""
        return fold.n_classes or fold.n_targets

    @abstractmethod
    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the mean loss of a batch, a differentiable scalar.

        If the fold's rows have weights, return the loss of each row, (batch,).

        Args:
            outputs: outputs of the model, (batch, n_outputs), any float dtype.
            y: targets as in `FoldData.y_train`, (batch,) or (batch, n_targets).
        """

    def of_rows(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each row with class weights, (batch,), if rows have weights.

        The mean is their sum divided by the sum of `row_weights`.
        """
        return self(outputs, y)

    def row_weights(self, y: Tensor, weights: Tensor) -> Tensor:
        """Return the weight of each row in a mean, (batch,)."""
        return weights

    def predict(self, outputs: Tensor) -> Predictions:
        """Return predictions, computed in float64; see `OutputMeaning`."""
        return decode_outputs(self.meaning, outputs)

    def total_weight(self, y: Tensor) -> Tensor | int:
        """Return the weight of these rows in a mean over several batches: their number."""
        return len(y)

    def kept(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return what `predict` needs of the outputs, (batch, …), for rows with targets `y`."""
        return outputs


class _SoftmaxLoss(Loss):
    """CrossEntropyLoss on the outputs; NLLLoss on their logarithmic softmax."""

    fits_probabilities = True

    def __init__(self, name: str, arguments: dict[str, Any], fold: FoldData) -> None:
        self.class_weights = loss_weights.class_weights(arguments.get("weight"), fold)
        super().__init__(name, {**arguments, "weight": self.class_weights}, fold)
        self.meaning = OutputMeaning("softmax")
        self.of_log_probabilities = name == "NLLLoss"

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        scores = outputs.float()
        return self.module(scores.log_softmax(1) if self.of_log_probabilities else scores, y)

    def total_weight(self, y: Tensor) -> Tensor | int:
        """Return the sum of class weights, by which torch divides, or the number of rows."""
        return len(y) if self.class_weights is None else self.class_weights[y].sum()

    def row_weights(self, y: Tensor, weights: Tensor) -> Tensor:
        """Return the row weights times the class weights, if any."""
        return weights if self.class_weights is None else weights * self.class_weights[y]


class _MarginLoss(Loss):
    """MultiMarginLoss on the outputs as scores.

    A margin loss does not fit probabilities. The softmax ranks the classes as the scores do, so
    metrics of the predicted class and ROC AUC are valid, but log loss is only indicative.
    """

    meaning = OutputMeaning("softmax")

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        return self.module(outputs.float(), y)


class _BinaryLoss(Loss):
    """BCEWithLogitsLoss: one output for two classes, otherwise one classifier per class.

    One-against-rest probabilities are divided by their sum. The weight of a row is that of its
    class.
    """

    meaning = OutputMeaning("sigmoid")
    fits_probabilities = True

    def __init__(self, name: str, arguments: dict[str, Any], fold: FoldData) -> None:
        self.class_weights = loss_weights.class_weights(arguments.get("weight"), fold)
        rest = {key: value for key, value in arguments.items() if key != "weight"}
        super().__init__(name, {**rest, "reduction": "none"}, fold)
        self._by_row = fold.train_weights is not None

    @staticmethod
    def outputs_for(fold: FoldData) -> int:
        return 1 if fold.n_classes == 2 else fold.n_classes

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        one = self.n_outputs == 1
        targets = y.unsqueeze(1) if one else functional.one_hot(y, self.n_outputs)
        losses = self.module(outputs.float(), targets.float())  # (batch, n_outputs)
        if self.class_weights is not None:
            losses = losses * self.class_weights[y].unsqueeze(1)
        return losses.mean(1) if self._by_row else losses.mean()


class _LabelLoss(Loss):
    """BCEWithLogitsLoss of one output per label, its mean over rows and labels.

    `weight` and `pos_weight` have one number per label: the weight of its loss, and of the rows
    that have it.
    """

    fits_probabilities = True

    def __init__(self, name: str, arguments: dict[str, Any], fold: FoldData) -> None:
        given = {key: arguments.get(key) for key in ("weight", "pos_weight")}
        weights = {key: loss_weights.label_weights(key, one, fold) for key, one in given.items()}
        super().__init__(name, {**arguments, **weights, "reduction": "none"}, fold)
        self.meaning = OutputMeaning("labels")
        self._by_row = fold.train_weights is not None

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        losses = self.module(outputs.float(), y)
        return losses.mean(1) if self._by_row else losses.mean()


class _NumberLoss(Loss):
    """A loss of numbers: the mean over the targets of a row, by `weight` if it is given."""

    def __init__(self, name: str, arguments: dict[str, Any], fold: FoldData) -> None:
        self._shares = loss_weights.target_shares(arguments.get("weight"), fold)
        self._by_row = fold.train_weights is not None
        rest = {key: value for key, value in arguments.items() if key != "weight"}
        whole = {} if self._shares is None else {"reduction": "none"}
        super().__init__(name, {**rest, **whole}, fold)

    def _mean(self, losses: Tensor) -> Tensor:
        """Return the loss of a batch, or of each row if rows have weights."""
        if self._shares is None:
            return losses.mean(1) if losses.ndim > 1 else losses
        of_rows = losses @ self._shares
        return of_rows if self._by_row else of_rows.mean()


class _ValueLoss(_NumberLoss):
    """MSELoss, L1Loss, SmoothL1Loss, HuberLoss between outputs and standardized targets.

    There is one output per target. `beta` and `delta` are in standard deviations of the training
    targets.
    """

    def __init__(self, name: str, arguments: dict[str, Any], fold: FoldData) -> None:
        super().__init__(name, arguments, fold)
        self.meaning = OutputMeaning("value", fold.y_mean, fold.y_std)

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        return self._mean(self.module(outputs.float().reshape(y.shape), y))


class _GaussianLoss(_ValueLoss):
    """GaussianNLLLoss of two outputs per target: first the means, then variances before softplus.

    A variance cannot be negative; softplus is smooth and grows linearly (as in Lakshminarayanan
    et al. 2017, section 2.2.1).
    """

    @staticmethod
    def outputs_for(fold: FoldData) -> int:
        return 2 * fold.n_targets

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        mean, raw_variance = (part.reshape(y.shape) for part in outputs.float().chunk(2, dim=1))
        return self._mean(self.module(mean, y, functional.softplus(raw_variance)))


class _PoissonLoss(_NumberLoss):
    """PoissonNLLLoss of one output per target: the logarithm of the rate, relative to the mean.

    The model starts near the mean count of the training part (its logarithm is added to the
    output), as standardizing the target does for other losses.
    """

    standardized_target = False

    def __init__(self, name: str, arguments: dict[str, Any], fold: FoldData) -> None:
        if not arguments.get("log_input", True):
            raise ValueError("PoissonNLLLoss supports only log_input: true. Remove log_input.")
        smallest = min(fold.y_train.min().item(), fold.y_valid.min().item())
        largest = fold.y_train.max().item()
        if smallest < 0:
            raise DataError(
                f"PoissonNLLLoss takes counts, but the smallest target is {smallest:g}. "
                "Use MSELoss or another loss for regression."
            )
        if largest > torch.finfo(torch.float32).max:
            raise DataError(
                f"PoissonNLLLoss computes in 32 bits, up to 3.4e+38, but the largest target is "
                f"{largest:g}. Use MSELoss, or divide the targets."
            )
        super().__init__(name, arguments, fold)
        self.meaning = OutputMeaning("log_rate", _log_means(fold))
        self._means = torch.tensor(self.meaning.mean, device=fold.y_train.device)

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        return self._mean(self.module(outputs.float().reshape(y.shape) + self._means, y))


class _TokenLoss(Loss):
    """CrossEntropyLoss of the next token at each position of a block; all tokens count alike."""

    meaning = OutputMeaning("next_token")
    n_evaluated = 1

    def __init__(self, name: str, arguments: dict[str, Any], fold: FoldData) -> None:
        super().__init__(name, {**arguments, "ignore_index": NO_LOSS}, fold)
        self._valid_bytes = fold.valid_bytes

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        targets = y[:, : outputs.shape[1]].flatten().long()
        return self.module(outputs.float().flatten(0, 1), targets)

    def total_weight(self, y: Tensor) -> Tensor:
        """Return the number of tokens that count."""
        return (y != NO_LOSS).sum()

    def kept(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Return the sums over each row's tokens: the outputs of all rows need too much memory."""
        return token_sums(outputs, y.to(outputs.device))

    def predict(self, outputs: Tensor) -> Predictions:
        """Return the sums over each validation row, (n_valid, 4) float64."""
        assert self._valid_bytes is not None, "the fold holds tokens"
        sums = [outputs.cpu().double(), self._valid_bytes.double().unsqueeze(1)]
        return torch.cat(sums, dim=1).numpy()


class _UserLoss(Loss):
    """The user's own loss; see `user_parts`."""

    def __init__(self, name: str, arguments: dict[str, Any], fold: FoldData) -> None:
        if fold.train_weights is not None:
            raise DataError(
                f"loss.{name}: returns one number per batch, so rows cannot have weights. "
                "Use a loss of torch.nn, or remove data.weights."
            )
        self._component = Component(name=name, arguments=arguments)
        self._loss = user_parts.build_user_loss(self._component)
        if isinstance(self._loss, nn.Module):
            self._loss.to(fold.y_train.device)
        self.n_outputs = self.outputs_for(fold)
        self.meaning = _user_meaning(fold)

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        given = outputs if self.meaning.kind == "softmax" else outputs.reshape(y.shape)
        return user_parts.checked_loss(self._component, self._loss(given.float(), y))


_LOSSES: dict[str, type[Loss]] = {
    "CrossEntropyLoss": _SoftmaxLoss,
    "NLLLoss": _SoftmaxLoss,
    "BCEWithLogitsLoss": _BinaryLoss,
    "MultiMarginLoss": _MarginLoss,
    "MSELoss": _ValueLoss,
    "L1Loss": _ValueLoss,
    "SmoothL1Loss": _ValueLoss,
    "HuberLoss": _ValueLoss,
    "PoissonNLLLoss": _PoissonLoss,
    "GaussianNLLLoss": _GaussianLoss,
}


_OF_TASK: dict[Task, type[Loss]] = {"multilabel": _LabelLoss, "language_modeling": _TokenLoss}
"""The only loss of a task, besides the user's own."""


def n_outputs(component: Component, fold: FoldData) -> int:
    """Return the number of outputs that a model needs for this loss, before it is built."""
    return _class_of(component, fold.task).outputs_for(fold)


def standardizes_target(component: Component) -> bool:
    """Return whether regression targets are standardized for this loss; counts are not."""
    if component == WITHOUT:  # the user's own training gets the original targets
        return False
    return _class_of(component).standardized_target


def fits_probabilities(component: Component) -> bool:
    """Return whether a loss fits probabilities, which a temperature can then calibrate."""
    return _class_of(component).fits_probabilities


def build_loss(component: Component, fold: FoldData) -> Loss:
    """Build the loss that a study file names, on the device of the fold's targets.

    Args:
        component: a loss of torch.nn or the user's own, with its arguments; `weight` may be
            `balanced`.
        fold: the fold whose training part gives class weights, units and the mean count.

    Raises:
        DataError: the targets or the number of classes do not fit.
        TypeError, ValueError: an argument is invalid for the loss.
    """
    return _class_of(component, fold.task)(component.name, component.arguments, fold)


def _class_of(component: Component, task: Task | None = None) -> type[Loss]:
    if is_code(component.name):
        return _UserLoss
    return _OF_TASK.get(task, _LOSSES[component.name]) if task else _LOSSES[component.name]


def _user_meaning(fold: FoldData) -> OutputMeaning:
    """Return the meaning of outputs under the user's own loss."""
    if fold.n_classes:
        return OutputMeaning("softmax")
    if fold.task == "multilabel":
        return OutputMeaning("labels")
    return OutputMeaning("value", fold.y_mean, fold.y_std)


def _log_means(fold: FoldData) -> PerTarget:
    """Return the logarithm of the mean count of each target; 0 if it has none."""
    y = fold.y_train
    means = [loss_weights.mean_target(one, fold.train_weights) for one in y.reshape(len(y), -1).T]
    logs = [math.log(mean) if mean > 0 else 0.0 for mean in means]
    return logs[0] if y.ndim == 1 else tuple(logs)


def decode_outputs(meaning: OutputMeaning, outputs: Tensor) -> Predictions:
    """Return predictions from outputs (n, n_outputs), in float64 on the CPU (MPS lacks float64).

    Values stay float64: in 32 bits, values around a large mean would all be equal.
    """
    predictions = meaning(outputs.detach().cpu().double())
    return (predictions.float() if meaning.gives_probabilities else predictions).numpy()
