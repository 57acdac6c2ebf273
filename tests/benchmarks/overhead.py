"""What tunecli's training costs beyond a bare loop over the same tensors.

    OMP_NUM_THREADS=1 python tests/benchmarks/overhead.py [--pairs 7]

Both train the same trial (digits, 5 folds, MLP 64-128-10, batches of 32, 20 epochs, AdamW) on one
thread, in turns, so that a busy machine disturbs both alike. Prints the median ratio of their
times and where tunecli's share goes. The aim is at most 1.15.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable
from statistics import median

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from torch import nn

from tunecli.data.dataset import FoldData
from tunecli.study_file.settings import (
    Component,
    DataSettings,
    Objective,
    TrainingSettings,
    TrialConfig,
    ValidationSettings,
)
from tunecli.training.cross_validation import CrossValidation

LR, EPOCHS, BATCH, WIDTH = 1e-3, 20, 32, 128
CPU = torch.device("cpu")


def digits() -> list[FoldData]:
    """Five stratified folds of digits, scaled by their training parts."""
    bunch = load_digits()
    x = torch.from_numpy(bunch.data).float()
    y = torch.from_numpy(bunch.target).long()
    folds = []
    splitter = StratifiedKFold(5, shuffle=True, random_state=0)
    for number, (train, valid) in enumerate(splitter.split(x, y)):
        mean, std = x[train].mean(0), x[train].std(0).clamp(min=1e-6)
        folds.append(
            FoldData(
                number=number,
                task="classification",
                x_train=(x[train] - mean) / std,
                y_train=y[train],
                x_valid=(x[valid] - mean) / std,
                y_valid=y[valid],
                valid_rows=torch.from_numpy(valid),
                n_classes=10,
            )
        )
    return folds


def bare(folds: list[FoldData]) -> float:
    """The loop that one would write by hand; mean over folds of the best accuracy."""
    best = []
    for fold in folds:
        torch.manual_seed(fold.number)
        model = nn.Sequential(nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))
        optimizer = torch.optim.AdamW(model.parameters(), lr=LR, fused=True)
        loss_of = nn.CrossEntropyLoss()
        accuracies = []
        for _ in range(EPOCHS):
            model.train()
            order = torch.randperm(len(fold.x_train))
            total = torch.zeros(())
            for rows in order.split(BATCH):
                y = fold.y_train.index_select(0, rows)
                loss = loss_of(model(fold.x_train.index_select(0, rows)), y)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                total += loss.detach() * len(rows)
            model.eval()
            with torch.no_grad():
                hits = (model(fold.x_valid).argmax(1) == fold.y_valid).float().mean()
            accuracies.append(hits.item())
            total.item()
        best.append(max(accuracies))
    return sum(best) / len(best)


def through_tunecli(folds: list[FoldData]) -> float:
    """The same trial as the search trains it; its value."""
    training = CrossValidation(trial(), folds, CPU)
    for _ in training:
        pass
    value = training.result().value
    assert value is not None
    return value


def trial() -> TrialConfig:
    """The configuration of the bare loop."""
    return TrialConfig(
        seed=0,
        data=DataSettings(source="digits"),
        validation=ValidationSettings(folds=5),
        model=Component(name="MLP", arguments={"width": WIDTH, "depth": 1}),
        loss=Component(name="CrossEntropyLoss"),
        optimizer=Component(name="AdamW", arguments={"lr": LR}),
        training=TrainingSettings(epochs=EPOCHS, batch_size=BATCH),
        objective=Objective(direction="maximize", metric=Component(name="accuracy")),
    )


def seconds(run: Callable[[list[FoldData]], float], folds: list[FoldData]) -> float:
    """Wall-clock time of one trial."""
    start = time.perf_counter()
    value = run(folds)
    elapsed = time.perf_counter() - start
    assert value > 0.9, "a benchmark of something that does not learn measures nothing"
    return elapsed


def shares(folds: list[FoldData]) -> None:
    """Print the functions of tunecli with the most time of their own, under a profiler."""
    profile = cProfile.Profile()
    profile.runcall(through_tunecli, folds)
    pstats.Stats(profile).sort_stats("tottime").print_stats("tunecli", 12)


def main() -> None:
    """Measure in pairs and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    torch.set_num_threads(1)
    folds = digits()
    seconds(bare, folds), seconds(through_tunecli, folds)  # warm up
    pairs = []
    for _ in range(parser.parse_args().pairs):
        pairs.append((seconds(bare, folds), seconds(through_tunecli, folds)))
        print("bare {:.3f} s, tunecli {:.3f} s".format(*pairs[-1]))
    print(f"median ratio: {median(ours / bare for bare, ours in pairs):.3f}")
    shares(folds)


if __name__ == "__main__":
    main()
