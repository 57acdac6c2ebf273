from __future__ import annotations

from typing import Any

import pytest
import torch
from sklearn.linear_model import Lasso
from torch import Tensor, nn
from training_cases import CPU, classification, component, regression, trial

from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.settings import Component
from tunecli.training.models.building import build_model
from tunecli.training.step.batches import Batch
from tunecli.training.step.gradient_step import GradientStep
from tunecli.training.step.losses import build_loss, n_outputs
from tunecli.training.step.optimizers import build_optimizers
from tunecli.training.step.precision import Precision

SGD = component("SGD", lr=1.0)
FOLD = classification(n_train=23)


class Case:
    """A model of a fixed start, and its step."""

    def __init__(
        self,
        optimizer: Component = SGD,
        loss: Component | None = None,
        fold: FoldData = FOLD,
        model: nn.Module | None = None,
        scaled: bool = False,
        **training: Any,
    ) -> None:
        loss = loss or component("CrossEntropyLoss")
        config = trial(loss=loss, optimizer=optimizer, **training)
        torch.manual_seed(3)
        self.model = model or build_model(config.model, fold.shape, n_outputs(loss, fold))
        self.start = [p.detach().clone() for p in self.model.parameters()]
        self.loss = build_loss(loss, fold)
        precision = Precision(config.training, CPU)
        if scaled:  # as it is with fp16, which needs CUDA
            precision.scaler = torch.amp.GradScaler("cpu")
        optimizers = build_optimizers(optimizer, self.model, "all")
        self.step = GradientStep(config, fold, self.model, self.loss, optimizers, precision)

    def moves(self, group: list[Batch]) -> list[Tensor]:
        """What one step subtracts from the weights; with SGD at rate 1, the gradient."""
        self.step(group)
        pairs = zip(self.start, self.model.parameters(), strict=True)
        return [before - after.detach() for before, after in pairs]


def _batches(fold: FoldData, *sizes: int) -> list[Batch]:
    n_rows = sum(sizes)
    x, y = fold.x_train[:n_rows], fold.y_train[:n_rows]
    return list(map(Batch, torch.split(x, list(sizes)), torch.split(y, list(sizes))))


@pytest.mark.parametrize("sizes", [(8, 8), (8, 8, 7), (8, 3), (1, 22)])
@pytest.mark.parametrize(
    "loss",
    [component("CrossEntropyLoss"), component("CrossEntropyLoss", weight="balanced")],
    ids=["plain", "balanced"],
)
def test_accumulated_gradient_is_that_of_the_big_batch(
    sizes: tuple[int, ...], loss: Component
) -> None:
    parts, whole = Case(loss=loss), Case(loss=loss)
    moves = zip(
        parts.moves(_batches(FOLD, *sizes)), whole.moves(_batches(FOLD, sum(sizes))), strict=True
    )
    for part, big in moves:
        torch.testing.assert_close(part, big, rtol=1e-4, atol=1e-6)
    assert parts.step.take_mean_loss() == pytest.approx(whole.step.take_mean_loss(), rel=1e-5)


@pytest.mark.parametrize("weight", [None, "balanced"])
def test_mean_loss_over_steps_is_that_over_all_rows(weight: str | None) -> None:
    loss = component("CrossEntropyLoss", weight=weight)
    case = Case(component("SGD", lr=0.0), loss)
    with torch.no_grad():
        expected = case.loss(case.model(FOLD.x_train), FOLD.y_train).item()
    for batch in _batches(FOLD, 8, 8, 7):
        case.step([batch])
    assert not case.step.is_empty
    assert case.step.take_mean_loss() == pytest.approx(expected, rel=1e-5)
    assert case.step.is_empty


def test_l1_pulls_weights_and_not_biases_and_stays_out_of_the_loss() -> None:
    group = _batches(FOLD, 23)
    plain, pulled = Case(), Case(l1=0.01)
    pairs = zip(plain.moves(group), pulled.moves(group), plain.start, strict=True)
    for without, with_l1, weight in pairs:
        pull = 0.01 * weight.sign() if weight.ndim >= 2 else torch.zeros_like(weight)
        torch.testing.assert_close(with_l1 - without, pull, rtol=1e-3, atol=1e-6)
    assert plain.step.take_mean_loss() == pulled.step.take_mean_loss()


