"""Stack tunecli's own network of pictures.

Its layers compute with the channels of all models as those of one picture, (n_rows, n_models *
n_channels, height, width) in the memory format channels_last, and convolutions with one group of
channels per model. What rounds such pictures differently computes model by model. With the kernels
that were tried, of oneDNN 3 and torch 2.14, these are

- convolutions of one channel, or of other kernels than 3 × 3;
- gradients of convolutions whose numbers of channels 16 does not divide;
- batch norms of channels that 8 does not divide;
- the mean of a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunecli.training.models.convolutional import CNN
from tunecli.training.stack.joined_tensors import CannotStackError
from tunecli.training.stack.stack import Builder, Forward, Stack
from tunecli.training.stack.stacked_layers import (
    ACTIVATIONS,
    UNROLLED,
    VECTOR,
    WITHOUT_ROUNDING,
    BatchNorms,
    chain,
)


def n_products(model: CNN, shape: Sequence[int]) -> int:
    """Return the multiplications for one picture, (channels, height, width), in a forward pass."""
    total, sides = model.head.weight.numel(), list(shape[1:])
    for layer in model.blocks:
        if isinstance(layer, nn.Conv2d):
            kernel, padding = layer.kernel_size[0], cast(int, layer.padding[0])
            sides = [side + 2 * padding - kernel + 1 for side in sides]
            total += layer.weight.numel() * sides[0] * sides[1]
        elif isinstance(layer, nn.MaxPool2d):
            sides = [side // 2 for side in sides]
    return total


def _cnn(modules: Sequence[nn.Module], stack: Stack) -> Forward:
    models = cast(Sequence[CNN], modules)
    if not _rounds_alike(models[0].blocks[-1]):
        raise CannotStackError
    layers = zip(*(model.blocks for model in models), strict=True)
    blocks = chain([_picture_layer(layer, stack) for layer in layers])
    [_, _, dropouts] = zip(*(model.pool for model in models), strict=True)
    end = chain([stack.layer(dropouts), stack.layer([model.head for model in models])])
    return lambda x: end(_means(blocks(_folded(x)), len(models)))


def _rounds_alike(last: nn.Module) -> bool:
    """Return whether the strides of its gradients do not matter to the layer before the mean.

    Gradients of a mean have the strides of a picture whose channels are not the last.
    """
    return isinstance(last, nn.MaxPool2d) or type(last) in WITHOUT_ROUNDING


def _picture_layer(modules: Sequence[nn.Module], stack: Stack) -> Forward:
    [kind, *others] = {type(module) for module in modules}
    if others or kind not in _PICTURE_LAYERS:
        raise CannotStackError
    return _PICTURE_LAYERS[kind](modules, stack)


def _folded(x: Tensor) -> Tensor:
    """Join the channels of all models, (n_models, n_rows, n_channels, height, width)."""
    of_rows = x.permute(1, 3, 4, 0, 2).flatten(3)
    return of_rows.contiguous().permute(0, 3, 1, 2)


def _parts(x: Tensor, n_models: int) -> tuple[Tensor, ...]:
    """Return the pictures of each model, with the strides that they have in it alone."""
    dense = torch.contiguous_format if x.shape[1] == n_models else torch.channels_last
    return tuple(part.contiguous(memory_format=dense) for part in x.chunk(n_models, 1))


def _whole(parts: Sequence[Tensor]) -> Tensor:
    """Return the pictures of all models."""
    return torch.cat([part.permute(0, 2, 3, 1) for part in parts], dim=3).permute(0, 3, 1, 2)


class _Divided(torch.autograd.Function):
    """Divide pictures into those of each model."""

    @staticmethod
    def forward(_: Any, x: Tensor, n_models: int) -> tuple[Tensor, ...]:
        return _parts(x, n_models)

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _whole(gradients), None


class _Joined(torch.autograd.Function):
    """Join the pictures of each model; kernels get their gradients with the usual strides."""

    @staticmethod
    def forward(ctx: Any, *parts: Tensor) -> Tensor:
        ctx.n_models = len(parts)
        return _whole(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        return _parts(gradient, ctx.n_models)


def _divided(x: Tensor, n_models: int) -> Sequence[Tensor]:
    return cast(Sequence[Tensor], _Divided.apply(x, n_models))


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return cast(Tensor, _Joined.apply(*parts))


def _one_by_one(function: Callable[[Tensor], Tensor], n_models: int) -> Forward:
    return lambda x: _joined([function(part) for part in _divided(x, n_models)])


def _means(x: Tensor, n_models: int) -> Tensor:
    """Return the mean of each channel, (n_models, n_rows, n_channels)."""
    means = [functional.adaptive_avg_pool2d(part, 1) for part in _divided(x, n_models)]
    return torch.stack(means).flatten(2)


class _Convolutions(torch.autograd.Function):
    """Convolutions of several models, whose gradients are computed one by one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, like: nn.Conv2d) -> Any:
        ctx.save_for_backward(x, weight)
        ctx.like, ctx.n_models, ctx.has_bias = like, len(weight), bias is not None
        return _convolved(x, weight, bias, like)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        like: nn.Conv2d = ctx.like
        needed = [ctx.needs_input_grad[0], True, ctx.has_bias]
        parts = zip(
            _parts(gradient, ctx.n_models),
            _parts(x, ctx.n_models),
            weight.unbind(0),
            strict=True,
        )
        of_models = [
            torch.ops.aten.convolution_backward(
                *part,
                [like.out_channels] if ctx.has_bias else None,
                like.stride,
                like.padding,
                like.dilation,
                False,
                [0, 0],
                1,
                needed,
            )
            for part in parts
        ]
        of_x, of_weight, of_bias = zip(*of_models, strict=True)
        return (
            _whole(of_x) if ctx.needs_input_grad[0] else None,
            torch.stack(of_weight),
            torch.stack(of_bias) if ctx.has_bias else None,
            None,
        )


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, like: nn.Conv2d) -> Tensor:
    """Convolve the pictures of all models, with the settings of one of their layers."""
    n_models = len(weight)
    return functional.conv2d(
        x,
        weight.flatten(0, 1),
        None if bias is None else bias.flatten(),
        like.stride,
        like.padding,
        like.dilation,
        n_models,
    )


