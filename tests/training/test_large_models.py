"""A model of 86 million weights: what `check` says of it is what it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from picture_cases import pictures
from training_cases import CPU, component, trial

from tunecli.training.cross_validation import CrossValidation
from tunecli.training.rehearsal import rehearse
from tunecli.training.state.checkpoints import Checkpoints

pytestmark = pytest.mark.slow


def test_a_vision_transformer_is_rehearsed_saved_and_goes_on_to_the_same_bits(
    tmp_path: Path,
) -> None:
    fold = pictures(n_train=48, n_valid=16)
    config = trial(model=component("vit_b_16"), epochs=2, batch_size=16)
    rehearsal = rehearse(config, [fold])
    assert rehearsal.error == ""
    assert rehearsal.n_weights == pytest.approx(86e6, rel=0.02)
    weights = 4 * rehearsal.n_weights
    assert rehearsal.fold_bytes == pytest.approx(4 * weights, rel=0.01)  # best ones, two moments
    assert rehearsal.n_bytes > rehearsal.fold_bytes + weights  # gradients, and a batch's traces

    training = CrossValidation(config, [fold], CPU)
    checkpoints = Checkpoints(tmp_path, config)
    next(training)
    checkpoints.save(training.state_dict())
    on_disk = sum(file.stat().st_size for file in tmp_path.iterdir())
    assert on_disk == pytest.approx(rehearsal.fold_bytes, rel=0.01)
    [last] = training
    whole = training.folds[0].state_dict()
    del training

    resumed = CrossValidation(config, [fold], CPU)
    saved = checkpoints.load()
    assert saved is not None
    resumed.load_state_dict(saved)
    del saved
    assert list(resumed) == [last]
    again = resumed.folds[0].state_dict()
    assert all(torch.equal(value, again["model"][key]) for key, value in whole["model"].items())