def _norm(tensors: list[Tensor]) -> float:
    return torch.cat([tensor.flatten() for tensor in tensors]).norm().item()


def test_norm_of_the_whole_gradient_is_clipped() -> None:
    group = _batches(FOLD, 23)
    full, clipped = Case().moves(group), Case(clip_norm=0.1).moves(group)
    assert _norm(full) > 0.2
    assert _norm(clipped) == pytest.approx(0.1, rel=1e-3)
    for one, other in zip(full, clipped, strict=True):
        torch.testing.assert_close(one * (0.1 / _norm(full)), other, rtol=1e-3, atol=1e-6)
    for one, other in zip(full, Case(clip_norm=1e3).moves(group), strict=True):
        assert torch.equal(one, other)


def test_entries_of_the_gradient_are_clipped() -> None:
    group = _batches(FOLD, 23)
    for full, clipped in zip(Case().moves(group), Case(clip_value=0.01).moves(group), strict=True):
        torch.testing.assert_close(full.clamp(-0.01, 0.01), clipped, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("settings", [{}, {"clip_norm": 0.1}, {"clip_value": 0.01}, {"l1": 0.01}])
def test_a_scale_is_undone_before_anything_else(settings: dict[str, Any]) -> None:
    group = _batches(FOLD, 23)
    exact, scaled = Case(**settings).moves(group), Case(scaled=True, **settings).moves(group)
    for one, other in zip(exact, scaled, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert _norm(scaled) > 0


def test_bf16_is_near_fp32_and_not_equal() -> None:
    group = _batches(FOLD, 23)
    exact, half = Case().moves(group), Case(dtype="bf16").moves(group)
    for one, other in zip(exact, half, strict=True):
        torch.testing.assert_close(one, other, rtol=0.1, atol=2e-2)
    assert any(not torch.equal(one, other) for one, other in zip(exact, half, strict=True))


def test_loss_is_computed_in_float32_under_autocast() -> None:
    case = Case(dtype="bf16", optimizer=component("SGD", lr=0.0))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = case.model(FOLD.x_train)
    case.step(_batches(FOLD, 23))
    assert case.step.take_mean_loss() == case.loss(outputs.float(), FOLD.y_train).item()


class Witness(nn.Module):
    """Remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(50, 3)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return self.layer(x)  # type: ignore[no-any-return]


def test_noise_is_gaussian_of_the_given_deviation_and_new_each_step() -> None:
    x, y = torch.full((400, 50), 2.0), torch.zeros(400, dtype=torch.long)
    witness = Witness()
    case = Case(model=witness, input_noise=0.3)
    case.step([Batch(x, y)])
    case.step([Batch(x, y)])
    first, second = (seen - 2.0 for seen in witness.seen)
    assert first.mean().item() == pytest.approx(0.0, abs=0.01)
    assert first.std().item() == pytest.approx(0.3, abs=0.01)
    assert (first - second).std().item() == pytest.approx(0.3 * 2**0.5, abs=0.01)
    assert torch.equal(x, torch.full((400, 50), 2.0))


def test_lbfgs_minimizes_the_loss_with_its_penalty() -> None:
    fold = regression()
    l1 = 0.5
    case = Case(
        component("LBFGS", max_iter=200, line_search_fn="strong_wolfe"),
        component("MSELoss"),
        fold,
        model=build_model(component("Linear"), fold.shape, 1),
        l1=l1,
    )
    group = _batches(fold, 40)

    def penalized() -> float:
        with torch.no_grad():
            outputs = case.model(fold.x_train)
        weights = next(p for p in case.model.parameters() if p.ndim == 2)
        return case.loss(outputs, fold.y_train).item() + l1 * weights.abs().sum().item()

    start = case.loss(case.model(fold.x_train), fold.y_train).item()
    case.step(group)
    assert case.step.take_mean_loss() == pytest.approx(start)  # before the step, without L1
    x, y = fold.x_train.double().numpy(), fold.y_train.double().numpy()
    lasso = Lasso(alpha=l1 / 2, tol=1e-8).fit(x, y)  # of loss / 2
    residual = y - lasso.predict(x)
    best = float((residual**2).mean() + l1 * abs(lasso.coef_).sum())
    assert penalized() == pytest.approx(best, rel=0.01)
