"""Small folds of pictures, for the tests of models that take them."""

from __future__ import annotations

import torch

from tunecli.data.rows.dataset import FoldData


def pictures(
    n_train: int = 12, n_valid: int = 6, channels: int = 3, side: int = 32, n_classes: int = 3
) -> FoldData:
    """Noise around another grey for each class."""
    generator = torch.Generator().manual_seed(7)
    n_rows = n_train + n_valid
    y = torch.arange(n_rows) % n_classes
    x = torch.randn(n_rows, channels, side, side, generator=generator)
    x += y[:, None, None, None] - (n_classes - 1) / 2
    return FoldData(
        number=0,
        task="classification",
        x_train=x[:n_train],
        y_train=y[:n_train],
        x_valid=x[n_train:],
        y_valid=y[n_train:],
        valid_rows=torch.arange(n_valid),
        n_classes=n_classes,
    )
