"""TabM: the network of its authors, one-hot categories, and the mean over its predictions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
import tabm
import torch
from rtdl_num_embeddings import PeriodicEmbeddings, PiecewiseLinearEmbeddings
from torch import nn
from training_cases import CPU, classification, component, regression, trial

from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import as_features
from tunecli.study_file.settings.settings import Component
from tunecli.training.fold import FoldTraining
from tunecli.training.models.building import build_model, embeds_categories
from tunecli.training.models.layers.embeddings import Columns, quantile_bins
from tunecli.training.models.tabm_model import TabM
from tunecli.training.outcome.output_meaning import OutputMeaning
from tunecli.training.stack.stackable_trials import possible_stack
from tunecli.training.step.batches import Batch
from tunecli.training.step.losses import build_loss, decode_outputs, n_outputs

X = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
ARCHS: tuple[Literal["tabm", "mini", "packed"], ...] = ("tabm", "mini", "packed")
SMALL: dict[str, Any] = {"k": 3, "d_block": 8}


def _embeddings(kind: str | None) -> nn.Module | None:
    if kind == "periodic":
        numbers = (4, 5)
        return PeriodicEmbeddings(*numbers, n_frequencies=6, frequency_init_scale=0.01, lite=False)
    if kind is None:
        return None
    bins = quantile_bins(X, 7)
    return PiecewiseLinearEmbeddings(bins, 5, activation=False, version="B")


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("kind", [None, "periodic", "piecewise_linear"])
def test_it_is_the_network_of_its_authors(arch: str, kind: str | None) -> None:
    torch.manual_seed(5)
    arch_type = arch if arch == "tabm" else f"tabm-{arch}"
    theirs = tabm.TabM.make(
        n_num_features=4, d_out=2, num_embeddings=_embeddings(kind), arch_type=arch_type, **SMALL
    )
    torch.manual_seed(5)
    numbers = {} if kind is None else {"num_embeddings": kind, "num_size": 5}
    ours = build_model(
        component("TabM", arch=arch, n_bins=7, n_frequencies=6, **numbers, **SMALL),
        (4,),
        2,
        Columns((), as_features(X)),
    )
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
    assert torch.equal(ours.eval()(X), theirs.eval()(X))


def test_categories_are_one_hot_and_an_unknown_one_is_zero() -> None:
    model = TabM((3,), 2, **SMALL, columns=Columns((3, 4)))
    rows = torch.tensor([[0.5, 2.0, 0.0], [0.5, 1.0, 1.0], [0.5, 0.0, 3.0]])
    expected = [[0.5, 0, 1, 1, 0, 0], [0.5, 0, 0, 0, 0, 0], [0.5, 1, 0, 0, 0, 1]]
    assert model.embedding(rows).tolist() == expected
    assert embeds_categories(component("TabM"))


def test_one_sign_scales_all_features_of_a_category() -> None:
    torch.manual_seed(0)
    model = TabM((2,), 2, k=16, d_block=4, columns=Columns((6, 5)))
    signs = next(p for name, p in model.named_parameters() if name.endswith("r"))
    of_first, of_second = signs.split([5, 4], dim=1)
    assert torch.equal(of_first, of_first[:, :1].expand(-1, 5))
    assert torch.equal(of_second, of_second[:, :1].expand(-1, 4))
    assert not torch.equal(of_first[:, 0], of_second[:, 0])


LOSSES = [
    ("CrossEntropyLoss", {"weight": "balanced", "label_smoothing": 0.1}, "classification"),
    ("NLLLoss", {}, "classification"),
    ("BCEWithLogitsLoss", {"weight": "balanced"}, "classification"),
    ("MultiMarginLoss", {}, "classification"),
    ("MSELoss", {}, "regression"),
    ("HuberLoss", {}, "regression"),
    ("GaussianNLLLoss", {}, "regression"),
]


@pytest.mark.parametrize(("name", "arguments", "task"), LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
def test_the_loss_is_the_mean_over_the_predictions(
    name: str, arguments: dict[str, Any], task: str, weighted: bool, mixed: bool
) -> None:
    fold = classification() if task == "classification" else regression()
    weights = torch.rand(len(fold.y_train)) + 0.1
    fold = replace(fold, train_weights=weights if weighted else None)
    loss = component(name, **arguments)
    training = FoldTraining(trial(loss=loss, model=component("TabM", **SMALL)), fold, CPU)
    outputs = torch.randn(10, 3, n_outputs(loss, fold))
    own = weights[:10] if weighted else None
    batch = Batch(fold.x_train[:10], fold.y_train[:10], weights=own)
    if mixed:
        others = weights[10:20] if weighted else None
        batch = batch._replace(other=fold.y_train[10:20], share=0.3, other_weights=others)
    of_members = [training.step.loss_of(outputs[:, i], batch) for i in range(3)]
    torch.testing.assert_close(
        training.step.loss_of(outputs, batch), torch.stack(of_members).mean()
    )


@pytest.mark.parametrize(
    "meaning",
    [
        OutputMeaning("softmax"),
        OutputMeaning("sigmoid"),
        OutputMeaning("value", 1e9, 3.0),
        OutputMeaning("log_rate", 0.5),
    ],
)
@pytest.mark.parametrize("n_outputs", [1, 4])
def test_predictions_are_the_mean_over_members(meaning: OutputMeaning, n_outputs: int) -> None:
    outputs = torch.randn(6, 3, n_outputs)
    of_members = [decode_outputs(meaning, outputs[:, i]) for i in range(3)]
    expected = torch.stack(list(map(torch.from_numpy, of_members))).double().mean(0)
    found = torch.from_numpy(decode_outputs(meaning, outputs)).double()
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


def _trained(fold: FoldData, model: Component, **settings: Any) -> FoldTraining:
    training = FoldTraining(trial(model=model, epochs=3, **settings), fold, CPU)
    list(training)
    return training


@pytest.mark.parametrize("arch", ARCHS)
def test_every_weight_learns_and_the_score_is_of_the_mean(arch: str) -> None:
    fold = classification(n_train=60, n_valid=20)
    training = FoldTraining(trial(model=component("TabM", arch=arch, **SMALL)), fold, CPU)
    start = [p.detach().clone() for p in training.model.parameters()]
    evaluation = next(training)
    assert not any(map(torch.equal, start, training.model.parameters()))
    training.keep()
    with torch.no_grad():
        outputs = training.best_model()(fold.x_valid)
    assert outputs.shape == (20, 3, 3)
    probabilities = outputs.double().softmax(2).mean(1)
    hits = probabilities.argmax(1) == fold.y_valid
    assert evaluation.score == pytest.approx(hits.double().mean().item())


def test_a_resumed_training_gives_the_same_bits() -> None:
    config = trial(model=component("TabM", **SMALL), epochs=4, ema=0.9)
    fold = classification()
    whole, first, second = (FoldTraining(config, fold, CPU) for _ in range(3))
    expected = list(whole)
    before = [next(first), next(first)]
    second.load_state_dict(first.state_dict())
    assert [*before, *second] == expected
    assert all(map(torch.equal, second.model.parameters(), whole.model.parameters()))


def test_its_folds_train_one_after_another() -> None:
    config = trial(model=component("TabM", **SMALL))
    folds = [FoldTraining(config, classification(number), CPU) for number in range(3)]
    assert possible_stack(config, folds) is None


def test_wrong_sizes_are_refused() -> None:
    for arguments, message in (
        ({"k": 0}, "k must be at least 1, but got 0"),
        ({"n_blocks": 0}, "n_blocks must be at least 1"),
        ({"d_block": 0}, "d_block must be at least 1"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
    ):
        with pytest.raises(ValueError, match=message):
            build_model(component("TabM", **arguments), (4,), 2)


def test_a_loss_of_ones_own_gets_each_row_once_per_prediction() -> None:
    fold = regression()
    loss = build_loss(component("MSELoss"), fold)
    training = FoldTraining(
        trial(loss=component("MSELoss"), model=component("TabM", **SMALL)), fold, CPU
    )
    outputs = torch.randn(4, 3, 1)
    batch = Batch(fold.x_train[:4], fold.y_train[:4])
    expected = loss(outputs.flatten(0, 1), fold.y_train[:4].repeat_interleave(3))
    assert torch.equal(training.step.loss_of(outputs, batch), expected)
