"""Compute the layers of several equal models at once, to the same bits as each alone.

A stacked layer takes (n_models, n_rows, …). Most kernels give each model the bits that it has
alone; where they do not, a layer computes model by model:

- torch multiplies by a single column, and small matrices in batches, with other kernels;
- vectors of 16 numbers and the rest of a tensor are rounded differently by functions such as exp,
  and by batch norm's gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunecli.training.models.layers.plain_layers import Residual
from tunecli.training.stack.joined_tensors import CannotStackError
from tunecli.training.stack.stack import Builder, Forward, Stack

SMALLEST_PRODUCT = 400
"""Multiplications below which torch computes products in batches by a plain loop."""

VECTOR = 16
"""Largest number of 32-bit numbers that a CPU computes with at once."""

UNROLLED = 4 * VECTOR
"""No kernel treats the end of a tensor with a multiple of these numbers differently."""


def chain(layers: Sequence[Forward]) -> Forward:
    """Return layers that compute one after another."""

    def forward(x: Tensor) -> Tensor:
        for layer in layers:
            x = layer(x)
        return x

    return forward


def in_order(*names: str) -> Builder:
    """Return what stacks modules whose children compute in this order."""

    def build(modules: Sequence[nn.Module], stack: Stack) -> Forward:
        parts = [[getattr(module, name) for module in modules] for name in names]
        return chain([stack.layer(part) for part in parts])

    return build


class _Turned(torch.autograd.Function):
    """Exchange models and rows; outputs and gradients are contiguous, as kernels differ by it."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.transpose(0, 1).contiguous()

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return gradient.transpose(0, 1).contiguous()


def _turned(x: Tensor) -> Tensor:
    return cast(Tensor, _Turned.apply(x))


class _Products(torch.autograd.Function):
    """Linear layers of several models; the gradients have the strides of the weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        if bias is None:
            return torch.bmm(x, weight.transpose(1, 2))
        return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x = torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None
        of_weight = torch.bmm(gradient.transpose(1, 2), x)
        return of_x, of_weight, gradient.sum(1) if ctx.has_bias else None


def _linear(modules: Sequence[nn.Module], stack: Stack) -> Forward:
    layers = cast(Sequence[nn.Linear], modules)
    weight = stack.weight([layer.weight for layer in layers])
    has_bias = layers[0].bias is not None
    bias = stack.weight([layer.bias for layer in layers]) if has_bias else None
    _, n_out, n_in = weight.shape
    is_small = stack.n_rows * n_in * n_out < SMALLEST_PRODUCT
    if is_small or 1 in (stack.n_rows, n_in, n_out):
        return lambda x: _linear_one_by_one(x, weight, bias)
    return lambda x: cast(Tensor, _Products.apply(x, weight, bias))


def _linear_one_by_one(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    biases = [None] * len(x) if bias is None else bias.unbind(0)
    parts = zip(x.unbind(0), weight.unbind(0), biases, strict=True)
    return torch.stack([functional.linear(*part) for part in parts])


class BatchNorms:
    """Batch norms of several models, with the statistics of each."""

    def __init__(
        self, layers: Sequence[nn.BatchNorm1d] | Sequence[nn.BatchNorm2d], stack: Stack
    ) -> None:
        first = layers[0]
        if first.momentum is None or not (first.affine and first.track_running_stats):
            raise CannotStackError

        def joined(name: str) -> Tensor:
            return stack.buffer([cast(Tensor, getattr(layer, name)) for layer in layers])

        self.weight = stack.weight([layer.weight for layer in layers])
        self.bias = stack.weight([layer.bias for layer in layers])
        self.statistics = joined("running_mean"), joined("running_var")
        self.counts = joined("num_batches_tracked")
        self.settings = first.momentum, first.eps
        self._stack = stack

    def folded(self, x: Tensor) -> Tensor:
        """Normalize (n_models, n_rows, n_channels) as the channels of one model."""
        n_models, n_rows, n_channels = x.shape
        values = self.of_channels(_turned(x).view(n_rows, -1))
        return _turned(values.view(n_rows, n_models, n_channels))

    def one_by_one(self, x: Tensor) -> Tensor:
        """Normalize (n_models, n_rows, n_channels) model by model."""
        return torch.stack(self.of_models(x.unbind(0)))

    def of_channels(self, x: Tensor) -> Tensor:
        """Normalize (n_rows, n_models * n_channels, …)."""
        self._count()
        parts = (*self.statistics, self.weight, self.bias)
        return self._normalized(x, *(part.view(-1) for part in parts))

    def of_models(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Normalize (n_rows, n_channels, …) of each model."""
        self._count()
        values = (*self.statistics, self.weight, self.bias)
        rest = zip(*(value.unbind(0) for value in values), strict=True)
        return [self._normalized(x, *one) for x, one in zip(parts, rest, strict=True)]

    def _count(self) -> None:
        if self._stack.is_training:
            self.counts.add_(1)

    def _normalized(
        self, x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor
    ) -> Tensor:
        is_training = self._stack.is_training
        return functional.batch_norm(x, mean, variance, weight, bias, is_training, *self.settings)


