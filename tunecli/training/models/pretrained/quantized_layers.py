"""Hold the frozen weights of linear layers in 4 or 8 bits, by `bitsandbytes`.

4 bits are the normal floats of QLoRA, in blocks of 64 weights: Dettmers et al. (2023),
https://arxiv.org/abs/2305.14314. 8 bits are LLM.int8(): Dettmers et al. (2022),
https://arxiv.org/abs/2208.07339. Only training uses them: a model that is written has float32
weights again, the rounded ones that the adapter was trained with.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn

from tunecli.errors import ArgumentError, MissingPackageError
from tunecli.training.models.pretrained.hub_kernels import no_hub_kernels

if TYPE_CHECKING:
    from bitsandbytes.functional import QuantState

Bits = Literal[4, 8]
Hold = Callable[[Tensor], nn.Parameter]
"""Makes a parameter that is never written and that copies of a model share."""

_BLOCK = 64
_FORMAT = "nf4"
_OUTLIER = 6.0
"""Inputs above it are multiplied in 16 bits, as LLM.int8() does."""


def refuse_without_cuda(bits: Bits) -> None:
    """Refuse to train on quantized weights where it does not pay.

    Raises:
        ArgumentError: torch finds no CUDA.
        MissingPackageError: bitsandbytes is not installed.
    """
    if not torch.cuda.is_available():
        raise ArgumentError(
            "is for CUDA only, but torch finds none on this machine. Remove it; to save memory, "
            "write training: {dtype: bf16} and checkpoint_activations: true.",
            f"load_in_{bits}bit",
        )
    try:
        with no_hub_kernels():
            import bitsandbytes  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingPackageError("bitsandbytes", error) from None


class QuantizedWeight:
    """The weight of a layer in few bits, once per device for all folds.

    Args:
        weight: (n_outputs, n_inputs) float32.
        hold: makes the parameters.
    """

    def __init__(self, weight: Tensor, bits: Bits, hold: Hold) -> None:
        self.bits = bits
        self.shape = weight.shape
        self._hold = hold
        self._there = {weight.device: tuple(map(hold, _quantized(weight, bits)))}

    def __deepcopy__(self, memo: dict[int, Any]) -> QuantizedWeight:
        return self

    def on(self, device: torch.device) -> tuple[nn.Parameter, ...]:
        """Return the numbers and their scales on a device."""
        if device not in self._there:
            first = next(iter(self._there.values()))
            self._there[device] = tuple(self._hold(part.data.to(device)) for part in first)
        return self._there[device]


def _quantized(weight: Tensor, bits: Bits) -> tuple[Tensor, Tensor]:
    from bitsandbytes import functional

    if bits == 8:
        numbers, scales, _ = functional.int8_vectorwise_quant(weight.half())
        return numbers, scales
    packed, state = functional.quantize_4bit(weight, blocksize=_BLOCK, quant_type=_FORMAT)
    return packed, state.absmax


class QuantizedLinear(nn.Linear):
    """A linear layer with a frozen weight in few bits.

    Attributes:
        packed: the numbers, uint8 with two in each for 4 bits, int8 for 8 bits.
        scales: of each block, or of each output; float32.
        is_transposed: whether it replaces a `Conv1D` of transformers, whose weight is transposed.
    """

    def __init__(self, layer: nn.Module, weight: QuantizedWeight, is_transposed: bool) -> None:
        nn.Module.__init__(self)
        self.out_features, self.in_features = weight.shape
        self.is_transposed = is_transposed
        self.quantized = weight
        self.packed, self.scales = weight.on(torch.device("cpu"))
        self.register_parameter("bias", layer.bias)  # type: ignore[arg-type]

    @property
    def n_weights(self) -> int:
        """Number of weights that it stands for, without the bias."""
        return self.in_features * self.out_features

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """The weight that it computes with, (n_outputs, n_inputs) float32."""
        from bitsandbytes import functional

        if self.quantized.bits == 8:
            dequantize = functional.int8_vectorwise_dequant
            return cast(Tensor, dequantize(self.packed.data, self.scales.data))
        whole: Tensor = functional.dequantize_4bit(self.packed.data, self._state())
        return whole

    def _state(self) -> QuantState:
        from bitsandbytes.functional import QuantState

        return QuantState(
            absmax=self.scales.data,
            shape=self.quantized.shape,
            code=_code(self.packed.device),
            blocksize=_BLOCK,
            quant_type=_FORMAT,
            dtype=torch.float32,
        )

    def forward(self, x: Tensor) -> Tensor:  # (…, n_inputs) -> (…, n_outputs)
        import bitsandbytes

        packed, bias = self.packed.data, self.bias
        if self.quantized.bits == 4:
            return cast(Tensor, bitsandbytes.matmul_4bit(x, packed, self._state(), bias=bias))
        state = bitsandbytes.MatmulLtState()
        state.CB, state.SCB = packed, self.scales.data
        state.has_fp16_weights, state.is_training = False, self.training
        state.threshold = _OUTLIER
        return cast(Tensor, bitsandbytes.matmul(x, packed, bias=bias, state=state))

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> QuantizedLinear:
        """Move to another device, where all folds share the weight too."""
        device = fn(torch.empty(0, device=self.packed.device)).device
        self.packed, self.scales = self.quantized.on(device)
        return cast(QuantizedLinear, super()._apply(fn, recurse))  # type: ignore[no-untyped-call]

    def whole(self) -> nn.Module:
        """Return a layer with the weight that it computes with, as it was before."""
        from transformers.pytorch_utils import Conv1D

        made: nn.Module
        if self.is_transposed:
            made = Conv1D(self.out_features, self.in_features)  # type: ignore[no-untyped-call]
            made.weight = nn.Parameter(self.weight.T.contiguous(), requires_grad=False)
            made.bias = self.bias
            return made
        made = nn.Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        made.weight = nn.Parameter(self.weight, requires_grad=False)
        made.bias = self.bias
        return made


@cache
def _code(device: torch.device) -> Tensor:
    """Return the 16 numbers of the format."""
    from bitsandbytes.functional import get_4bit_type

    code: Tensor = get_4bit_type(_FORMAT, device=device)
    return code


def quantize_linears(
    network: nn.Module,
    bits: Bits,
    kept: Collection[str],
    hold: Hold,
    held: MutableMapping[object, QuantizedWeight],
) -> None:
    """Replace the linear layers of a network by quantized ones, in place.

    Args:
        kept: names of modules that stay whole, with what is in them, such as the head.
        held: the weights that are quantized already, by the place in memory of the whole weight.
    """
    from transformers.pytorch_utils import Conv1D

    layers = [
        (name, module)
        for name, module in network.named_modules()
        if type(module) in (nn.Linear, Conv1D) and not {*kept} & {*name.split(".")}
    ]
    for name, layer in layers:
        is_transposed = isinstance(layer, Conv1D)
        key = layer.weight.data_ptr(), bits
        if key not in held:
            weight = layer.weight.data.T if is_transposed else layer.weight.data
            held[key] = QuantizedWeight(weight.contiguous(), bits, hold)
        network.set_submodule(name, QuantizedLinear(layer, held[key], is_transposed))


def whole_copy(model: nn.Module) -> nn.Module:
    """Return a copy with whole weights, as it is written; the model itself if it has no others."""
    if not any(isinstance(module, QuantizedLinear) for module in model.modules()):
        return model
    made = copy.deepcopy(model)
    make_whole(made)
    return made


def make_whole(network: nn.Module) -> None:
    """Replace quantized layers by layers with the weights that they compute with, in place."""
    layers = [(n, m) for n, m in network.named_modules() if isinstance(m, QuantizedLinear)]
    for name, layer in layers:
        network.set_submodule(name, layer.whole())