def _convolved_one_by_one(
    x: Tensor, weight: Tensor, bias: Tensor | None, like: nn.Conv2d
) -> Tensor:
    n_models = len(weight)
    biases = [None] * n_models if bias is None else bias.unbind(0)
    parts = zip(_divided(x, n_models), weight.unbind(0), biases, strict=True)
    outputs = [
        functional.conv2d(*part, like.stride, like.padding, like.dilation) for part in parts
    ]
    return _joined(outputs)


def _convolution(modules: Sequence[nn.Module], stack: Stack) -> Forward:
    layers = cast(Sequence[nn.Conv2d], modules)
    first = layers[0]
    if first.groups != 1 or first.padding_mode != "zeros" or isinstance(first.padding, str):
        raise CannotStackError
    weight = stack.weight([layer.weight for layer in layers])
    has_bias = first.bias is not None
    bias = stack.weight([cast(Tensor, layer.bias) for layer in layers]) if has_bias else None
    if 1 in (first.out_channels, *first.kernel_size):  # strides of size 1 are ambiguous
        raise CannotStackError
    if first.kernel_size != (3, 3) or first.in_channels == 1:
        return lambda x: _convolved_one_by_one(x, weight, bias, first)
    if first.in_channels % VECTOR or first.out_channels % VECTOR:
        return lambda x: cast(Tensor, _Convolutions.apply(x, weight, bias, first))
    return lambda x: _convolved(x, weight, bias, first)


def _batch_norm(modules: Sequence[nn.Module], stack: Stack) -> Forward:
    norms = BatchNorms(cast(Sequence[nn.BatchNorm2d], modules), stack)
    n_models, n_channels = norms.weight.shape
    if n_channels % (VECTOR // 2) == 0:
        return norms.of_channels

    def forward(x: Tensor) -> Tensor:
        return _joined(norms.of_models(_divided(x, n_models)))

    return forward


def _max_pool(modules: Sequence[nn.Module], _: Stack) -> Forward:
    return modules[0]


def _elementwise(modules: Sequence[nn.Module], _: Stack) -> Forward:
    function, n_models = modules[0], len(modules)
    if type(function) in WITHOUT_ROUNDING:
        return function
    alone = _one_by_one(function, n_models)
    return lambda x: (alone if x.numel() // n_models % UNROLLED else function)(x)


_PICTURE_LAYERS: dict[type[nn.Module], Builder] = {
    **dict.fromkeys(ACTIVATIONS, _elementwise),
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _batch_norm,
    nn.MaxPool2d: _max_pool,
}

PICTURE_MODELS: dict[type[nn.Module], Builder] = {CNN: _cnn}
