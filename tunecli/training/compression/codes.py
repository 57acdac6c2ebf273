"""Code a weight in few bits: whole numbers, a table of values, and factors.

    weight[c, …] = table[index[c, …]] · scale[c]

Weight sharing has a table and no factors; quantization has whole numbers as its table; folding a
batch norm in multiplies the factors. Both scoring and reading a packed file use `dense`, so both
get the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from tunecli.training.compression.compressible_layers import per_channel


@dataclass(frozen=True)
class Codes:
    """One layer's weight, coded.

    Attributes:
        index: positions in the table, (n_out, …) int64.
        table: the distinct values, (n_values,) float32.
        scale: factors of the output channels, (n_out,) float32; None for 1.
    """

    index: Tensor
    table: Tensor
    scale: Tensor | None = None

    def dense(self) -> Tensor:
        """Return the weight, (n_out, …) float32."""
        weight = self.table[self.index]
        return weight if self.scale is None else weight * per_channel(self.scale, weight)

    def scaled(self, factors: Tensor) -> Codes:
        """Return the codes with each output channel multiplied by its factor, (n_out,)."""
        scale = factors if self.scale is None else self.scale * factors
        return replace(self, scale=scale)

    def without_unused(self) -> Codes:
        """Return the same weight with a table of only the entries that occur."""
        used, index = torch.unique(self.index, return_inverse=True)
        return Codes(index, self.table[used], self.scale)

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


def quantize(weight: Tensor, bits: Bits) -> Codes:
    """Round a weight (n_out, …) to symmetric integers, channel by channel.

    w ≈ s · q with s = max|w| / (2^(bits-1) - 1) and q rounded to the nearest: Nagel et al. (2021),
    "A White Paper on Neural Network Quantization", arXiv:2106.08295, section 2.2. Zeros stay zero.
    """
    most = 2 ** (BITS[bits] - 1) - 1
    largest = weight.abs().flatten(1).amax(dim=1)
    scale = torch.where(largest > 0, largest / most, torch.ones_like(largest))
    steps = weight / scale.reshape(-1, *[1] * (weight.ndim - 1))
    whole = steps.round().clamp(-most, most).long()
    table = torch.arange(-most, most + 1, device=weight.device, dtype=weight.dtype)
    return Codes(whole + most, table, scale)
