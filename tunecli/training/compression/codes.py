"""Code a weight in few bits: whole numbers, a table of values, and factors.

    weight[c, …] = table[index[c, …]] · scale[c]        for output channel c

Weight sharing has a table and no factors; quantization has whole numbers as its table; folding a
batch norm in multiplies the factors. Both scoring and reading a packed file use `dense`, so both
get the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from tunecli.training.compression.compressible_layers import Axis, per_channel


@dataclass(frozen=True)
class Codes:
    """One layer's weight, coded.

    Attributes:
        index: positions in the table, int64 of the weight's shape, such as (n_out, …).
        table: the distinct values, (n_values,) float32.
        scale: factors of the output channels, (n_out,) float32; None for 1.
        axis: axis of the weight that holds the output channels.
    """

    index: Tensor
    table: Tensor
    scale: Tensor | None = None
    axis: Axis = 0

    def dense(self) -> Tensor:
        """Return the weight, float32."""
        weight = self.table[self.index]
        if self.scale is None:
            return weight
        return weight * per_channel(self.scale, weight, self.axis)

    def scaled(self, factors: Tensor) -> Codes:
        """Return the codes with each output channel multiplied by its factor, (n_out,)."""
        scale = factors if self.scale is None else self.scale * factors
        return replace(self, scale=scale)

    def without_unused(self) -> Codes:
        """Return the same weight with a table of only the entries that occur."""
        used, index = torch.unique(self.index, return_inverse=True)
        return replace(self, index=index, table=self.table[used])

    @property
    def n_bits(self) -> Literal[1, 2, 4, 8]:
        """The fewest bits that can index the table."""
        sizes: tuple[Literal[1, 2, 4, 8], ...] = (1, 2, 4, 8)
        return next(bits for bits in sizes if len(self.table) <= 2**bits)

    @property
    def zero(self) -> int | None:
        """The position of zero in the table; None if it holds no zero."""
        zeros = torch.nonzero(self.table == 0)
        return int(zeros[0]) if len(zeros) else None


BITS = {"int8": 8, "int4": 4}
Bits = Literal["int8", "int4"]


def quantize(weight: Tensor, bits: Bits, axis: Axis = 0) -> Codes:
    """Round a weight to symmetric integers, channel by channel.

    w ≈ s · q with s = max|w| / (2^(bits-1) - 1) and q rounded to the nearest: Nagel et al. (2021),
    "A White Paper on Neural Network Quantization", arXiv:2106.08295, section 2.2. Zeros stay zero.

    Args:
        axis: axis of the weight that holds the output channels.
    """
    most = 2 ** (BITS[bits] - 1) - 1
    largest = weight.abs().transpose(0, axis).flatten(1).amax(dim=1)
    scale = torch.where(largest > 0, largest / most, torch.ones_like(largest))
    steps = weight / per_channel(scale, weight, axis)
    whole = steps.round().clamp(-most, most).long()
    table = torch.arange(-most, most + 1, device=weight.device, dtype=weight.dtype)
    return Codes(whole + most, table, scale, axis)
