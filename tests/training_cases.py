"""Small folds and configurations made by hand, for the tests of training."""

from __future__ import annotations

from typing import Any

import torch

from tunecli.data.rows.dataset import FoldData, TokenForm
from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    Direction,
    Objective,
    TrainingSettings,
    TrialConfig,
    ValidationSettings,
)

CPU = torch.device("cpu")


def component(name: str, **arguments: Any) -> Component:
    return Component(name=name, arguments=arguments)


def classification(
    number: int = 0, n_train: int = 41, n_valid: int = 12, n_features: int = 4, n_classes: int = 3
) -> FoldData:
    """Noisy clusters, a different draw for each number."""
    generator = torch.Generator().manual_seed(100 + number)
    centres = torch.randn(n_classes, n_features, generator=generator)
    y = torch.randint(n_classes, (n_train + n_valid,), generator=generator)
    x = centres[y] + torch.randn(len(y), n_features, generator=generator)
    return FoldData(
        number=number,
        task="classification",
        x_train=x[:n_train],
        y_train=y[:n_train],
        x_valid=x[n_train:],
        y_valid=y[n_train:],
        valid_rows=torch.arange(number * n_valid, (number + 1) * n_valid),
        n_classes=n_classes,
    )


def regression(number: int = 0, n_train: int = 40, n_valid: int = 12) -> FoldData:
    """Three features, a linear law with noise, and a target in its own unit."""
    generator = torch.Generator().manual_seed(200 + number)
    x = torch.randn(n_train + n_valid, 3, generator=generator)
    noise = torch.randn(n_train + n_valid, generator=generator)
    y = x @ torch.tensor([2.0, -1.0, 0.5]) + 0.3 * noise
    return FoldData(
        number=number,
        task="regression",
        x_train=x[:n_train],
        y_train=y[:n_train],
        x_valid=x[n_train:],
        y_valid=y[n_train:] * 10 + 50,
        valid_rows=torch.arange(n_valid),
        n_classes=0,
        y_mean=50.0,
        y_std=10.0,
    )


def language(number: int = 0, n_train: int = 14, n_valid: int = 5, block: int = 6) -> FoldData:
    """Blocks of a noisy period of four tokens, some of them short."""
    generator = torch.Generator().manual_seed(300 + number)
    n = n_train + n_valid
    stream = (torch.arange(n * (block + 1)) + torch.randint(2, (1,), generator=generator)) % 4 + 1
    noise = torch.rand(len(stream), generator=generator) < 0.1
    stream = torch.where(noise, 5, stream).view(n, block + 1)
    x, y = stream[:, :-1].clone(), stream[:, 1:].clone()
    lengths = torch.randint(2, block + 1, (n,), generator=generator)
    lengths[::2] = block
    is_padding = torch.arange(block) >= lengths[:, None]
    x[is_padding], y[is_padding] = 0, -100
    return FoldData(
        number=number,
        task="language_modeling",
        x_train=x[:n_train],
        y_train=y[:n_train],
        x_valid=x[n_train:],
        y_valid=y[n_train:],
        valid_rows=torch.arange(n_valid),
        n_classes=7,
        valid_bytes=2 * lengths[n_train:],
        tokens=TokenForm(vocab_size=7, pad=0),
    )


def trial(
    *,
    model: Component | None = None,
    loss: str | Component = "CrossEntropyLoss",
    optimizer: Component | None = None,
    schedule: Component | None = None,
    direction: Direction = "maximize",
    metric: str = "accuracy",
    metrics: tuple[str, ...] = (),
    seed: int = 0,
    **training: Any,
) -> TrialConfig:
    """A configuration of a small MLP; `training` holds its training settings."""
    return TrialConfig(
        seed=seed,
        data=DataSettings(source="iris"),
        validation=ValidationSettings(folds=3),
        model=model or component("MLP", width=8, depth=2),
        loss=component(loss) if isinstance(loss, str) else loss,
        optimizer=optimizer or component("AdamW", lr=0.01),
        schedule=schedule,
        training=TrainingSettings(**{"epochs": 4, "batch_size": 8, **training}),
        objective=Objective(direction=direction, metric=component(metric)),
        metrics=tuple(component(name) for name in metrics),
    )
