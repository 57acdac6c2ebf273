"""RealMLP: its layers as in pytabkit, its start from training rows, its learning rates."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from training_cases import CPU, classification, component, regression, trial

from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import as_features
from tunecli.study_file.settings.settings import Component
from tunecli.training.fold import FoldTraining
from tunecli.training.models.building import build_model, embeds_categories
from tunecli.training.models.layers.embeddings import Columns
from tunecli.training.models.layers.neural_tangent_layers import (
    ParametricActivation,
    PeriodicDense,
    ScaledCategories,
    start_linear,
)
from tunecli.training.models.real_mlp import RealMLP
from tunecli.training.stack.stackable_trials import possible_stack

SMALL: dict[str, Any] = {"width": 8, "depth": 2}
X = torch.randn(200, 4, generator=torch.Generator().manual_seed(1)) * 3 + 1


def _model(**arguments: Any) -> RealMLP:
    torch.manual_seed(0)
    return RealMLP((4,), 2, **(SMALL | arguments), columns=Columns((), as_features(X)))


@pytest.mark.parametrize("rectify", [False, True])
def test_numbers_are_embedded_by_the_formula_of_the_paper(rectify: bool) -> None:
    layer = PeriodicDense(4, 5, 6, 0.1, rectify=rectify)
    expected = []
    for i in range(4):
        waves = torch.cos(2 * math.pi * X[:, [i]] @ layer.frequencies[i] + layer.phases[i])
        vectors = waves @ layer.weight[i] + layer.bias[i]
        expected.append(vectors.relu() if rectify else vectors)
    torch.testing.assert_close(layer(X), torch.cat([*expected, X], dim=1))


def test_a_parametric_activation_is_between_it_and_the_identity() -> None:
    layer = ParametricActivation(nn.SELU(), 4)
    torch.testing.assert_close(layer(X), nn.functional.selu(X))
    nn.init.zeros_(layer.weight)
    torch.testing.assert_close(layer(X), X)


def test_units_start_with_deviation_1_and_biases_within_their_outputs() -> None:
    layer = nn.Linear(4, 500)
    outputs = start_linear(layer, X)
    assert outputs is not None
    before_bias = X @ layer.weight.T
    torch.testing.assert_close(before_bias.std(0, correction=0), torch.ones(500))
    assert (-layer.bias <= before_bias.max(0).values).all()
    assert (-layer.bias >= before_bias.min(0).values).all()
    # A mean of five of its outputs with random shares; their squares sum to 2 / 6 on average.
    spread = (-layer.bias - before_bias.mean(0)).square().mean().item()
    assert spread == pytest.approx(1 / 3, rel=0.25)


def test_every_layer_starts_by_what_it_gets() -> None:
    model = _model(dropout=0.3)
    x = model._features(X)
    for block in model.hidden:
        linear, activation = block[0], block[1]  # type: ignore[index]
        torch.testing.assert_close(
            (x @ linear.weight.T).std(0, correction=0), torch.ones(8), rtol=1e-3, atol=1e-3
        )
        x = activation(linear(x))
    deviations = (x @ model.head.weight.T).std(0, correction=0)
    torch.testing.assert_close(deviations, torch.ones(2), rtol=1e-3, atol=1e-3)


def test_a_constant_input_does_not_divide_by_zero() -> None:
    model = RealMLP((4,), 2, **SMALL, columns=Columns((), as_features(torch.ones(30, 4))))
    assert all(bool(p.isfinite().all()) for p in model.parameters())


def _fold() -> FoldData:
    """Four numbers, a column of two categories, and one of many."""
    fold = classification(n_train=80, n_valid=20)
    generator = torch.Generator().manual_seed(1)

    def with_codes(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        many = torch.randint(2, 30, (len(y),), generator=generator)
        return torch.cat([x, torch.stack([2 + y // 2, many], dim=1).float()], dim=1)

    return replace(
        fold,
        x_train=with_codes(fold.x_train, fold.y_train),
        x_valid=with_codes(fold.x_valid, fold.y_valid),
        cat_cardinalities=(4, 30),
    )


def test_few_categories_are_scaled_features_and_many_are_vectors() -> None:
    fold = _fold()
    codes = as_features(fold.x_train).first(80).x[:, 4:].long()
    layer = ScaledCategories((4, 30), 5, codes)
    assert layer.n_features == 3 + 5
    features = layer(codes)
    assert features.shape == (80, 8)
    assert features[:, 0].tolist() == [0.0] * 80  # no cell is missing
    is_one = codes[:, 0] == 2
    share = is_one.float().mean().item()
    median = 1.0 if share > 0.5 else 0.0
    width = 1.0 if 0.25 < share < 0.75 else 0.5
    scaled = (is_one.float() - median) / width
    expected = scaled / (1 + scaled.square() / 9).sqrt()
    torch.testing.assert_close(features[:, 1], expected)
    assert torch.equal(features[:, 3:], layer.vectors[0](codes[:, 1]))
    unknown = layer(torch.tensor([[1, 1]]))[0, :3]
    center, factor = layer.get_buffer("center"), layer.get_buffer("factor")
    scaled = -center * factor
    torch.testing.assert_close(unknown, scaled / (1 + scaled.square() / 9).sqrt())
    assert embeds_categories(component("RealMLP"))


def test_rates_are_those_of_the_neural_tangent_parametrization_and_of_each_kind() -> None:
    config = trial(
        model=component("RealMLP", **SMALL, scale_lr=5.0, embedding_lr=0.2),
        optimizer=component("AdamW", lr=0.04, weight_decay=0.02),
        decay="weights",
    )
    training = FoldTraining(config, _fold(), CPU)
    names = {id(p): name for name, p in training.model.named_parameters()}
    modules = dict(training.model.named_modules())
    for group in training.optimizers[0].param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            module = modules[name.rpartition(".")[0]]
            lr, share = 0.04, 0.04 * 0.02  # the share of a weight that a step takes away
            if isinstance(module, nn.Linear) and name.endswith("weight"):
                lr /= math.sqrt(module.in_features)
            elif isinstance(module, nn.Linear):
                lr, share = 0.004, 0.0
            elif isinstance(module, ParametricActivation):
                lr, share = 0.004, 0.004 * 0.02
            elif isinstance(module, PeriodicDense):
                lr, share = 0.008, 0.008 * 0.02
            elif name == "front_scale.weight":
                lr, share = 0.2, 0.2 * 0.02
            assert group["lr"] == pytest.approx(lr), name
            assert group["lr"] * group["weight_decay"] == pytest.approx(share), name


def test_steps_are_those_of_weights_that_are_multiplied_in_the_forward_pass() -> None:
    """One linear layer, trained by Adam in both ways, as in lemma J.1 of Yang et al. (2022)."""
    config = trial(
        model=component("RealMLP", width=[8], num_embeddings=None, dropout=0.0, parametric=False),
        optimizer=component("AdamW", lr=0.04, weight_decay=0.1, eps=0.0),
    )
    training = FoldTraining(config, classification(), CPU)
    weight = training.model.get_submodule("hidden.0.0").weight
    assert isinstance(weight, torch.Tensor)
    root = math.sqrt(weight.shape[1])
    theirs = nn.Parameter(weight.detach() * root)  # multiplied by 1 / √n_in in the forward pass
    optimizer = torch.optim.AdamW([theirs], lr=0.04, weight_decay=0.1, eps=0.0)
    for group in training.groups():
        loss = training.step.loss_of(training.model(group[0].x), group[0])
        [gradient] = torch.autograd.grad(loss, [weight])
        theirs.grad = gradient / root
        optimizer.step()
        training.step(group)
        torch.testing.assert_close(weight, theirs / root, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", [SMALL, {**SMALL, "num_embeddings": None, "dropout": 0.0}])
def test_every_weight_learns_and_a_resumed_training_gives_the_same_bits(
    model: dict[str, Any],
) -> None:
    config = trial(
        model=component("RealMLP", **model),
        loss=component("CrossEntropyLoss", label_smoothing=0.1),
        schedule=component("CosLogLR"),
        fade_out=0.5,
        epochs=4,
    )
    whole, first, second = (FoldTraining(config, _fold(), CPU) for _ in range(3))
    start = [p.detach().clone() for p in whole.model.parameters()]
    expected = list(whole)
    assert not any(map(torch.equal, start, whole.model.parameters()))
    before = [next(first), next(first)]
    second.load_state_dict(first.state_dict())
    assert [*before, *second] == expected
    assert all(map(torch.equal, second.model.parameters(), whole.model.parameters()))


def test_it_learns_values() -> None:
    fold = regression(n_train=200, n_valid=50)
    config = trial(
        model=component("RealMLP", activation="Mish", width=32),
        loss="MSELoss",
        metric="r2",
        optimizer=component("AdamW", lr=0.05),
        epochs=15,
    )
    *_, last = FoldTraining(config, fold, CPU)
    assert last.score > 0.85


def test_its_folds_train_one_after_another() -> None:
    config = trial(model=component("RealMLP", **SMALL))
    folds = [FoldTraining(config, classification(number), CPU) for number in range(3)]
    assert possible_stack(config, folds) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_size": 1}, "num_size must be at least 2, but got 1"),
        ({"frequency_scale": 0.0}, "frequency_scale must be above 0, but got 0.0"),
        ({"n_frequencies": 0}, "n_frequencies must be at least 1"),
        ({"width": [4, 0]}, "width must be at least 1"),
        ({"embed": 0}, "embed must be at least 1"),
    ],
)
def test_wrong_sizes_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model(Component(name="RealMLP", arguments=arguments), (4,), 2)
