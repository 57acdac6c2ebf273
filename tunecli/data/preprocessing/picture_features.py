"""Pictures as features: bytes in memory or mapped from a file, scaled batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from tunecli.data.preprocessing.pixel_scale import PixelScale
from tunecli.data.rows.features import batch_blocks

CPU = torch.device("cpu")


class PictureFeatures:
    """Some rows of pictures that all folds and processes share.

    Bytes are gathered by numpy, three times as fast as by torch, and become float32 on the device.
    """

    are_whole = False

    def __init__(
        self, x: Tensor, rows: Tensor, scale: PixelScale, device: torch.device = CPU
    ) -> None:
        """Take `rows`, (n_rows,) int64, of `x`, (n, channels, height, width) uint8 on the CPU."""
        self.scale = scale
        self.shape = tuple(x.shape[1:])
        self.row_bytes = 4 * x[0].numel()
        self._x = x
        self._rows = rows
        self._device = device

    def __len__(self) -> int:
        return len(self._rows)

    def batches(self, rows: Tensor | None, sizes: Sequence[int], _: int = 0) -> Iterator[Tensor]:
        """Return the rows in batches of `sizes`; see `Features`."""
        base = self._x.numpy()
        wanted = self._rows if rows is None else self._rows[rows.cpu()]
        for start, end, group in batch_blocks(sizes, self.row_bytes):
            block = torch.from_numpy(np.take(base, wanted[start:end].numpy(), axis=0))
            for part in torch.split(block, group):  # scaled one by one, while in the CPU's cache
                yield self.scale.on(self._device, part)

    def ends(self) -> tuple[Tensor, Tensor]:
        """Return what 0 and 255 become; see `Features`."""
        return self.scale.black, self.scale.white

    def first(self, n_rows: int) -> PictureFeatures:
        """Return the first rows alone."""
        return PictureFeatures(self._x, self._rows[:n_rows], self.scale, self._device)

    def to(self, device: torch.device) -> PictureFeatures:
        """Return the same features, with batches on `device`, which is sent bytes, not floats."""
        return PictureFeatures(self._x, self._rows, self.scale, device)
