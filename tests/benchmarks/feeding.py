"""How fast rows reach a model: tunecli's feeding against torch's DataLoader and ImageFolder.

    OMP_NUM_THREADS=1 python tests/benchmarks/feeding.py [--pairs 5]

Each pair feeds one epoch both ways, shuffled, in batches of 256, on one thread, augmented
alike. The pairs take turns, so that a busy machine disturbs both; medians are printed. Pictures
are JPEG files that the benchmark makes; the other side decodes and changes them one by one, as
torchvision's classification examples do, in this process. The aims: tables and 28×28 at least 10
times as fast, 64×64 in colour at least 3 times.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset
from torchvision import transforms
from torchvision.datasets import ImageFolder

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.features import Features, as_features
from tunecli.data.rows.workspace import Workspace
from tunecli.study_file.settings.settings import Component, DataSettings, ValidationSettings
from tunecli.training.step.augmentation import Augmentation
from tunecli.training.step.batches import Batches

BATCH = 256
N_ROWS = 20_000
N_PICTURES = 2_048


def seconds(batches: Iterable[Any]) -> float:
    """Of one epoch."""
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def epoch(x: Features, y: torch.Tensor, change: Callable[[torch.Tensor], torch.Tensor]) -> float:
    """One epoch of tunecli's batches, as training takes them."""
    batches = Batches(x, y, BATCH, shuffle=True)
    batches.begin_epoch()
    return seconds(change(batch.x) for batch in batches.rest_of_epoch())


def table_pair() -> tuple[Callable[[], float], Callable[[], float], int]:
    """Twenty numbers a row."""
    x, y = torch.randn(N_ROWS, 20), torch.randint(2, (N_ROWS,))
    loader = DataLoader(TensorDataset(x, y), BATCH, shuffle=True)
    return lambda: epoch(as_features(x), y, lambda x: x), lambda: seconds(loader), N_ROWS


def picture_pair(
    folder: Path, side: int, channels: int
) -> tuple[Callable[[], float], Callable[[], float], int]:
    """JPEG files in folders, with crop, flip and affine."""
    make_pictures(folder / "set", side, channels)
    padding = side // 7
    store = FoldStore(
        DataSettings(source="set/", test=0.0),
        ValidationSettings(holdout=0.5),
        Workspace(folder, folder / "cache"),
    )
    fold = store.folds(FeatureForm(Component(name="standard")), standardize_target=False)[0]
    x = as_features(fold.x_train)
    augment = Augmentation(
        [
            Component(name="RandomCrop", arguments={"padding": padding}),
            Component(name="RandomHorizontalFlip"),
            Component(
                name="RandomAffine", arguments={"degrees": 15.0, "translate": [0.1, 0.1], "p": 1.0}
            ),
        ],
        x,
    )
    changes = [
        *([transforms.Grayscale()] if channels == 1 else []),
        transforms.RandomCrop(side, padding=padding),
        transforms.RandomHorizontalFlip(),
        transforms.RandomAffine(
            15, translate=(0.1, 0.1), interpolation=transforms.InterpolationMode.BILINEAR
        ),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * channels, [0.25] * channels),
    ]
    files = ImageFolder(str(folder / "set"), transforms.Compose(changes))
    half = torch.utils.data.Subset(files, store.split.folds[0][0].tolist())
    loader = DataLoader(half, BATCH, shuffle=True)
    return lambda: epoch(x, fold.y_train, augment), lambda: seconds(loader), len(half)


def make_pictures(folder: Path, side: int, channels: int) -> None:
    random = np.random.default_rng(0)
    for label in range(2):
        (folder / str(label)).mkdir(parents=True)
        for i in range(N_PICTURES // 2):
            small = random.integers(0, 256, (7, 7, channels)).astype(np.uint8)
            picture = Image.fromarray(small.squeeze()).resize((side, side))
            picture.save(folder / str(label) / f"{i}.jpg")


def main() -> None:
    """Measure in pairs and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        cases = {
            "table, 20 numbers, against DataLoader": (*table_pair(), 10),
            "28 × 28 grey, against ImageFolder": (*picture_pair(Path(place, "28"), 28, 1), 10),
            "64 × 64 colour, against ImageFolder": (*picture_pair(Path(place, "64"), 64, 3), 3),
        }
        for name, (ours, theirs, n_rows, aim) in cases.items():
            ours(), theirs()  # the first epoch reads files and imports
            pairs = [(ours(), theirs()) for _ in range(options.pairs)]
            rates = [n_rows / median(times) for times in zip(*pairs, strict=True)]
            ratio = median(other / own for own, other in pairs)
            print(
                f"{name}: {rates[0]:,.0f} a second against {rates[1]:,.0f}, {ratio:.1f} × (aim: "
                f"at least {aim} ×)"
            )


if __name__ == "__main__":
    main()