def _batch_norm(modules: Sequence[nn.Module], stack: Stack) -> Forward:
    norms = BatchNorms(cast(Sequence[nn.BatchNorm1d], modules), stack)
    return norms.one_by_one if norms.weight.shape[1] % VECTOR else norms.folded


def _dropout(modules: Sequence[nn.Module], stack: Stack) -> Forward:
    p = cast(nn.Dropout, modules[0]).p
    if p == 0:
        return lambda x: x

    def forward(x: Tensor) -> Tensor:
        if not stack.is_training:
            return x
        noise = torch.empty(x.shape)
        for part, generator in zip(noise.unbind(0), stack.generators, strict=True):
            part.bernoulli_(1 - p, generator=generator)
        return x * noise.div_(1 - p)

    return forward


def _elementwise(modules: Sequence[nn.Module], _: Stack) -> Forward:
    function = modules[0]
    if type(function) in WITHOUT_ROUNDING:
        return function

    def forward(x: Tensor) -> Tensor:
        if x[0].numel() % UNROLLED == 0:
            return cast(Tensor, function(x))
        return torch.stack([function(part) for part in x.unbind(0)])

    return forward


def _sequential(modules: Sequence[nn.Module], stack: Stack) -> Forward:
    parts = zip(*(cast(nn.Sequential, module) for module in modules), strict=True)
    return chain([stack.layer(part) for part in parts])


def _flatten(modules: Sequence[nn.Module], _: Stack) -> Forward:
    first = cast(nn.Flatten, modules[0])
    if (first.start_dim, first.end_dim) != (1, -1):
        raise CannotStackError
    return lambda x: x.flatten(2)


def _residual(modules: Sequence[nn.Module], stack: Stack) -> Forward:
    inner = stack.layer([cast(Residual, module).layers for module in modules])
    return lambda x: x + inner(x)


WITHOUT_ROUNDING = (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.LeakyReLU)
"""Activations whose results are exact, or rounded once, however they are computed."""

ACTIVATIONS = (
    *WITHOUT_ROUNDING,
    nn.Sigmoid,
    nn.Hardsigmoid,
    nn.Tanh,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.GELU,
    nn.Hardshrink,
    nn.LogSigmoid,
    nn.Softplus,
    nn.Softshrink,
    nn.Softsign,
    nn.Tanhshrink,
)

LAYERS: dict[type[nn.Module], Builder] = {
    **dict.fromkeys(ACTIVATIONS, _elementwise),
    nn.Linear: _linear,
    nn.BatchNorm1d: _batch_norm,
    nn.Dropout: _dropout,
    nn.Sequential: _sequential,
    nn.Flatten: _flatten,
    Residual: _residual,
}
