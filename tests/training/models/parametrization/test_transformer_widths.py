"""The factors of transformers, against a small GPT with the multipliers of table 8 written out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from text_cases import NUMBERS_AND_TEXT, ONLY_TEXT, VOCAB_SIZE, beside
from torch import Tensor
from torch.nn.functional import cross_entropy, gelu, layer_norm, linear
from training_cases import component

from tunecli.study_file.settings.settings import Component
from tunecli.training.models.building import build_model
from tunecli.training.models.layers.embeddings import Columns
from tunecli.training.models.parametrization.width_factors import WidthScaled, width_rates
from tunecli.training.step.optimizers import build_optimizers

BASE, HEADS, LENGTH = 16, 2, 9
SMALL: dict[str, tuple[dict[str, Any], Columns]] = {
    "TransformerEncoder": ({"nhead": HEADS, "dropout": 0.0}, ONLY_TEXT),
    "TransformerEncoder beside numbers": ({"nhead": HEADS, "dropout": 0.0}, NUMBERS_AND_TEXT),
    "TransformerEncoder, cls": ({"nhead": HEADS, "dropout": 0.0, "pooling": "cls"}, ONLY_TEXT),
    "TransformerDecoder": ({"nhead": HEADS, "num_layers": 2}, ONLY_TEXT),
    "AutoModelForCausalLM": ({"config": "gpt2", "n_head": HEADS, "n_layer": 2}, ONLY_TEXT),
    "AutoModelForCausalLM, untied": (
        {"config": "gpt2", "n_head": HEADS, "n_layer": 2, "tie_word_embeddings": False},
        ONLY_TEXT,
    ),
}


def build(case: str, width: int, parametrization: str = "mup") -> WidthScaled:
    """A small transformer, with the same random numbers in each call."""
    arguments, columns = SMALL[case]
    name = case.split(",")[0].split()[0]
    size: dict[str, Any] = {"d_model": width}
    if name == "AutoModelForCausalLM":
        size = {"n_embd": width, "dropout": 0.0, "attention_dropout": 0.0}
    if name == "TransformerEncoder":
        size["dim_feedforward"] = 2 * width
    torch.manual_seed(0)
    given = {**arguments, **size, "parametrization": parametrization, "base_width": BASE}
    assert columns.tokens is not None
    n_outputs = 3 if name == "TransformerEncoder" else VOCAB_SIZE
    shape = (columns.tokens.n_features + LENGTH,)
    model = build_model(component(name, **given), shape, n_outputs, columns)
    assert isinstance(model, WidthScaled)
    return model


@pytest.mark.parametrize("case", SMALL)
def test_at_the_base_width_nothing_changes(case: str) -> None:
    ours, usual = build(case, BASE), build(case, BASE, "standard")
    for one, other in zip(ours.parameters(), usual.parameters(), strict=True):
        assert torch.equal(one, other)
    for name in ("AdamW", "SGD"):
        assert width_rates(component(name), ours) == {}


def table_8(name: str, m: float) -> tuple[float, float, float]:
    """Factors on the initial values, and on the rates of Adam and SGD."""
    is_between = name.endswith("weight") and any(
        layer in name for layer in ("in_proj", "out_proj", "linear1", "linear2")
    )
    if is_between:
        return 1 / math.sqrt(m), 1 / m, 1.0
    drawn_by_fan_in = name.endswith(("linear1.bias", "linear2.bias"))
    return (math.sqrt(m) if drawn_by_fan_in else 1.0), 1.0, m


def gpt(weights: Mapping[str, Tensor], ids: Tensor, n_layers: int, m: float) -> Tensor:
    """A decoder with attention divided by the size of a head, and an output divided by width.

    Both in multiples of the base network.
    """
    x = weights["tokens.weight"][ids] + weights["positions.weight"][: ids.shape[1]]
    d = x.shape[2]
    later = torch.ones(ids.shape[1], ids.shape[1]).triu(1).bool()
    for i in range(n_layers):
        own = {
            name.removeprefix(f"layers.layers.{i}."): weight
            for name, weight in weights.items()
            if name.startswith(f"layers.layers.{i}.")
        }
        h = layer_norm(x, (d,), own["norm1.weight"], own["norm1.bias"])
        h = linear(h, own["self_attn.in_proj_weight"], own["self_attn.in_proj_bias"])
        q, k, v = (
            part.unflatten(2, (HEADS, d // HEADS)).transpose(1, 2) for part in h.chunk(3, dim=2)
        )
        size, base_size = d // HEADS, BASE // HEADS
        scores = q @ k.transpose(2, 3) * math.sqrt(base_size) / size
        attended = scores.masked_fill(later, -math.inf).softmax(3) @ v
        joined = attended.transpose(1, 2).flatten(2)
        x = x + linear(joined, own["self_attn.out_proj.weight"], own["self_attn.out_proj.bias"])
        h = layer_norm(x, (d,), own["norm2.weight"], own["norm2.bias"])
        h = gelu(linear(h, own["linear1.weight"], own["linear1.bias"]))
        x = x + linear(h, own["linear2.weight"], own["linear2.bias"])
    x = layer_norm(x, (d,), weights["layers.norm.weight"], weights["layers.norm.bias"])
    return linear(x, weights["tokens.weight"]) / m


def walk(
    forward: Callable[[Tensor], Tensor], optimizer: torch.optim.Optimizer, ids: Tensor
) -> list[Tensor]:
    """The outputs before each of three steps, and after the last."""
    outputs = [forward(ids)]
    for _ in range(3):
        optimizer.zero_grad()
        cross_entropy(outputs[-1][:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
        optimizer.step()
        outputs.append(forward(ids))
    return [one.detach() for one in outputs]


@pytest.mark.parametrize(
    "optimizer",
    [
        Component(name="AdamW", arguments={"lr": 0.01, "weight_decay": 0.1, "eps": 1e-30}),
        Component(name="SGD", arguments={"lr": 0.1, "weight_decay": 0.01, "momentum": 0.9}),
    ],
)
def test_a_decoder_trains_as_one_with_the_multipliers_of_table_8(optimizer: Component) -> None:
    width, m = 64, 64 / BASE
    model = build("TransformerDecoder", width).double()
    usual = build("TransformerDecoder", width, "standard").double()
    weights: dict[str, Tensor] = {}
    groups = []
    lr, decay = optimizer.arguments["lr"], optimizer.arguments["weight_decay"]
    for name, weight in usual.named_parameters():
        start, adam, sgd = table_8(name, m)
        weights[name] = (weight.detach() * start).requires_grad_()
        rate = sgd if optimizer.name == "SGD" else adam
        groups.append({"params": [weights[name]], "lr": lr * rate, "weight_decay": decay / rate})
    kind = getattr(torch.optim, optimizer.name)
    kept = {k: v for k, v in optimizer.arguments.items() if k not in ("lr", "weight_decay")}
    [built] = build_optimizers(optimizer, model, "all")
    torch.manual_seed(1)
    ids = torch.randint(VOCAB_SIZE, (8, LENGTH))
    ours = walk(model, built, ids)
    theirs = walk(lambda ids: gpt(weights, ids, 2, m), kind(groups, **kept), ids)
    assert (ours[-1] - ours[0]).std() > 0.05
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_gpt_2_has_the_factors_of_the_decoder_with_the_same_layers() -> None:
    names = {
        "transformer.wte.weight": "tokens.weight",
        "transformer.wpe.weight": "positions.weight",
        "transformer.ln_f.weight": "layers.norm.weight",
        "transformer.ln_f.bias": "layers.norm.bias",
    }
    ours, theirs = build("AutoModelForCausalLM", 64), build("TransformerDecoder", 64)
    for i in (0, 1):
        for one, other in {
            "ln_1.weight": "norm1.weight",
            "ln_1.bias": "norm1.bias",
            "attn.c_attn.weight": "self_attn.in_proj_weight",
            "attn.c_attn.bias": "self_attn.in_proj_bias",
            "attn.c_proj.weight": "self_attn.out_proj.weight",
            "attn.c_proj.bias": "self_attn.out_proj.bias",
            "ln_2.weight": "norm2.weight",
            "ln_2.bias": "norm2.bias",
            "mlp.c_fc.weight": "linear1.weight",
            "mlp.c_proj.weight": "linear2.weight",
        }.items():
            names[f"transformer.h.{i}.{one}"] = f"layers.layers.{i}.{other}"
    for one, other in names.items():
        assert ours.width_factors[f"network.{one}"] == theirs.width_factors[other], one
    further = {name for name, _ in ours.named_parameters()} - {f"network.{n}" for n in names}
    assert {name.split(".", 4)[-1] for name in further} == {"mlp.c_fc.bias", "mlp.c_proj.bias"}
    for name in further:  # they start at 0
        assert ours.width_factors[name][1:] == (1.0, 4.0)


@pytest.mark.parametrize(
    ("case", "name"),
    [
        *((case, "AdamW") for case in SMALL),
        ("TransformerEncoder", "SGD"),
        ("TransformerDecoder", "SGD"),
    ],
)
def test_outputs_move_no_further_in_a_wide_network(case: str, name: str) -> None:
    """The coordinate check of the paper, appendix D.1."""
    narrow = _change(case, 16, "standard", name)  # that of mup too: it is the base width
    wide, usual = _change(case, 128, "mup", name), _change(case, 128, "standard", name)
    assert wide < 1.5 * narrow
    assert usual > 1.5 * wide


def _change(case: str, width: int, parametrization: str, name: str) -> float:
    """How far three steps move the outputs, on average."""
    model = build(case, width, parametrization)
    optimizer = component(name, lr=0.002 if name == "AdamW" else 0.02)
    [built] = build_optimizers(optimizer, model, "all")
    torch.manual_seed(1)
    ids = torch.randint(1, VOCAB_SIZE, (32, LENGTH))
    x = beside(torch.randn(32, 3), ids) if "numbers" in case else ids
    is_decoder = "Encoder" not in case
    y = ids.roll(-1, 1).flatten() if is_decoder else torch.randint(3, (32,))
    first = model(x).detach()
    for _ in range(3):
        built.zero_grad()
        cross_entropy(model(x).flatten(0, -2), y).backward()
        built.step()
    return (model(x) - first).detach().std().item()


def test_a_head_beside_numbers_has_no_single_rate_for_sgd() -> None:
    model = build("TransformerEncoder beside numbers", 32)
    with pytest.raises(ValueError, match="a head on text and other columns"):
        width_rates(component("SGD"), model)
    assert width_rates(component("AdamW"), model)[model.get_parameter("head.weight")] == 1
