"""Recomputed activations: the same bits as kept ones, with less memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from picture_cases import pictures
from training_cases import CPU, component, trial

from tunecli.training.fold import FoldTraining
from tunecli.training.rehearsal import rehearse


def _trained(name: str, recompute: bool, side: int = 32, **training: Any) -> FoldTraining:
    model = component(name, checkpoint_activations=recompute)
    config = trial(model=model, **{"epochs": 2, "batch_size": 4, **training})
    fold = FoldTraining(config, pictures(side=side), CPU)
    for _ in fold:
        fold.keep()
    return fold


def _check_same_bits(name: str, side: int = 32, **training: Any) -> None:
    kept, recomputed = (_trained(name, again, side, **training) for again in (False, True))
    first, second = kept.state_dict(), recomputed.state_dict()
    assert first["model"].keys() == second["model"].keys()
    assert all(torch.equal(value, second["model"][key]) for key, value in first["model"].items())
    assert torch.equal(first["random"]["cpu"], second["random"]["cpu"])
    assert first["train_loss"] == second["train_loss"]
    x = torch.randn(2, 3, side, side)
    assert torch.equal(kept.best_model()(x), recomputed.best_model()(x))


@pytest.mark.parametrize("training", [{}, {"ema": 0.5}, {"dtype": "bf16"}, {"accumulate": 2}])
def test_dropout_and_batch_norm_give_the_same_bits(training: dict[str, Any]) -> None:
    _check_same_bits("mobilenet_v3_small", **training)


def test_models_without_batch_norm_too() -> None:
    _check_same_bits("squeezenet1_1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("resnet18", 32),
        ("alexnet", 64),
        ("googlenet", 32),
        ("efficientnet_b0", 32),
        ("densenet121", 32),
        ("shufflenet_v2_x0_5", 32),
    ],
)
def test_every_kind_of_block_gives_the_same_bits(name: str, side: int) -> None:
    _check_same_bits(name, side, epochs=1)


@pytest.mark.parametrize("frozen", [2, "features"])
def test_frozen_blocks_may_be_recomputed(frozen: object) -> None:
    results = []
    for again in (False, True):
        model = component("mobilenet_v3_small", freeze=frozen, checkpoint_activations=again)
        fold = FoldTraining(trial(model=model, epochs=1), pictures(), CPU)
        results.append(next(fold))
    assert results[0] == results[1]


def test_less_is_kept_for_the_backward_pass() -> None:
    def n_bytes(again: bool) -> int:
        model = component("resnet18", checkpoint_activations=again)
        return rehearse(trial(model=model, batch_size=8), [pictures(16, 2)]).n_bytes

    assert n_bytes(True) < n_bytes(False)
