"""Dropout and weight decay that fade: their course, and that nothing is left changed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from training_cases import CPU, classification, component, trial

from tunecli.training.fold import FoldTraining
from tunecli.training.step.fade_out import FadeOut


def _flat_cos(done: float) -> float:
    return 1.0 if done < 0.5 else 0.5 * (1 + math.cos(math.pi * (done - 0.5) / 0.5))


def test_they_stay_for_half_of_the_steps_and_then_fall_along_a_cosine() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.4), nn.LSTM(2, 2, 2, dropout=0.2))
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.3)
    fade_out = FadeOut(0.5, 20, model, [optimizer])
    for step in range(20):
        fade_out.before_step(step)
        factor = _flat_cos(step / 20)
        assert model[1].p == pytest.approx(0.4 * factor)
        assert model[2].dropout == pytest.approx(0.2 * factor)
        assert optimizer.param_groups[0]["weight_decay"] == pytest.approx(0.3 * factor)
        fade_out.after_step()
        assert (model[1].p, model[2].dropout) == (0.4, 0.2)
        assert optimizer.param_groups[0]["weight_decay"] == 0.3


@pytest.mark.parametrize("name", ["SGD", "Rprop"])  # one has a weight decay
def test_a_training_that_is_stopped_in_between_gives_the_same_bits(name: str) -> None:
    config = trial(
        model=component("MLP", width=8, dropout=0.5),
        optimizer=component(name, lr=0.01),
        fade_out=0.7,
        epochs=4,
    )
    whole, first, second = (FoldTraining(config, classification(), CPU) for _ in range(3))
    expected = list(whole)
    before = [next(first), next(first), next(first)]
    second.load_state_dict(first.state_dict())
    assert [*before, *second] == expected


def test_it_changes_what_is_learned() -> None:
    settings = {"model": component("MLP", width=8, dropout=0.5), "epochs": 3}
    one, other = (
        list(FoldTraining(trial(**settings, fade_out=share), classification(), CPU))  # type: ignore[arg-type]
        for share in (0.0, 1.0)
    )
    assert one != other
