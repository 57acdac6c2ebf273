"""Folds that train as one stack have the bits of folds that train one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from training_cases import CPU, classification, component, regression, trial

from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.settings import Component, EarlyStopping, TrialConfig
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import FoldTraining, new_model
from tunecli.training.models.convolutional import CNN
from tunecli.training.stack.picture_layers import n_products
from tunecli.training.stack.stackable_trials import LARGEST_CONVOLUTIONS, possible_stack
from tunecli.training.step.batches import batch_sizes

FOLDS = [classification(number, n_train=70 + number, n_features=6) for number in range(3)]
"""With batches of 32: two whole batches and the rest, of another size in each fold."""
VALUES = [regression(number, n_train=70 + number) for number in range(3)]


def pair(
    config: TrialConfig, folds: Sequence[FoldData] = FOLDS
) -> tuple[CrossValidation, CrossValidation]:
    """The same trial, as a stack and with each fold alone."""
    together, alone = (CrossValidation(config, folds, CPU) for _ in range(2))
    group = together.groups[0]
    assert possible_stack(config, cast(list[FoldTraining], group.folds)), "it is eligible"
    if group.stack is None:
        pytest.skip("this CPU rounds such small products differently in a stack")
    alone.groups[0].stack = None
    return together, alone


def assert_same(one: Any, other: Any, place: str = "state") -> None:
    """Equal to the bit, in all tensors and numbers."""
    if isinstance(one, Tensor):
        assert one.dtype == other.dtype, place
        assert one.numpy().tobytes() == other.numpy().tobytes(), place
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key, value in one.items():
            assert_same(value, other[key], f"{place}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), place
        for index, pair_ in enumerate(zip(one, other, strict=True)):
            assert_same(*pair_, f"{place}[{index}]")
    else:
        assert one == other or one != one, place  # a NaN equals itself here


def state_of(training: CrossValidation) -> dict[str, Any]:
    """Everything that decides how the trial goes on: all but the time."""
    state = training.state_dict()
    del state["seconds"]
    return state


def assert_same_trial(config: TrialConfig, folds: Sequence[FoldData] = FOLDS) -> None:
    together, alone = pair(config, folds)
    assert list(together) == list(alone)
    assert_same(state_of(together), state_of(alone))
    one, other = (training.result() for training in (together, alone))
    assert replace(one, seconds=0, peak_memory=0) == replace(other, seconds=0, peak_memory=0)


def config(**changes: Any) -> TrialConfig:
    return trial(**{"model": component("MLP", width=16), "batch_size": 32, "epochs": 2, **changes})


OPTIMIZERS = [
    component("AdamW", lr=0.01),
    component("AdamW", lr=0.01, amsgrad=True, weight_decay=0.1),
    component("Adam", lr=0.01, betas=[0.5, 0.9], weight_decay=0.1),
    component("SGD", lr=0.1),
    component("SGD", lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    component("SGD", lr=0.1, momentum=0.9, dampening=0.5),
    component("Adagrad", lr=0.1, lr_decay=0.1, initial_accumulator_value=0.1),
    component("RMSprop", lr=0.01, momentum=0.5, centered=True),
    component("Adadelta"),
    component("Adamax"),
    component("NAdam"),
    component("RAdam"),
    component("ASGD"),
    component("Rprop"),
    component("Adafactor"),
    component("Muon", lr=0.01, rest={"SGD": {"lr": 0.1}}),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_every_optimizer(optimizer: Component) -> None:
    assert_same_trial(config(optimizer=optimizer, decay="weights"))


MODELS = [
    component("Linear"),
    component("MLP", width=32, depth=1),
    component("MLP", width=[48, 16, 8]),
    component("MLP", width=17, depth=3, residual=True),
    component("MLP", width=16, dropout=0.3),
    component("MLP", width=16, batch_norm=True),
    component("MLP", width=17, batch_norm=True, dropout=0.1),
    component("MLP", width=1),
    component("MLP", width=16, num_embeddings="periodic", num_size=5, n_frequencies=3),
    component("MLP", width=16, num_embeddings="piecewise_linear", num_size=4, n_bins=5),
    component("ResNet", width=16, depth=2),
    component("ResNet", width=10, depth=1, dropout=0.0, residual_dropout=0.2),
]


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.parametrize("batch_size", [32, 30, 3])
def test_every_model_at_sizes_that_vectors_do_not_divide(
    model: Component, batch_size: int
) -> None:
    assert_same_trial(config(model=model, batch_size=batch_size))


ACTIVATIONS = (
    "CELU ELU GELU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid Mish ReLU ReLU6 "
    "SELU SiLU Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink"
).split()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch_size", [32, 30])
def test_every_activation(activation: str, batch_size: int) -> None:
    model = component("MLP", width=17, activation=activation, batch_norm=batch_size == 32)
    assert_same_trial(config(model=model, batch_size=batch_size))


SCHEDULES = [
    component("CosineAnnealingLR"),
    component("StepLR", step_size=1, gamma=0.5),
    component("OneCycleLR", cycle_momentum=True),
    component("CyclicLR"),
    component("PolynomialLR"),
    component("ReduceLROnPlateau", patience=0, factor=0.5),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("length", [{"epochs": 4}, {"epochs": None, "steps": 11}], ids=str)
def test_every_schedule_also_where_the_folds_have_other_rates(
    schedule: Component, length: dict[str, Any]
) -> None:
    folds = [classification(number, n_train=70 + 31 * number) for number in range(3)]
    changes = {"schedule": schedule, "warmup": 0.2, "clip_norm": 0.1, **length}
    assert_same_trial(config(**changes), folds)


REGULARIZATION = [
    {"l1": 1e-3},
    {"clip_norm": 0.1},
    {"clip_value": 0.01},
    {"l1": 1e-3, "clip_norm": 0.3, "clip_value": 0.1},
    {"input_noise": 0.2},
    {"mixup": 0.3},
    {"ema": 0.9},
    {"decay": "weights", "optimizer": component("AdamW", weight_decay=0.3)},
    {"accumulate": 2},
    {"accumulate": 3, "ema": 0.99, "mixup": 1.0, "input_noise": 0.1},
    {"eval_every": 0.3},
    {"shuffle": False},
    {"smooth_score": 3, "epochs": 5},
    {"early_stopping": EarlyStopping(patience=1), "epochs": 30},
    {"threads": 2},
]


@pytest.mark.parametrize("changes", REGULARIZATION, ids=str)
def test_every_regularization(changes: dict[str, Any]) -> None:
    assert_same_trial(config(model=component("MLP", width=16, dropout=0.2), **changes))


LOSSES = [
    component("CrossEntropyLoss", weight="balanced", label_smoothing=0.1),
    component("CrossEntropyLoss", weight=[1.0, 2.0, 0.5]),
    component("NLLLoss"),
    component("BCEWithLogitsLoss", weight="balanced"),
    component("MultiMarginLoss"),
]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("changes", [{}, {"accumulate": 2}, {"mixup": 0.5}], ids=str)
def test_every_loss_of_classes(loss: Component, changes: dict[str, Any]) -> None:
    assert_same_trial(config(loss=loss, **changes))


@pytest.mark.parametrize("loss", ["MSELoss", "L1Loss", "HuberLoss", "GaussianNLLLoss"])
@pytest.mark.parametrize("batch_size", [32, 23])
def test_every_loss_of_values(loss: str, batch_size: int) -> None:
    changes = {"loss": loss, "metric": "rmse", "direction": "minimize"}
    assert_same_trial(config(batch_size=batch_size, **changes), VALUES)


def test_two_classes_of_one_output() -> None:
    folds = [classification(number, n_train=70, n_classes=2) for number in range(3)]
    assert_same_trial(config(loss="BCEWithLogitsLoss"), folds)


@pytest.mark.parametrize("changes", [{}, {"accumulate": 2, "mixup": 0.5}], ids=str)
def test_weighted_rows(changes: dict[str, Any]) -> None:
    weights = torch.arange(70.0) % 5
    folds = [
        replace(classification(number, n_train=70), train_weights=weights) for number in range(3)
    ]
    assert_same_trial(config(**changes), folds)


def coded(number: int, cardinalities: tuple[int, ...], n_train: int = 70) -> FoldData:
    """Two numbers, and codes of categories."""
    fold = classification(number, n_train=n_train, n_features=2 + len(cardinalities))
    generator = torch.Generator().manual_seed(number)

    def with_codes(x: Tensor) -> Tensor:
        codes = [torch.randint(n, (len(x), 1), generator=generator) for n in cardinalities]
        return torch.cat([x[:, :2], *codes], dim=1).float()

    x_train, x_valid = with_codes(torch.as_tensor(fold.x_train)), with_codes(fold.x_valid)
    return replace(fold, x_train=x_train, x_valid=x_valid, cat_cardinalities=cardinalities)


@pytest.mark.parametrize("name", ["MLP", "ResNet"])
@pytest.mark.parametrize("optimizer", ["AdamW", "SGD"])
def test_embedded_categories_of_which_each_fold_knows_others(name: str, optimizer: str) -> None:
    folds = [coded(number, (3, 40 + number)) for number in range(3)]
    model = component(name, width=16, embed=4)
    assert_same_trial(config(model=model, optimizer=component(optimizer, lr=0.1)), folds)


def picture(number: int, n_train: int, shape: tuple[int, ...] = (1, 8, 8)) -> FoldData:
    """Pictures of noisy clusters."""
    fold = classification(number, n_train=n_train, n_features=math.prod(shape))
    x_train, x_valid = (torch.as_tensor(x).view(-1, *shape) for x in (fold.x_train, fold.x_valid))
    return replace(fold, x_train=x_train, x_valid=x_valid)


NETWORKS = [
    component("CNN", channels=8),
    component("CNN", channels=16, depth=3),
    component("CNN", channels=16, batch_norm=False, dropout=0.3),
    component("CNN", channels=10, activation="GELU"),
    component("CNN", channels=3, depth=1, kernel=2),
    component("CNN", channels=16, kernel=5, activation="Tanh", batch_norm=False),
]


@pytest.mark.parametrize("model", NETWORKS, ids=str)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 11)], ids=str)
def test_every_network_of_pictures(model: Component, shape: tuple[int, ...]) -> None:
    folds = [picture(number, 70 + number, shape) for number in range(3)]
    assert_same_trial(config(model=model), folds)


@pytest.mark.parametrize("optimizer", OPTIMIZERS[:-1:3], ids=str)
@pytest.mark.parametrize("changes", [{}, {"ema": 0.9, "clip_norm": 0.1, "mixup": 0.3}], ids=str)
def test_pictures_with_other_optimizers(optimizer: Component, changes: dict[str, Any]) -> None:
    folds = [picture(number, 70 + number) for number in range(3)]
    model = component("CNN", channels=16)
    assert_same_trial(config(model=model, optimizer=optimizer, **changes), folds)


@settings(max_examples=8, deadline=None)
@given(
    sides=st.tuples(st.integers(8, 17), st.integers(8, 17)),
    n_in=st.integers(1, 4),
    channels=st.integers(2, 20),
    depth=st.integers(1, 3),
    kernel=st.integers(2, 5),
    batch_size=st.integers(2, 33),
    n_folds=st.integers(2, 5),
    batch_norm=st.booleans(),
)
def test_pictures_of_any_sizes(
    sides: tuple[int, int],
    n_in: int,
    channels: int,
    depth: int,
    kernel: int,
    batch_size: int,
    n_folds: int,
    batch_norm: bool,
) -> None:
    folds = [picture(number, 50, (n_in, *sides)) for number in range(n_folds)]
    arguments = {"channels": channels, "depth": depth, "kernel": kernel, "batch_norm": batch_norm}
    sized = config(model=component("CNN", **arguments), batch_size=batch_size)
    network = cast(CNN, new_model(sized, folds[0]))
    assume(batch_size * n_products(network, folds[0].shape) <= LARGEST_CONVOLUTIONS)
    assert_same_trial(sized, folds)


@settings(max_examples=12, deadline=None)
@given(
    sizes=st.lists(st.integers(33, 110), min_size=2, max_size=5),
    batch_size=st.integers(2, 33),
    width=st.integers(1, 40),
    dropout=st.sampled_from([0.0, 0.4]),
    batch_norm=st.booleans(),
    eval_every=st.sampled_from([1, 0.3, 1.7]),
    accumulate=st.integers(1, 3),
)
def test_any_sizes(
    sizes: list[int],
    batch_size: int,
    width: int,
    dropout: float,
    batch_norm: bool,
    eval_every: float,
    accumulate: int,
) -> None:
    assume(len({batch_sizes(n_train, batch_size)[0] for n_train in sizes}) == 1)
    folds = [classification(number, n_train=n_train) for number, n_train in enumerate(sizes)]
    model = component("MLP", width=width, depth=1, dropout=dropout, batch_norm=batch_norm)
    length = {"eval_every": eval_every, "accumulate": accumulate}
    assert_same_trial(config(model=model, batch_size=batch_size, **length), folds)


@pytest.mark.parametrize("n_before", [1, 3])
@pytest.mark.parametrize("stacked_first", [True, False])
def test_a_checkpoint_of_one_way_goes_on_in_the_other(n_before: int, stacked_first: bool) -> None:
    model = component("MLP", width=16, dropout=0.3, batch_norm=True)
    settings_ = config(model=model, epochs=6, ema=0.9, mixup=0.2, schedule=component("OneCycleLR"))
    whole, _ = pair(settings_)
    rounds = list(whole)
    before, after = pair(settings_) if stacked_first else reversed(pair(settings_))
    for _ in range(n_before):
        next(before)
    after.load_state_dict(before.state_dict())
    assert list(after) == rounds[n_before:]
    assert_same(state_of(after), state_of(whole))


def test_a_fold_that_diverges_changes_no_other() -> None:
    bad = replace(FOLDS[1], x_train=torch.full_like(torch.as_tensor(FOLDS[1].x_train), 1e30))
    folds = [FOLDS[0], bad, FOLDS[2]]
    together, alone = pair(config(optimizer=component("SGD", lr=1e5)), folds)
    assert next(together, None) is next(alone, None) is None
    assert (together.outcome, together.reason) == (alone.outcome, alone.reason)
    assert together.outcome == "diverged"
    good = CrossValidation(config(optimizer=component("SGD", lr=1e5)), [FOLDS[0]], CPU)
    next(good, None)
    one, other = (training.loops[0].model.state_dict() for training in (together, good))
    assert_same(dict(one), dict(other))
