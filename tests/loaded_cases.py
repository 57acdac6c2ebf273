"""Small torch data sets of many kinds, for the tests of what is loaded batch by batch."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from tunecli.data.rows.streamed_rows import DatasetItems, LoadedRows

N = 40


class Rows(Dataset[Any]):
    """The rows of an array, with classes 0 and 1 in turn."""

    def __init__(self, x: NDArray[Any]) -> None:
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Any:
        return torch.from_numpy(self.x[index]), index % 2


class Noisy(Rows):
    """Each generator has a part in each item."""

    def __getitem__(self, index: int) -> Any:
        noise = torch.rand(3).numpy() + np.random.random(3) + random.random()
        return self.x[index] + noise, index % 2


class Pillow(Rows):
    """Pictures as torchvision's sets give them."""

    def __getitem__(self, index: int) -> Any:
        return Image.fromarray(np.moveaxis(self.x[index], 0, -1)), index % 2


def x_of(kind: str, n: int = N) -> NDArray[Any]:
    """Rows of a table, or pictures as bytes or numbers."""
    draws = np.random.default_rng(7)
    if kind == "table":
        return draws.normal(3, 2, (n, 3))
    pixels = draws.integers(0, 200, (n, 3, 8, 9)).astype(np.uint8)
    return pixels if kind == "bytes" else (pixels / np.float32(255)).astype(np.float32)


KINDS = ("table", "bytes", "numbers")


def loaded_rows(dataset: Dataset[Any], n_loaders: int = 0) -> LoadedRows:
    return LoadedRows(DatasetItems("own.py:load", dataset), n_loaders)
