"""Files of torchvision's data sets, small and random."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def idx(array: NDArray[np.uint8]) -> bytes:
    """The format of MNIST: magic number, sizes, bytes."""
    sizes = b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def make_mnist(root: Path, name: str = "MNIST", n_train: int = 40, n_test: int = 20) -> Path:
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for stem, n in (("train", n_train), ("t10k", n_test)):
        x = random.integers(0, 256, (n, 28, 28)).astype(np.uint8)
        y = (np.arange(n) % 10).astype(np.uint8)
        (raw / f"{stem}-images-idx3-ubyte").write_bytes(idx(x))
        (raw / f"{stem}-labels-idx1-ubyte").write_bytes(idx(y))
    return root


def make_cifar(root: Path) -> Path:
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        batch = {"data": random.integers(0, 256, (10, 3072), np.uint8), "labels": [*range(10)]}
        (folder / name).write_bytes(pickle.dumps(batch))
    names = {"label_names": [f"name{i}" for i in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names))
    return root
