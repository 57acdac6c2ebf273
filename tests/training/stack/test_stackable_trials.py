"""Which trials train as a stack, and what happens where kernels differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import nn
from training_cases import CPU, classification, component, trial

from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.compression.costs import macs
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import FoldTraining, new_model
from tunecli.training.models.convolutional import CNN
from tunecli.training.stack import stack_comparison, stacked_layers
from tunecli.training.stack.joined_tensors import CannotStackError
from tunecli.training.stack.picture_layers import n_products
from tunecli.training.stack.stackable_trials import LARGEST_PRODUCT, OTHER_BITS, possible_stack
from tunecli.training.stack.stacked_models import StackedModels

FOLDS = [classification(number) for number in range(3)]


def is_stacked(config: TrialConfig, folds: Sequence[FoldData] = FOLDS, **given: Any) -> bool:
    training = CrossValidation(config, folds, CPU, **given)
    group, notes = training.groups[0], training.take_notes()
    if group.stack is None and possible_stack(config, cast(list[FoldTraining], group.folds)):
        pytest.skip("this CPU rounds such small products differently in a stack")
    assert notes == []
    return group.stack is not None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model": component("Linear")},
        {"model": component("ResNet", width=8, depth=1)},
        {"optimizer": component("RMSprop")},
        {"accumulate": 2},
        {"model": component("MLP", width=8, num_embeddings="periodic")},
    ],
    ids=str,
)
def test_folds_of_small_models_train_as_a_stack(changes: dict[str, Any]) -> None:
    assert is_stacked(trial(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": component("LBFGS")},
        {"dtype": "bf16"},
        {"micro_batch": 4},
        {"micro_batch": "auto"},
        {"model": component("MLP", activation="PReLU")},
        {"model": component("MLP", activation="RReLU")},
        {"model": component("MLP", width=4096, depth=3), "batch_size": 40},
    ],
    ids=str,
)
def test_others_train_one_after_another(changes: dict[str, Any]) -> None:
    assert not is_stacked(trial(**changes))


PICTURES = [
    replace(fold, x_train=torch.zeros(41, 1, 8, 8), x_valid=torch.zeros(12, 1, 8, 8))
    for fold in FOLDS
]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"channels": 8}, True),
        ({"channels": 16, "depth": 3}, True),
        ({"channels": 16, "depth": 3, "activation": "GELU"}, False),  # right before the mean
        ({"channels": 1}, False),
        ({"channels": 16, "kernel": 1}, False),
        ({"channels": 256}, False),
    ],
    ids=str,
)
def test_networks_of_small_pictures_train_as_a_stack(
    arguments: dict[str, Any], expected: bool
) -> None:
    config = trial(model=component("CNN", **arguments), batch_size=32)
    assert is_stacked(config, PICTURES) == expected


@pytest.mark.parametrize(("kernel", "sides"), [(3, (8, 11)), (2, (9, 9)), (5, (16, 8))])
def test_the_multiplications_of_a_network_are_those_that_torch_counts(
    kernel: int, sides: tuple[int, int]
) -> None:
    model = CNN((3, *sides), 10, channels=6, depth=3, kernel=kernel)
    assert n_products(model, (3, *sides)) == macs(model, torch.zeros(1, 3, *sides))


def test_the_bound_of_the_last_one_is_that_of_the_rule() -> None:
    config = trial(model=component("MLP", width=4096, depth=3))
    model = new_model(config, FOLDS[0])
    assert 40 * sum(weight.numel() for weight in model.parameters()) > LARGEST_PRODUCT


def test_folds_of_other_shapes_train_one_after_another() -> None:
    assert not is_stacked(trial(), [FOLDS[0], classification(1, n_features=5)])
    assert not is_stacked(trial(batch_size="full"), [FOLDS[0], classification(1, n_train=40)])
    assert not is_stacked(trial(batch_size=40), [FOLDS[0], classification(1, n_train=42)])
    assert is_stacked(trial(batch_size="full"))


def test_a_single_fold_trains_alone() -> None:
    assert not is_stacked(trial(), FOLDS[:1])


def test_models_that_are_trained_further_train_alone() -> None:
    config = trial()
    assert not is_stacked(config, models=[new_model(config, fold) for fold in FOLDS])


def test_frozen_weights_are_not_stacked() -> None:
    config = trial()
    models = [new_model(config, fold) for fold in FOLDS]
    assert StackedModels(models, 8).weights
    for model in models:
        next(model.parameters()).requires_grad_(False)
    with pytest.raises(CannotStackError, match="cannot be stacked"):
        StackedModels(models, 8)


def test_where_kernels_round_differently_folds_train_one_after_another_and_the_user_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = list(CrossValidation(trial(), FOLDS, CPU))
    monkeypatch.setattr(stack_comparison, "_COMPARED", {})
    in_batch = stacked_layers._Alike(True, True, True, True)
    monkeypatch.setattr(stacked_layers, "_alike", lambda *_: in_batch)  # also by other kernels
    training = CrossValidation(trial(), FOLDS, CPU)
    assert training.groups[0].stack is None
    assert training.take_notes() == [OTHER_BITS]
    assert training.take_notes() == []
    assert list(training) == expected
    other = CrossValidation(trial(batch_size=7), FOLDS, CPU)
    assert (other.groups[0].stack, other.take_notes()) == (None, [])  # once per worker


def test_shapes_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_comparison, "_COMPARED", {})
    seen: list[int] = []
    before = stack_comparison._compare
    monkeypatch.setattr(
        stack_comparison, "_compare", lambda folds, n: seen.append(n) or before(folds, n)
    )
    for config in (trial(), trial(optimizer=component("SGD")), trial(batch_size=16)):
        CrossValidation(config, FOLDS, CPU)
    assert seen == [8, 16]


def test_a_comparison_leaves_the_folds_as_they_were() -> None:
    config = trial(model=component("MLP", dropout=0.5, batch_norm=True))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    training = CrossValidation(config, FOLDS, CPU)
    assert torch.equal(torch.get_rng_state(), state)
    for loop in training.loops:
        counts = [
            m.num_batches_tracked for m in loop.model.modules() if isinstance(m, nn.BatchNorm1d)
        ]
        assert [int(count) for count in counts if count is not None] == [0, 0]
        assert all(weight.grad is None for weight in loop.model.parameters())


@pytest.mark.parametrize(
    ("changes", "n_valid", "is_together"),
    [
        ({}, (12, 12, 12), True),
        ({}, (12, 11, 12), True),
        ({}, (12, 9, 12), False),
        ({}, (257, 256, 257), False),  # of two blocks, and of one
        ({"ema": 0.9}, (12, 12, 12), False),
        ({"model": component("MLP", width=16, batch_norm=True)}, (12, 11, 12), True),
    ],
    ids=str,
)
def test_models_are_evaluated_as_one_stack_where_their_rows_fit_together(
    changes: dict[str, Any], n_valid: tuple[int, ...], is_together: bool
) -> None:
    folds = [
        classification(number, n_train=70, n_features=6, n_valid=n)
        for number, n in enumerate(n_valid)
    ]
    config = trial(**{"model": component("MLP", width=16), "batch_size": 32, **changes})
    together, alone = (CrossValidation(config, folds, CPU) for _ in range(2))
    stack = together.groups[0].stack
    assert stack is not None
    assert stack.evaluates_together == is_together
    alone.groups[0].stack = None
    assert list(together) == list(alone)
    outputs = [[loop.best_outputs for loop in one.loops] for one in (together, alone)]
    for one, other in zip(*outputs, strict=True):
        assert one is not None
        assert other is not None
        assert one.tobytes() == other.tobytes()
