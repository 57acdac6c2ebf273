"""Make an optimizer step: the gradient of a group of batches, its adjustment, and the update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import as_features
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.models.fine_tuning import auxiliary_weight
from tunecli.training.state.random_state import GLOBAL, Draws
from tunecli.training.step.augmentation import BatchChange
from tunecli.training.step.batches import Batch, MicroBatches
from tunecli.training.step.direct_updates import step_directly
from tunecli.training.step.losses import Loss
from tunecli.training.step.optimizers import needs_closure
from tunecli.training.step.precision import Precision


class GradientStep:
    """Updates a model's weights, and sums up the losses.

    Attributes:
        loss: the loss.
        loss_sum: sum of the losses of all rows since then, a scalar that is changed in place.
        is_empty: whether no step was made since the last call of `take_mean_loss`.
        micro_batches: divides batches.
    """

    def __init__(
        self,
        config: TrialConfig,
        fold: FoldData,
        model: nn.Module,
        loss: Loss,
        optimizers: Sequence[Optimizer],
        precision: Precision,
    ) -> None:
        """Prepare to step on batches of the fold's training part."""
        settings = config.training
        self._model = model
        self.loss = loss
        self._optimizers = optimizers
        self._precision = precision
        self._settings = settings
        self._auxiliary_weight = auxiliary_weight(config.model)
        self._n_codes = len(fold.cat_cardinalities)  # the last features
        self._change = BatchChange(config, as_features(fold.x_train), self._n_codes)
        self.micro_batches = MicroBatches(settings.micro_batch, model)
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._weights: list[Tensor] = [p for p in self._parameters if p.ndim >= 2]  # with L1
        self._by_closure = any(needs_closure(optimizer) for optimizer in optimizers)
        self.loss_sum = torch.zeros((), device=self._parameters[0].device)
        self._weight: Tensor | int = 0  # rows, or the sum of their class weights
        self.is_empty = True

    def __call__(self, group: Sequence[Batch], draws: Draws = GLOBAL) -> None:
        """Step once along the mean gradient over all rows of `group`."""
        group = self.prepared(group, draws) if self.changes else group
        loss = self._step_by_closure(group) if self._by_closure else self._step(group)
        self.record(loss, self.total_weight(group))

    @property
    def changes(self) -> bool:
        """Whether `prepared` changes batches."""
        return bool(self._settings.input_noise) or self._change.is_any

    def prepared(self, group: Sequence[Batch], draws: Draws) -> Sequence[Batch]:
        """Return the batches as they are trained on: augmented, mixed, with noise."""
        group = [self._change(batch, draws) for batch in group]
        if self._settings.input_noise:
            group = [batch._replace(x=self._noisy(batch.x, draws)) for batch in group]
        return group

    def record(self, loss: Tensor, weight: Tensor | int) -> None:
        """Add the loss of a step to the sum.

        Args:
            loss: mean loss over the rows of the step, detached.
            weight: weight of the rows in a mean.
        """
        self.loss_sum += loss * weight
        self.count(weight)

    def count(self, weight: Tensor | int) -> None:
        """Count the rows of a step whose loss was added to `loss_sum`."""
        self._weight += weight
        self.is_empty = False

    def take_mean_loss(self) -> float:
        """Return the mean loss over the rows since the last call, without L1."""
        mean = self.loss_sum / self._weight
        self.loss_sum.zero_()
        self._weight = 0
        self.is_empty = True
        return mean.item()

    def _step(self, group: Sequence[Batch]) -> Tensor:
        loss = self._backward(group)
        self.adjust_gradient()
        self.update()
        return loss

    def update(self) -> None:
        """Update the weights along their gradients, and remove the gradients."""
        scaler = self._precision.scaler
        for optimizer in self._optimizers:
            if scaler.is_enabled() or not step_directly(optimizer):
                scaler.step(optimizer)
                optimizer.zero_grad(set_to_none=True)
        scaler.update()

    def _step_by_closure(self, group: Sequence[Batch]) -> Tensor:
        """Let the optimizer compute the loss and gradient as often as it needs.

        Returns:
            The loss at the weights before the step.
        """
        losses: list[Tensor] = []

        def closure() -> Tensor:
            self._model.zero_grad(set_to_none=True)
            losses.append(self._backward(group))
            self.adjust_gradient()
            return losses[-1] + self._l1_penalty()

        for optimizer in self._optimizers:
            optimizer.step(closure)  # type: ignore[arg-type]  # LBFGS takes a tensor too
        return losses[0]

    def _backward(self, group: Sequence[Batch]) -> Tensor:
        """Add the gradient of the group's mean loss; return the mean loss, detached."""
        return self.micro_batches.run(group, self._accumulated)

    def _accumulated(self, group: Sequence[Batch]) -> Tensor:
        scale = self._precision.scaler.scale
        if len(group) == 1:
            loss = self._batch_loss(group[0])
            scale(loss).backward()  # type: ignore[no-untyped-call]
            return loss.detach()
        mean = torch.zeros_like(self.loss_sum)
        for batch, share in zip(group, self.shares(group), strict=True):
            loss = self._batch_loss(batch) * share
            scale(loss).backward()  # type: ignore[no-untyped-call]
            mean += loss.detach()
        return mean

    def shares(self, group: Sequence[Batch]) -> list[Tensor | float]:
        """Return the shares of the group's batches in a mean."""
        if len(group) == 1:
            return [1.0]
        weight = self.total_weight(group)
        return [self._weight_of(batch) / weight for batch in group]

    def total_weight(self, group: Sequence[Batch]) -> Tensor | int:
        """Return the total weight of the group's batches in a mean."""
        return sum(self._weight_of(batch) for batch in group)

    def _batch_loss(self, batch: Batch) -> Tensor:
        with self._precision.forward():
            outputs = self._model(batch.x)
        return self.loss_of(outputs, batch)

    def loss_of(self, outputs: Tensor | tuple[Any, ...], batch: Batch) -> Tensor:
        """Return the mean loss of a batch from the model's outputs, with auxiliary ones."""
        main, *auxiliary = (outputs,) if isinstance(outputs, Tensor) else outputs
        loss = self._output_loss(main, batch)
        for output in auxiliary:
            if output is not None:  # an auxiliary head that is absent
                loss = loss + self._auxiliary_weight * self._output_loss(output, batch)
        return loss

    def _output_loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the loss of one output; of k predictions per row, the mean over all of them."""
        if outputs.ndim == 3 and self.loss.meaning.kind != "next_token":
            batch = batch.of_members(outputs.shape[1])
            outputs = outputs.flatten(0, 1)
        return self._mixed_loss(self._exact(outputs), batch)

    def _mixed_loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the loss; for mixed rows, the losses against both targets in the same shares."""
        if batch.weights is not None:
            total = self._weighted_sum(outputs, batch, batch.weights)
            return total / self._weight_of(batch)
        loss: Tensor = self.loss(outputs, batch.y)
        if batch.other is None:
            return loss
        return torch.lerp(self.loss(outputs, batch.other), loss, batch.share)

    def _weight_of(self, batch: Batch) -> Tensor | int:
        """Return the weight of a batch in a mean; with row weights never 0, which has no mean."""
        if batch.weights is None:
            return self.loss.total_weight(batch.y)
        weight = self.loss.row_weights(batch.y, batch.weights).sum()
        if batch.other is not None and batch.other_weights is not None:
            other = self.loss.row_weights(batch.other, batch.other_weights).sum()
            weight = torch.lerp(other, weight, batch.share)
        return weight.clamp(min=torch.finfo(weight.dtype).tiny)

    def _weighted_sum(self, outputs: Tensor, batch: Batch, weights: Tensor) -> Tensor:
        """Return the sum of losses times weights; for mixed rows, of both rows in their shares."""
        total = (self.loss.of_rows(outputs, batch.y) * weights).sum()
        if batch.other is None or batch.other_weights is None:
            return total
        other = (self.loss.of_rows(outputs, batch.other) * batch.other_weights).sum()
        return torch.lerp(other, total, batch.share)

    def _exact(self, outputs: Tensor) -> Tensor:
        """Return outputs in 32 bits: a loss in 16 bits would be too inexact."""
        return outputs.float() if self._precision.autocast else outputs

    def _noisy(self, x: Tensor, draws: Draws) -> Tensor:
        drawn = torch.empty_like(x).normal_(generator=draws.of_torch)  # as torch.randn_like
        noise = self._settings.input_noise * drawn
        if self._n_codes:
            noise[:, -self._n_codes :] = 0
        return x + noise

    @property
    def adjusts(self) -> bool:
        """Whether `adjust_gradient` changes gradients in 32 bits."""
        settings = self._settings
        return bool(settings.l1) or (settings.clip_norm, settings.clip_value) != (None, None)

    def adjust_gradient(self) -> None:
        """Undo the scale of fp16, add the gradient of L1, then clip the norm, then the values."""
        settings = self._settings
        for optimizer in self._optimizers:
            self._precision.scaler.unscale_(optimizer)
        if settings.l1:
            self._add_l1_gradient()
        if settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters, settings.clip_norm)
        if settings.clip_value is not None:
            nn.utils.clip_grad_value_(self._parameters, settings.clip_value)

    @torch.no_grad()
    def _add_l1_gradient(self) -> None:
        """Add l1 · sign(w), the (sub)gradient of l1 · Σ|w|, without a graph for the penalty."""
        pairs = [(w.grad, w) for w in self._weights if w.grad is not None]
        gradients = [gradient for gradient, _ in pairs]
        signs = torch._foreach_sign([weight for _, weight in pairs])
        torch._foreach_add_(gradients, signs, alpha=self._settings.l1)

    @torch.no_grad()
    def _l1_penalty(self) -> Tensor:
        """Return l1 · Σ|w|, a scalar, for optimizers that compare losses."""
        penalty = torch.zeros_like(self.loss_sum)
        if self._settings.l1:
            for weight in self._weights:
                penalty += self._settings.l1 * weight.abs().sum()
        return penalty
