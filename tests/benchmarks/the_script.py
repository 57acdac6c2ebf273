"""The script that people write: folds, DataLoader, a model, an optimizer, an evaluation an epoch.

It trains what `tunecli search` trains, trial after trial in one process, without tunecli.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tests.benchmarks.taking_turns import Cost

N_FOLDS = 5


@dataclass(frozen=True)
class Work:
    """What each trial trains: an MLP with ReLU on five folds, by AdamW.

    Attributes:
        x: (n, n_features); `y`: (n,), classes from 0.
        hidden: widths of the hidden layers.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    hidden: tuple[int, ...]
    batch_size: int
    epochs: int

    def model(self) -> nn.Sequential:
        """Return a new model."""
        layers: list[nn.Module] = []
        widths = [self.x.shape[1], *self.hidden]
        for n_in, n_out in pairwise(widths):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(widths[-1], int(self.y.max()) + 1))


def trial(work: Work, lr: float) -> float:
    """Train and score all folds; return the mean of their best accuracies."""
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0).split(work.x, work.y)
    return float(np.mean([_fold(work, lr, train, valid) for train, valid in folds]))


def _fold(work: Work, lr: float, train: NDArray[np.int64], valid: NDArray[np.int64]) -> float:
    scaler = StandardScaler().fit(work.x[train])
    parts = [
        TensorDataset(
            torch.tensor(scaler.transform(work.x[rows]), dtype=torch.float32),
            torch.tensor(work.y[rows]),
        )
        for rows in (train, valid)
    ]
    train_loader = DataLoader(parts[0], work.batch_size, shuffle=True)
    valid_loader = DataLoader(parts[1], work.batch_size)
    model, loss_of = work.model(), nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    best = 0.0
    for _ in range(work.epochs):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss_of(model(x), y).backward()
            optimizer.step()
        best = max(best, _accuracy(model, valid_loader, len(valid)))
    return best


def _accuracy(model: nn.Module, loader: DataLoader[tuple[torch.Tensor, ...]], n: int) -> float:
    model.eval()
    with torch.no_grad():
        return sum(int((model(x).argmax(1) == y).sum()) for x, y in loader) / n


def _trials(work: Work, rates: Sequence[float]) -> Cost:
    torch.set_num_threads(1)
    short = Work(work.x, work.y, work.hidden, work.batch_size, 0)
    trial(short, 1e-3)  # torch imports a good deal at the first optimizer
    cpu, wall = time.process_time(), time.perf_counter()
    for rate in rates:
        assert trial(work, rate) > 0.7, "what does not learn measures nothing"
    return Cost(time.process_time() - cpu, time.perf_counter() - wall)


def script(work: Work, rates: Sequence[float]) -> Cost:
    """Train one trial per learning rate in a new process; its start-up does not count."""
    return _in_new_process(_trials, work, rates)


def ray_tune(work: Work, rates: Sequence[float]) -> Cost:
    """Train the same trials by Ray Tune with OptunaSearch on two CPUs, once Ray has started.

    In a process of its own: a process can start one Ray only, and tunecli starts another.
    """
    return _in_new_process(_tuned_by_ray, work, rates)


def _in_new_process(
    train: Callable[[Work, Sequence[float]], Cost], work: Work, rates: Sequence[float]
) -> Cost:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(train, work, rates).result()


def _tuned_by_ray(work: Work, rates: Sequence[float]) -> Cost:
    import ray
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    def trainable(config: dict[str, float]) -> None:
        torch.set_num_threads(1)
        tune.report({"accuracy": trial(work, config["lr"])})

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    points = [{"lr": rate} for rate in rates]
    asked = OptunaSearch(metric="accuracy", mode="max", points_to_evaluate=points)
    settings = tune.TuneConfig(search_alg=asked, num_samples=len(points))
    space = {"lr": tune.loguniform(1e-4, 1e-1)}
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}), tune_config=settings, param_space=space
    )
    wall = time.perf_counter()
    results = tuner.fit()
    taken = time.perf_counter() - wall
    assert not results.errors
    return Cost(float("nan"), taken)  # its trials run in processes of Ray's own
