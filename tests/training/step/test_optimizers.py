from __future__ import annotations

import inspect
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn
from training_cases import component

from tunecli.errors import TunecliError
from tunecli.study_file.catalogue import names
from tunecli.study_file.settings.settings import Component
from tunecli.training.models.building import build_model
from tunecli.training.step.optimizers import (
    build_optimizers,
    decay_groups,
    hidden_matrices,
    needs_closure,
)

OFFERED = names.names("optimizer")
START = [0.7, -0.4]


def gradients(w: Tensor) -> Tensor:
    """Of f(w) = (w₁² + 10 w₂²) / 2."""
    return w * torch.tensor([1.0, 10.0], dtype=w.dtype)


class Point(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(START))


def _walk(optimizer: Component, n_steps: int) -> Tensor:
    """Where the optimizer takes `START` on f."""
    point = Point()
    [built] = build_optimizers(optimizer, point, "all")
    for _ in range(n_steps):
        point.w.grad = gradients(point.w.detach())
        built.step()
    return point.w.detach()


def sgd(w: Tensor, t: int, s: dict[str, Tensor], lr: float) -> Tensor:
    return w - lr * gradients(w)


def momentum(w: Tensor, t: int, s: dict[str, Tensor], lr: float, momentum: float) -> Tensor:
    """Polyak 1964, with the rate outside of the velocity as in torch."""
    s["v"] = momentum * s.get("v", 0) + gradients(w)
    return w - lr * s["v"]


def nesterov(
    w: Tensor, t: int, s: dict[str, Tensor], lr: float, momentum: float, nesterov: bool
) -> Tensor:
    """Sutskever et al. 2013, in the form of Bengio et al. 2012 (eq. 7)."""
    g = gradients(w)
    s["v"] = momentum * s.get("v", 0) + g
    return w - lr * (g + momentum * s["v"])


def adagrad(w: Tensor, t: int, s: dict[str, Tensor], lr: float) -> Tensor:
    """Duchi et al. 2011."""
    g = gradients(w)
    s["sum"] = s.get("sum", 0) + g**2
    return w - lr * g / (s["sum"].sqrt() + 1e-10)


def rmsprop(w: Tensor, t: int, s: dict[str, Tensor], lr: float, alpha: float) -> Tensor:
    """Tieleman and Hinton 2012, lecture 6e."""
    g = gradients(w)
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g**2
    return w - lr * g / (s["v"].sqrt() + 1e-8)


def _adam_step(w: Tensor, g: Tensor, t: int, s: dict[str, Tensor], lr: float) -> Tensor:
    """Kingma and Ba 2015, algorithm 1."""
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g**2
    m, v = s["m"] / (1 - 0.9**t), s["v"] / (1 - 0.999**t)
    return w - lr * m / (v.sqrt() + 1e-8)


def adam(w: Tensor, t: int, s: dict[str, Tensor], lr: float, weight_decay: float) -> Tensor:
    return _adam_step(w, gradients(w) + weight_decay * w, t, s, lr)


def adamw(w: Tensor, t: int, s: dict[str, Tensor], lr: float, weight_decay: float) -> Tensor:
    """Loshchilov and Hutter 2019, algorithm 2: the decay does not pass through m and v."""
    return _adam_step(w, gradients(w), t, s, lr) - lr * weight_decay * w


