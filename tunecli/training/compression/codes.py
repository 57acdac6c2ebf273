"""How a weight is written in few bits: whole numbers, a table of values, and factors.

    weight[c, …] = table[index[c, …]] · scale[c]

Weight sharing has a table and one factor for all; quantization has whole numbers as its table; a
batch norm that is folded in multiplies the factors. `dense` is what is scored and what a packed
file is read back to, by the same multiplication, so that both have the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from tunecli.training.compression.compressible_layers import per_channel


@dataclass(frozen=True)
class Codes:
    """One layer's weight.

    Attributes:
        index: entries of the table, (n_out, …) int64.
        table: (n_values,) float32.
        scale: factors of the output channels, (n_out,) float32; None for 1.
    """

    index: Tensor
    table: Tensor
    scale: Tensor | None = None

    def dense(self) -> Tensor:
        """The weight, (n_out, …) float32."""
        weight = self.table[self.index]
        return weight if self.scale is None else weight * per_channel(self.scale, weight)

    def scaled(self, factors: Tensor) -> Codes:
        """With each output channel multiplied by a factor, (n_out,)."""
        scale = factors if self.scale is None else self.scale * factors
        return replace(self, scale=scale)

    def without_unused(self) -> Codes:
        """The same weight by a table of the entries that occur."""
        used, index = torch.unique(self.index, return_inverse=True)
        return Codes(index, self.table[used], self.scale)

    @property
    def n_bits(self) -> Literal[1, 2, 4, 8]:
        """The fewest bits that tell the table's entries apart."""
        sizes: tuple[Literal[1, 2, 4, 8], ...] = (1, 2, 4, 8)
        return next(bits for bits in sizes if len(self.table) <= 2**bits)

    @property
    def zero(self) -> int | None:
        """Which entry of the table is zero, if one is."""
        found = torch.nonzero(self.table == 0)
        return int(found[0]) if len(found) else None
