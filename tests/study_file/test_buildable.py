"""Whatever a study file may say can be built and trained, at every corner of its space."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from training_cases import classification, regression

from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.ranges import Range
from tunecli.study_file.space.corner_cases import Point, covering
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.rehearsal import rehearse

CLASSES = {
    "model": [
        "Linear",
        "{MLP: {width: {int: [1, 4]}, depth: {int: [1, 3]}, dropout: {float: [0, 0.9]}}}",
        "{MLP: {width: [4, {int: [1, 4]}], batch_norm: true, residual: true}}",
        "{MLP: {activation: {choice: [ReLU, PReLU, RReLU, LogSigmoid, Hardshrink]}}}",
        "{CNN: {channels: {int: [1, 3]}, kernel: {int: [1, 4]}, depth: {int: [1, 5]}}}",
    ],
    "loss": [
        "{CrossEntropyLoss: {label_smoothing: {float: [0, 1]}, weight: balanced}}",
        "{NLLLoss: {weight: balanced}}",
        "{MultiMarginLoss: {margin: {float: [0, 2]}, p: {choice: [1, 2]}}}",
        "{CrossEntropyLoss: {weight: [1, 2, 3]}}",
    ],
    "optimizer": [
        "{SGD: {lr: 0.1, momentum: {float: [0, 0.99]}, dampening: {float: [0, 1]}}}",
        "{SGD: {lr: 0.1, momentum: {float: [0.1, 0.99]}, nesterov: true}}",
        "{Adam: {betas: [{float: [0, 0.99]}, 0.9], amsgrad: {choice: [true, false]}}}",
        "{AdamW: {weight_decay: {float: [0, 0.9]}, eps: {float: [0, 1]}}}",
        "{Muon: {ns_steps: {int: [1, 6]}, rest: {SGD: {momentum: 0.5, nesterov: true}}}}",
        "{Muon: {rest: {choice: [AdamW, {RMSprop: {centered: true}}]}}}",
        "{choice: [Adagrad, Adadelta, Adamax, Adafactor, ASGD, NAdam, RAdam, Rprop, RMSprop]}",
        "{RMSprop: {alpha: {float: [0, 1]}, momentum: 0.9, centered: true}}",
    ],
    "schedule": [
        "{choice: [CosineAnnealingLR, ReduceLROnPlateau, OneCycleLR, LinearLR, ConstantLR]}",
        "{StepLR: {step_size: {int: [1, 5]}, gamma: {float: [0, 2]}}}",
        "{MultiStepLR: {milestones: [1, {int: [1, 3]}]}}",
        "{ExponentialLR: {gamma: {float: [0.1, 1]}}}",
        "{CosineAnnealingWarmRestarts: {T_0: {int: [1, 3]}}}",
        "{PolynomialLR: {power: {float: [0, 2]}}}",
        "{CyclicLR: {base_lr: 1e-5, mode: {choice: [triangular, triangular2, exp_range]}}}",
        "{ReduceLROnPlateau: {factor: {float: [0.1, 0.9]}, patience: {int: [0, 3]}}}",
    ],
    "training": [
        "{batch_size: {choice: [1, 7, 1000, full]}, epochs: {int: [1, 2]}}",
        "{l1: {float: [1e-8, 1], log: true, or: 0}, ema: {float: [0.1, 0.9]}, warmup: 0.5}",
        "{decay: weights, clip_norm: {float: [0.1, 1]}, clip_value: 1, input_noise: 0.1}",
        "{steps: {int: [3, 9]}, eval_every: {int: [1, 3]}, accumulate: {int: [1, 4]}}",
    ],
}
CASES = [(section, text) for section, texts in CLASSES.items() for text in texts]
NUMBERS = [
    "{choice: [MSELoss, L1Loss, SmoothL1Loss, HuberLoss, GaussianNLLLoss]}",
    "{SmoothL1Loss: {beta: {float: [0, 1]}}}",
    "{HuberLoss: {delta: {float: [0.1, 1]}}}",
]
FOUND_BY_REHEARSING = [
    ("loss", "{CrossEntropyLoss: {weight: [1, 2]}}", "each of the 3 classes"),
    ("loss", "{MultiMarginLoss: {p: 3}}", "only p == 1 and p == 2"),
]
"""What only the library or the data knows: the file is accepted, and `check` tells."""


def answer(point: Point, name: str, range_: Range) -> Scalar:
    return point[name]


def failures(text: str, fold: FoldData) -> list[str]:
    """What `rehearse` finds wrong at points that the study file allows."""
    study = StudyFile.from_text(text, "a.yaml").completed(fold.task, 60)
    points = covering(study.parameters)
    configs = [study.resolve(partial(answer, point)) for point in points]
    return [error for config in configs if (error := rehearse(config, [fold]).error)]


def classes(section: str, text: str) -> str:
    sections = {"data": "digits", "model": "MLP", "optimizer": "{SGD: {lr: 0.01}}"} | {
        section: text
    }
    return "\n".join(f"{key}: {value}" for key, value in sections.items())


def pictures() -> FoldData:
    fold = classification(n_features=64)
    shape = (-1, 1, 8, 8)
    return replace(fold, x_train=fold.x_train.view(shape), x_valid=fold.x_valid.view(shape))


@pytest.mark.slow
@pytest.mark.parametrize(("section", "text"), CASES)
def test_what_is_accepted_for_classes_can_be_built(section: str, text: str) -> None:
    assert failures(classes(section, text), pictures()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("section", "text", "error"), FOUND_BY_REHEARSING)
def test_what_only_the_library_knows_is_found_by_rehearsing(
    section: str, text: str, error: str
) -> None:
    assert error in failures(classes(section, text), pictures())[0]


@pytest.mark.slow
@pytest.mark.parametrize("loss", NUMBERS)
def test_what_is_accepted_for_numbers_can_be_built(loss: str) -> None:
    text = f"data: diabetes\nmodel: MLP\noptimizer: {{SGD: {{lr: 1e-4}}}}\nloss: {loss}\n"
    assert failures(text, regression()) == []
