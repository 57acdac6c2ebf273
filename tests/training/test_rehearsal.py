"""Rehearsals: their numbers against the real training, and the sentence for each mistake."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.settings import (
    Component,
    Constraint,
    DataSettings,
    Objective,
    TrainingSettings,
    TrialConfig,
    ValidationSettings,
)
from tunecli.training.compression import costs
from tunecli.training.models.building import build_model
from tunecli.training.rehearsal import rehearse

CPU = torch.device("cpu")


def _named(name: str, **arguments: Any) -> Component:
    return Component(name=name, arguments=arguments)


def _config(source: str = "digits", **changes: Any) -> TrialConfig:
    settings: dict[str, Any] = {
        "seed": 0,
        "data": DataSettings(source=source),
        "validation": ValidationSettings(folds=5),
        "model": _named("MLP"),
        "loss": _named("CrossEntropyLoss"),
        "optimizer": _named("AdamW", lr=1e-3),
        "objective": Objective(direction="maximize", metric=_named("accuracy")),
    }
    return TrialConfig(**{**settings, **changes})


@pytest.fixture(scope="module")
def digits() -> list[FoldData]:
    return _folds("digits")


def _folds(source: str) -> list[FoldData]:
    config = _config(source)
    return FoldStore(config.data, config.validation).folds(FeatureForm(config.data.scale), True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": _named("CNN", channels=0)}, r"model\.CNN: channels must be at least 1"),
        ({"model": _named("MLP", widht=3)}, r"model\.MLP: .*unexpected keyword.*widht"),
        ({"model": _named("densenet121")}, r"model\.densenet121: densenet121 takes .* 29 × 29"),
        ({"model": _named("nothing")}, r"model\.nothing: nothing is not a known model"),
        ({"loss": _named("CrossEntropyLoss", weight=[1, 2])}, r"loss\.CrossEntropyLoss: weight"),
        (
            {"optimizer": _named("SGD", lr=0.1, nesterov=True)},
            r"optimizer\.SGD: Nesterov momentum requires",
        ),
        ({"schedule": _named("StepLR")}, r"schedule\.StepLR: .*missing.*step_size"),
        (
            {"schedule": _named("OneCycleLR"), "training": TrainingSettings(steps=1)},
            r"schedule\.OneCycleLR: OneCycleLR needs at least 2 steps",
        ),
        (
            {
                "model": _named("MLP", batch_norm=True),
                "training": TrainingSettings(batch_size=1),
            },
            r"model\.MLP: Expected more than 1 value per channel",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_one_sentence_with_its_component(
    digits: list[FoldData], changes: dict[str, Any], message: str
) -> None:
    rehearsal = rehearse(_config(**changes), digits)
    assert rehearsal.n_weights == rehearsal.n_bytes == rehearsal.seconds == 0
    assert "\n" not in rehearsal.error
    assert re.match(message, rehearsal.error)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_missing_device_is_named_once(digits: list[FoldData]) -> None:
    error = rehearse(_config(training=TrainingSettings(device="cuda")), digits).error
    assert error.startswith("training.device: cuda is not available")


def test_tables_do_not_go_into_a_cnn() -> None:
    error = rehearse(_config("iris", model=_named("CNN")), _folds("iris")).error
    assert error == (
        "model.CNN: CNN takes pictures, but each row of the data has 4 features. "
        "Use MLP or Linear."
    )


@pytest.mark.parametrize(
    "training",
    [
        TrainingSettings(),
        TrainingSettings(batch_size="full", epochs=3),
        TrainingSettings(accumulate=3, ema=0.9, warmup=0.1),
        TrainingSettings(steps=50, batch_size=1000),
        TrainingSettings(dtype="bf16", eval_every=0.25),
    ],
    ids=["default", "full", "accumulate", "steps", "bf16"],
)
@pytest.mark.parametrize(
    "schedule",
    [None, _named("OneCycleLR"), _named("ReduceLROnPlateau")],
    ids=["none", "OneCycleLR", "ReduceLROnPlateau"],
)
def test_what_trains_has_no_error(
    digits: list[FoldData], training: TrainingSettings, schedule: Component | None
) -> None:
    rehearsal = rehearse(_config(training=training, schedule=schedule), digits)
    assert rehearsal.error == ""
    assert rehearsal.seconds > 0


def test_memory_is_what_the_parts_take(digits: list[FoldData]) -> None:
    """A Linear model with Adam: every byte can be counted by hand."""
    config = _config(model=_named("Linear"), optimizer=_named("Adam"))
    rehearsal = rehearse(config, digits)
    n_weights = 64 * 10 + 10
    assert rehearsal.n_weights == n_weights
    assert rehearsal.fold_bytes == 4 * 4 * n_weights + 2 * 4
    weights = 4 * n_weights
    steps = 2 * 4  # Adam counts the steps of each of its two tensors
    kept = weights + weights + 2 * weights + steps  # weights, best weights, two moments
    n_rows = len(digits[0].x_train)
    gradients, joined = 5 * weights, 5 * weights
    saved = (rehearsal.n_bytes - 5 * kept - gradients - joined) / 5
    inputs, outputs = 64 * 64 * 4, 32 * 10 * 4  # two batches are gathered at once
    targets = 64 * 8
    assert n_rows > 64
    assert inputs + outputs + targets <= saved <= inputs + 4 * outputs + targets + 64


def test_memory_grows_with_folds_average_and_batch(digits: list[FoldData]) -> None:
    def n_bytes(folds: list[FoldData], **training: Any) -> int:
        return rehearse(_config(training=TrainingSettings(**training)), folds).n_bytes

    model = build_model(_named("MLP"), (1, 8, 8), 10)
    weights = sum(4 * p.numel() for p in model.parameters())
    one, five = n_bytes(digits[:1], dtype="bf16"), n_bytes(digits, dtype="bf16")
    assert five - one == pytest.approx(4 * 4 * weights, rel=0.01)
    one, five = n_bytes(digits[:1]), n_bytes(digits)
    assert five == pytest.approx(5 * (one + weights), rel=0.01)  # a stack, with joined weights
    assert n_bytes(digits[:1], ema=0.9) - one == pytest.approx(weights, rel=0.01)
    grown = n_bytes(digits[:1], batch_size=64) - one
    again = n_bytes(digits[:1], batch_size=96) - one
    assert again == pytest.approx(2 * grown, rel=0.05)


def test_nothing_outside_is_changed(digits: list[FoldData]) -> None:
    rows = digits[0].x_train.clone()
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    rehearse(_config(model=_named("MLP", dropout=0.5)), digits)
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(digits[0].x_train, rows)


def test_weights_are_not_counted_as_what_a_batch_leaves_behind(digits: list[FoldData]) -> None:
    config = _config(
        model=_named("MLP", width=600),
        optimizer=_named("SGD", lr=0.1),
        training=TrainingSettings(batch_size=2),
    )
    rehearsal = rehearse(config, digits[:1])
    weights = 4 * rehearsal.n_weights
    # Weights, best weights, gradients; a batch of two rows is next to nothing.
    assert 3 * weights <= rehearsal.n_bytes < 3.1 * weights


def test_a_model_beyond_a_limit_is_told_before_it_trains(digits: list[FoldData]) -> None:
    limit = Constraint(metric=_named("n_weights"), max=1000)
    assert rehearse(_config(), digits).beyond == ""
    found = rehearse(_config(constraints=(limit,)), digits)
    assert re.fullmatch(r"n_weights of [\d,]+ is above 1,000", found.beyond)
    assert found.error == ""
    small = _config(constraints=(limit,), model=_named("Linear"))
    assert rehearse(small, digits).beyond == ""


def test_costs_are_measured_once_before_the_first_trial(
    digits: list[FoldData], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise NotImplementedError("no formula for this operator")

    monkeypatch.setattr(costs, "macs", broken)
    assert rehearse(_config(), digits).error == ""
    config = _config(further_objectives=(Objective(direction="minimize", metric=_named("macs")),))
    assert rehearse(config, digits).error == (
        "model.MLP: NotImplementedError: no formula for this operator"
    )