@pytest.mark.parametrize(
    ("formula", "optimizer"),
    [
        (sgd, component("SGD", lr=0.05)),
        (momentum, component("SGD", lr=0.02, momentum=0.9)),
        (nesterov, component("SGD", lr=0.02, momentum=0.9, nesterov=True)),
        (adagrad, component("Adagrad", lr=0.1)),
        (rmsprop, component("RMSprop", lr=0.01, alpha=0.9)),
        (adam, component("Adam", lr=0.05, weight_decay=0.1)),
        (adamw, component("AdamW", lr=0.05, weight_decay=0.1)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_update_is_the_formula_of_the_paper(formula: Any, optimizer: Component) -> None:
    w, state = torch.tensor(START, dtype=torch.float64), {}
    for t in range(1, 13):
        w = formula(w, t, state, **optimizer.arguments)
    torch.testing.assert_close(_walk(optimizer, 12).double(), w, rtol=1e-5, atol=1e-6)


def _arguments(name: str) -> dict[str, Any]:
    return {} if name in ("Adadelta", "Adafactor") else {"lr": 0.01}


@pytest.mark.parametrize("name", OFFERED)
def test_every_optimizer_of_torch_steps_as_torchs_own(name: str) -> None:
    shape, arguments = (4,), _arguments(name)
    torch.manual_seed(0)
    model = build_model(component("MLP", width=6, depth=2), shape, 3)
    torch.manual_seed(0)
    other = build_model(component("MLP", width=6, depth=2), shape, 3)
    if name == "Muon":
        hidden = [p for p in other.parameters() if p.ndim == 2][:-1]
        rest = [p for p in other.parameters() if all(p is not matrix for matrix in hidden)]
        by_hand = [torch.optim.Muon(hidden, **arguments), torch.optim.AdamW(rest)]
    else:
        by_hand = [getattr(torch.optim, name)(other.parameters(), **arguments)]
    built = build_optimizers(component(name, **arguments), model, "all")
    x, y = torch.randn(9, 4), torch.randint(3, (9,))

    def step(network: nn.Module, optimizers: list[torch.optim.Optimizer]) -> None:
        def closure() -> Tensor:
            network.zero_grad()
            loss = nn.functional.cross_entropy(network(x), y)
            loss.backward()
            return loss

        closure()
        for optimizer in optimizers:
            optimizer.step(closure if needs_closure(optimizer) else None)

    for _ in range(4):
        step(model, built)
        step(other, by_hand)
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_fused_kernels_are_used_where_they_exist() -> None:
    for name in ("SGD", "Adam", "AdamW", "Adagrad"):
        [optimizer] = build_optimizers(component(name), Point(), "all")
        assert optimizer.defaults["fused"]
    for name in set(OFFERED) - {"Muon"}:
        [optimizer] = build_optimizers(component(name), Point(), "all")
        takes = "fused" in inspect.signature(type(optimizer)).parameters
        assert bool(optimizer.defaults.get("fused")) == takes


def test_only_lbfgs_needs_a_closure() -> None:
    model = build_model(component("MLP"), (4,), 3)
    built = {name: build_optimizers(component(name), model, "all")[0] for name in OFFERED}
    assert [name for name, optimizer in built.items() if needs_closure(optimizer)] == ["LBFGS"]


@pytest.mark.parametrize("decay", ["all", "weights"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("name", ["AdamW", "Muon", "LBFGS", "Rprop"])
def test_groups_partition_the_parameters(
    name: str, batch_norm: bool, decay: Literal["all", "weights"]
) -> None:
    model = build_model(component("MLP", batch_norm=batch_norm), (4,), 3)
    optimizers = build_optimizers(component(name), model, decay)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters())


def test_decay_of_weights_leaves_out_biases_and_norms() -> None:
    model = build_model(component("CNN", batch_norm=True), (1, 8, 8), 3)
    [optimizer] = build_optimizers(component("SGD", lr=0.1, weight_decay=0.3), model, "weights")
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.3 if parameter.ndim >= 2 else 0.0)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        factor = 1 - 0.1 * 0.3 if parameter.ndim >= 2 else 1.0
        torch.testing.assert_close(parameter, before[name] * factor)


def test_one_group_where_all_decays_or_all_are_alike() -> None:
    weights, biases = torch.ones(2, 2), torch.ones(2)
    assert decay_groups([weights, biases], "all") == [{"params": [weights, biases]}]
    assert decay_groups([weights], "weights") == [{"params": [weights]}]


def test_muon_trains_hidden_matrices_and_rest_the_others() -> None:
    model = build_model(component("MLP", width=8, depth=2, batch_norm=True), (4,), 3)
    rest = component("SGD", lr=0.5, momentum=0.9)
    muon, other = build_optimizers(component("Muon", lr=0.02, rest=rest), model, "all")
    assert isinstance(muon, torch.optim.Muon)
    assert [tuple(p.shape) for p in muon.param_groups[0]["params"]] == [(8, 4), (8, 8)]
    assert isinstance(other, torch.optim.SGD)
    assert other.defaults["momentum"] == 0.9
    head = list(model.parameters())[-2:]
    assert all(any(p is q for q in other.param_groups[0]["params"]) for p in head)


@pytest.mark.parametrize(
    "rest",
    [
        "SGD",
        {"SGD": {"lr": 0.1}},
        {"SGD": None},
        component("SGD", lr=0.1),
        component("SGD", lr=0.1).model_dump(),
    ],
)
def test_rest_may_be_written_in_every_form_of_a_component(rest: Any) -> None:
    model = build_model(component("MLP"), (4,), 3)
    _, other = build_optimizers(component("Muon", rest=rest), model, "all")
    assert isinstance(other, torch.optim.SGD)


def test_muon_leaves_embeddings_to_rest() -> None:
    model = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    assert [id(p) for p in hidden_matrices(model)] == [id(model[1].weight)]


def test_muon_without_hidden_matrices_is_an_error() -> None:
    model = build_model(component("Linear"), (4,), 3)
    with pytest.raises(TunecliError, match=r"this model has none\. Use another optimizer"):
        build_optimizers(component("Muon"), model, "all")
