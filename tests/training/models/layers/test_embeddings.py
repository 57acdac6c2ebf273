"""Embeddings of categories and numbers: what they look up, and that no validation row decides."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from training_cases import CPU, classification, component, trial

from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import as_features
from tunecli.training.fold import FoldTraining
from tunecli.training.models.building import build_model, embeds_categories
from tunecli.training.models.layers.embeddings import Columns, quantile_bins, spread_places

CARDINALITIES = (3, 7)


def _fold(n_train: int = 60) -> FoldData:
    """Four numbers, and two columns of codes behind them, the first of which decides."""
    fold = classification(n_train=n_train, n_valid=20)
    generator = torch.Generator().manual_seed(1)

    def with_codes(x: Tensor, y: Tensor) -> Tensor:
        other = torch.randint(7, (len(y),), generator=generator)
        return torch.cat([x, torch.stack([y, other], dim=1).float()], dim=1)

    return replace(
        fold,
        x_train=with_codes(fold.x_train, fold.y_train),
        x_valid=with_codes(fold.x_valid, fold.y_valid),
        cat_cardinalities=CARDINALITIES,
    )


FOLD = _fold()
COLUMNS = Columns.of(FOLD)
NUMBERS: list[dict[str, Any]] = [
    {},
    {"num_embeddings": "periodic", "num_size": 5, "n_frequencies": 4},
    {"num_embeddings": "piecewise_linear", "num_size": 5, "n_bins": 6},
]


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("name", ["MLP", "ResNet"])
def test_every_weight_learns(name: str, numbers: dict[str, Any]) -> None:
    model = build_model(component(name, embed=3, **numbers), (6,), 3, COLUMNS)
    outputs = model(as_features(FOLD.x_train).first(60).x)
    assert outputs.shape == (60, 3)
    outputs.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_a_category_is_a_row_of_its_table() -> None:
    model = build_model(component("MLP", embed=3), (6,), 3, COLUMNS)
    tables = [m.weight for m in model.modules() if isinstance(m, torch.nn.Embedding)]
    assert [tuple(table.shape) for table in tables] == [(3, 3), (7, 3)]
    row = torch.tensor([[0.1, 0.2, 0.3, 0.4, 2.0, 5.0]])
    embedded = model.get_submodule("embedding")(row)
    expected = torch.cat([row[0, :4], tables[0][2], tables[1][5]])
    torch.testing.assert_close(embedded[0], expected)


def test_numbers_alone_may_be_embedded_and_categories_alone() -> None:
    numbers = Columns((), as_features(torch.randn(30, 4)))
    model = build_model(component("MLP", num_embeddings="piecewise_linear"), (4,), 3, numbers)
    assert model(torch.randn(2, 4)).shape == (2, 3)
    codes = Columns(CARDINALITIES, as_features(torch.zeros(30, 2)))
    model = build_model(component("ResNet", embed=2), (2,), 3, codes)
    assert model(torch.zeros(2, 2)).shape == (2, 3)


def test_pixels_are_numbers_too() -> None:
    rows = Columns((), as_features(torch.rand(30, 1, 2, 3)))
    model = build_model(component("MLP", num_embeddings="piecewise_linear"), (1, 2, 3), 3, rows)
    assert model(torch.rand(5, 1, 2, 3)).shape == (5, 3)


@pytest.mark.parametrize("name", ["MLP", "ResNet"])
def test_a_model_says_whether_it_wants_codes(name: str) -> None:
    assert embeds_categories(component(name, embed=4))
    assert not embeds_categories(component(name))
    assert not embeds_categories(component(name, embed=None))
    assert not embeds_categories(component("Linear"))


@given(st.integers(2, 40), st.integers(1, 20), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_bins_hold_equally_many_rows(n_rows: int, n_bins: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n_rows, 3, generator=generator)
    x[:, 1] = 0.5
    x[:, 2] = x[:, 2].sign()
    spread, constant, _ = edges = quantile_bins(x, n_bins)
    for column, bounds in zip(x.T, edges, strict=True):
        assert (bounds.diff() > 0).all()
        assert bounds[0] == column.min()
        assert bounds[-1] >= column.max()
    assert constant.tolist() == [0.5, 1.5]
    if n_rows > 2 * n_bins:
        counts = torch.histogram(x[:, 0].contiguous(), spread).hist
        assert counts.max() - counts.min() <= 2


@pytest.mark.parametrize("numbers", NUMBERS)
def test_no_validation_row_decides_an_embedding(numbers: dict[str, Any]) -> None:
    """Other validation rows: the same weights, before training and after."""

    def weights(fold: FoldData) -> list[Tensor]:
        model = component("MLP", embed=3, **numbers)
        training = FoldTraining(trial(model=model, epochs=2), fold, CPU)
        begin = [value.clone() for value in training.model.state_dict().values()]
        list(training)
        return [*begin, *training.model.state_dict().values()]

    other = replace(FOLD, x_valid=FOLD.x_valid.flip(0) * torch.tensor([9.0] * 4 + [0.0] * 2))
    assert all(map(torch.equal, weights(FOLD), weights(other)))


@pytest.mark.parametrize("name", ["MLP", "ResNet"])
def test_a_decisive_category_is_learned(name: str) -> None:
    fold = _fold(n_train=200)
    model = component(name, embed=4, width=16)
    *_, last = FoldTraining(trial(model=model, epochs=15), fold, CPU)
    assert last.score > 0.9


def test_noise_leaves_codes_alone() -> None:
    """Enough noise on a code would look up what is not there."""
    model = component("MLP", embed=3)
    *_, last = FoldTraining(trial(model=model, input_noise=100.0), FOLD, CPU)
    assert last.score > 0


@pytest.mark.parametrize("numbers", NUMBERS)
def test_a_fold_goes_on_bit_for_bit(numbers: dict[str, Any]) -> None:
    config = trial(model=component("ResNet", embed=3, width=8, **numbers))
    whole, resumed = (FoldTraining(config, FOLD, CPU) for _ in range(2))
    next(whole)
    resumed.load_state_dict(copy.deepcopy(whole.state_dict()))
    assert list(whole) == list(resumed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"embed": 0}, "embed must be at least 1, but got 0"),
        ({"embed": 2, "num_embeddings": "periodic", "num_size": 0}, "num_size must be at least 1"),
        (
            {"embed": 2, "num_embeddings": "periodic", "frequency_scale": 0.0},
            "frequency_scale must be above 0",
        ),
        ({"embed": 2, "num_embeddings": "piecewise_linear", "n_bins": 0}, "n_bins must be at"),
    ],
)
@pytest.mark.parametrize("name", ["MLP", "ResNet"])
def test_wrong_arguments_are_refused(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model(component(name, **arguments), (6,), 3, COLUMNS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width must be at least 1"),
        ({"depth": 0}, "depth must be at least 1"),
        ({"hidden_factor": 0.0}, "width times hidden_factor must be at least 1"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"residual_dropout": -0.1}, "residual_dropout must be at least 0"),
    ],
)
def test_a_resnet_refuses_what_is_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model(component("ResNet", **arguments), (6,), 3)


def test_a_resnet_is_the_one_of_the_paper() -> None:
    """Section 3.2: Prediction(ResNetBlock(...(Linear(x)))), written out."""
    model = build_model(component("ResNet", width=4, depth=2, hidden_factor=1.5), (6,), 3).eval()
    blocks: Any = model.get_submodule("blocks")
    x = torch.randn(5, 6)
    h = blocks.input_projection(x)
    for block in blocks.blocks:
        assert block.linear1.out_features == 6
        h = h + block.linear2(block.linear1(block.normalization(h)).relu())
    expected = blocks.output.linear(blocks.output.normalization(h).relu())
    torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize("n_rows", [1, 2, 5, 8192, 20_640, 2**24 + 7, 10**9 + 1])
def test_spread_places_are_rows_from_first_to_last(n_rows: int) -> None:
    places = spread_places(n_rows, 8192).tolist()
    n = min(n_rows, 8192)
    assert places == [i * (n_rows - 1) // max(n - 1, 1) for i in range(n)]
    assert (places[0], places[-1], len({*places})) == (0, n_rows - 1, n)
