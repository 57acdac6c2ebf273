"""How long a trial of TabM takes, against as many MLPs of its size one after another.

    OMP_NUM_THREADS=1 python tests/benchmarks/members.py [--rounds 3] [--k 32] [--width 128]

One fold of a table of 20 numbers (4,000 training rows, batches of 256): TabM in each `arch`, with
`k` members, against `k` trainings of one MLP with the same layers. The ways take turns in one
process. Prints medians of CPU seconds, and shares of the time of all MLPs.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import Any

import torch

from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    Objective,
    TrainingSettings,
    TrialConfig,
    ValidationSettings,
)
from tunecli.training.fold import FoldTraining

CPU = torch.device("cpu")
N_TRAIN, N_VALID, N_FEATURES, EPOCHS = 4_000, 1_000, 20, 1


def fold() -> FoldData:
    """Return a fold of random rows of two classes."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N_TRAIN + N_VALID, N_FEATURES, generator=generator)
    y = (x[:, :5].sum(1) > 0).long()
    return FoldData(
        number=0,
        task="classification",
        x_train=x[:N_TRAIN],
        y_train=y[:N_TRAIN],
        x_valid=x[N_TRAIN:],
        y_valid=y[N_TRAIN:],
        valid_rows=torch.arange(N_TRAIN, N_TRAIN + N_VALID),
        n_classes=2,
    )


def trial(name: str, **arguments: Any) -> TrialConfig:
    """Return a trial of a model with AdamW."""
    return TrialConfig(
        seed=0,
        data=DataSettings(source="t.csv"),
        validation=ValidationSettings(holdout=0.2),
        model=Component(name=name, arguments=arguments),
        loss=Component(name="CrossEntropyLoss"),
        optimizer=Component(name="AdamW", arguments={"lr": 1e-3}),
        training=TrainingSettings(epochs=EPOCHS, batch_size=256),
        objective=Objective(direction="maximize", metric=Component(name="accuracy")),
    )


def seconds(config: TrialConfig, data: FoldData, times: int = 1) -> float:
    """Return the CPU seconds of some trainings, one after another."""
    start = time.process_time()
    for _ in range(times):
        list(FoldTraining(config, data, CPU))
    return time.process_time() - start


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--width", type=int, default=128)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data = fold()
    sizes = {"k": asked.k, "d_block": asked.width, "n_blocks": 2}
    ways = {
        f"TabM {arch}": trial("TabM", arch=arch, **sizes) for arch in ("mini", "tabm", "packed")
    }
    one_by_one = f"{asked.k} MLPs"
    mlp = trial("MLP", width=asked.width, depth=2, dropout=0.1)
    measured: dict[str, list[float]] = {name: [] for name in (*ways, one_by_one)}
    for config in (*ways.values(), mlp):
        seconds(config, data)  # the first training imports, and fills caches
    for _ in range(asked.rounds):
        for name, config in ways.items():
            measured[name].append(seconds(config, data))
        measured[one_by_one].append(seconds(mlp, data, times=asked.k))
    whole = median(measured[one_by_one])
    print(f"{'way':12} {'CPU s':>8} {'share':>7}")
    for name, values in measured.items():
        print(f"{name:12} {median(values):8.2f} {median(values) / whole:7.2f}")


if __name__ == "__main__":
    main()
