from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_cases import CPU, component, language, trial

from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.fold import FoldTraining
from tunecli.training.step.losses import build_loss, n_outputs
from tunecli.training.trial_end import example

MODEL = component("TransformerDecoder", d_model=8, nhead=2, num_layers=1)


def config(**training: Any) -> TrialConfig:
    settings = {"model": MODEL, "optimizer": component("SGD", lr=0.5), "epochs": 1, **training}
    return trial(direction="minimize", metric="log_loss", metrics=("perplexity",), **settings)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_is_the_mean_over_the_tokens_that_count(smoothing: float) -> None:
    fold = language()
    loss = build_loss(component("CrossEntropyLoss", label_smoothing=smoothing), fold)
    outputs = torch.randn(*fold.y_train.shape, fold.n_classes)
    counts = fold.y_train != -100
    expected = nn.CrossEntropyLoss(label_smoothing=smoothing)(
        outputs[counts], fold.y_train[counts]
    )
    torch.testing.assert_close(loss(outputs, fold.y_train), expected)
    assert loss.total_weight(fold.y_train) == counts.sum()
    assert n_outputs(component("CrossEntropyLoss"), fold) == fold.n_classes


def weights_after(training: FoldTraining) -> list[Tensor]:
    next(training)
    return [weight.detach().clone() for weight in training.model.parameters()]


@pytest.mark.parametrize("parts", [{"accumulate": 3, "batch_size": 5}, {"micro_batch": 3}])
def test_batches_combined_in_a_step_weigh_by_their_tokens(parts: dict[str, int]) -> None:
    fold = language(n_train=15)
    whole = config(batch_size="full", shuffle=False)
    divided = config(**{"batch_size": "full", "shuffle": False, **parts})
    ours = weights_after(FoldTraining(divided, fold, CPU))
    for one, other in zip(ours, weights_after(FoldTraining(whole, fold, CPU)), strict=True):
        torch.testing.assert_close(one, other)


def test_scores_are_those_of_all_validation_tokens_at_once() -> None:
    fold = language(n_valid=23)
    training = FoldTraining(config(batch_size=4), fold, CPU)
    evaluation = next(training)
    training.keep()
    model = training.best_model()
    outputs = model(fold.x_valid).flatten(0, 1)
    expected = nn.functional.cross_entropy(outputs, fold.y_valid.flatten()).item()
    assert evaluation.score == pytest.approx(expected, rel=1e-6)
    assert training.best_outputs is not None
    assert training.best_outputs.shape == (23, 4)


def test_an_evaluation_never_holds_the_outputs_of_more_than_one_batch() -> None:
    fold = language(n_valid=23)
    training = FoldTraining(config(batch_size=4), fold, CPU)
    sizes: list[int] = []
    hook = lambda module, x, outputs: sizes.append(len(outputs))  # noqa: E731
    training.model.register_forward_hook(hook)
    next(training)
    assert max(sizes) <= 4


def test_padding_of_a_batch_does_not_change_the_loss() -> None:
    fold = language()
    short = replace(fold, y_train=nn.functional.pad(fold.y_train, (0, 3), value=-100))
    loss = build_loss(component("CrossEntropyLoss"), fold)
    outputs = torch.randn(*fold.y_train.shape, fold.n_classes)
    assert loss(outputs, short.y_train) == loss(outputs, fold.y_train)
    assert example(fold).shape == (2, 6)
