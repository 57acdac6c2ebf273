"""Folders of pictures that tests make for themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def smooth(seed: int, height: int = 12, width: int = 12) -> NDArray[np.uint8]:
    """A coloured picture that JPEG hardly changes, (height, width, 3)."""
    random = np.random.default_rng(seed)
    low, high = random.integers(20, 230, (2, 3))
    slope = np.linspace(0, 1, width)[None, :, None] * np.ones((height, 1, 1))
    return (low + (high - low) * slope).astype(np.uint8)


def save(path: Path, pixels: NDArray[np.uint8], mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(path)


def make_folders(
    folder: Path,
    counts: Mapping[str, Sequence[int]],
    suffix: str = "png",
    size: tuple[int, int] = (12, 12),
) -> Path:
    """Class folders with pictures that all differ: `{"train": [5, 5], "val": [2, 2]}`.

    The part "" stands for class folders without parts above them.
    """
    seed = 0
    for part, numbers in counts.items():
        for label, n in enumerate(numbers):
            (folder / part / f"class{label}").mkdir(parents=True, exist_ok=True)
            for i in range(n):
                seed += 1
                save(folder / part / f"class{label}" / f"{i:03d}.{suffix}", smooth(seed, *size))
    return folder
