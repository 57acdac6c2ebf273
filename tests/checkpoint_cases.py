"""A training that has begun, and whether two states are equal."""

from __future__ import annotations

from typing import Any

import torch
from training_cases import CPU, classification, component, trial

from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.cross_validation import CrossValidation

CONFIG = trial(
    epochs=6,
    optimizer=component("AdamW", lr=0.05),
    schedule=component("ReduceLROnPlateau", patience=1),
    model=component("MLP", width=8, depth=1, dropout=0.3, batch_norm=True),
)


def begun(config: TrialConfig = CONFIG, n_rounds: int = 3) -> CrossValidation:
    training = CrossValidation(config, [classification(0), classification(1)], CPU)
    for _ in range(n_rounds):
        next(training)
    return training


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)
