"""Pretrained weights of a small classifier, in a file where torchvision looks for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from picture_cases import pictures
from torchvision import models
from training_cases import CPU, component, trial

from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.cross_validation import CrossValidation

NAME = "squeezenet1_1"
"""The smallest of torchvision's classifiers: 2.9 MB without its head."""

N_FOLDS = 3


def offline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for weights, and nowhere to fetch them from."""
    monkeypatch.setenv("TORCH_HOME", str(folder))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    hub = folder / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    return hub


def put_weights(
    hub: Path, name: str = NAME, seed: int = 5, **arguments: Any
) -> dict[str, torch.Tensor]:
    """Weights of ImageNet's size, as if they had been learned."""
    torch.manual_seed(seed)
    source = models.get_model(name, weights=None, **arguments)
    file = models.get_model_weights(name).DEFAULT.url.rpartition("/")[2]
    torch.save(source.state_dict(), hub / file)
    state: dict[str, torch.Tensor] = source.state_dict()
    return state


def fine_tuning(name: str = NAME, freeze: object = "features", **settings: Any) -> TrialConfig:
    model = component(name, weights="DEFAULT", freeze=freeze)
    return trial(model=model, **{"epochs": 2, **settings})


def fine_tuned(config: TrialConfig, n_rounds: int = 1) -> CrossValidation:
    """A trial that has begun to train a pretrained classifier."""
    folds = [replace(pictures(), number=number) for number in range(N_FOLDS)]
    training = CrossValidation(config, folds, CPU)
    for _ in range(n_rounds):
        next(training)
    return training
