"""Compute the layers of several equal models at once, to the same bits as each alone.

A stacked layer takes (n_models, n_rows, …). Most kernels give each model the bits that it has
alone; where they do not, a layer computes model by model:

- torch multiplies by a single column, and small matrices in batches, with other kernels;
- vectors of 16 numbers and the rest of a tensor are rounded differently by functions such as exp,
  and by batch norm's gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple, cast

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

_N_DRAWS = 4
"""Random products by which both ways of computing them are compared."""

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


class _Alike(NamedTuple):
    """Whether products and sums of several models have the bits of single ones."""

    outputs: bool
    of_x: bool
    of_weight: bool
    of_bias: bool


@cache
def _alike(n_models: int, n_rows: int, n_in: int, n_out: int, n_threads: int) -> _Alike:
    """Compare random products with those of layers alone; the CPU and the shapes decide."""
    is_small = n_rows * n_in * n_out < SMALLEST_PRODUCT
    if is_small or 1 in (n_rows, n_in, n_out):
        return _Alike(False, False, False, False)
    generator = torch.Generator().manual_seed(0)
    shapes = (n_rows, n_in), (n_out, n_in), (n_out,), (n_rows, n_out)
    draws = [
        [torch.randn((n_models, *shape), generator=generator) for shape in shapes]
        for _ in range(_N_DRAWS)
    ]
    return _Alike(*map(all, zip(*(_same_bits(*draw) for draw in draws), strict=True)))


def _same_bits(x: Tensor, weight: Tensor, bias: Tensor, gradient: Tensor) -> _Alike:
    with torch.enable_grad():
        leaves = [[_own(part).requires_grad_() for part in one] for one in (x, weight, bias)]
        outputs = [functional.linear(*parts) for parts in zip(*leaves, strict=True)]
        torch.autograd.backward(outputs, [_own(part) for part in gradient])
    of_x, of_weight, of_bias = ([leaf.grad for leaf in one] for one in leaves)
    plain = [functional.linear(_own(a), _own(b)) for a, b in zip(x, weight, strict=True)]
    alone = [outputs, plain, of_x, of_weight, of_bias]
    together = [
        *(_outputs(x, weight, bias, in_batch=True), _outputs(x, weight, None, in_batch=True)),
        _products(gradient, weight, in_batch=True),
        _products(gradient.transpose(1, 2), x, in_batch=True),
        gradient.sum(1),
    ]
    with_bias, without_bias, *gradients = (
        torch.equal(torch.stack(cast(list[Tensor], some)), other)
        for some, other in zip(alone, together, strict=True)
    )
    return _Alike(with_bias and without_bias, *gradients)


def _own(x: Tensor) -> Tensor:
    """Return a copy of a model's part: kernels round otherwise where memory is not aligned."""
    return x.detach().clone()


def _products(a: Tensor, b: Tensor, *, in_batch: bool) -> Tensor:
    """Return a @ b for each model."""
    if in_batch:
        return torch.bmm(a, b)
    return torch.stack([torch.mm(_own(x), _own(y)) for x, y in zip(a, b, strict=True)])


def _outputs(x: Tensor, weight: Tensor, bias: Tensor | None, *, in_batch: bool) -> Tensor:
    """Return the outputs of each model's linear layer."""
    if not in_batch:
        given = [part for part in (x, weight, bias) if part is not None]
        parts = zip(*(map(_own, part) for part in given), strict=True)
        return torch.stack([functional.linear(*part) for part in parts])
    if bias is None:
        return torch.bmm(x, weight.transpose(1, 2))
    return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))


class _Products(torch.autograd.Function):
    """Linear layers of several models; the gradients have the strides of the weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        ctx.alike = _alike(*x.shape, weight.shape[1], torch.get_num_threads())
        return _outputs(x, weight, bias, in_batch=ctx.alike.outputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        (x, weight), alike = ctx.saved_tensors, ctx.alike
        of_x = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = _products(gradient, weight, in_batch=alike.of_x)
        of_weight = _products(gradient.transpose(1, 2), x, in_batch=alike.of_weight)
        if ctx.has_bias:
            of_bias = gradient.sum(1) if alike.of_bias else _sums(gradient)
        return of_x, of_weight, of_bias


def _sums(gradient: Tensor) -> Tensor:
    return torch.stack([_own(part).sum(0) for part in gradient])


def _linear(modules: Sequence[nn.Module], stack: Stack) -> Forward:
    layers = cast(Sequence[nn.Linear], modules)
    weight = stack.weight([layer.weight for layer in layers])
    has_bias = layers[0].bias is not None
    bias = stack.weight([layer.bias for layer in layers]) if has_bias else None
    return lambda x: cast(Tensor, _Products.apply(x, weight, bias))


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
