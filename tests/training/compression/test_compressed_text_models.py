"""Compression of models of tokens: embeddings, transposed layers, tied weights, adapters."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from auto_model_cases import ADAPTERS, classifier, language_model, some_ids
from checkpoint_cases import equal
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tunecli.errors import DataError
from tunecli.study_file.settings.settings import CompressionSettings
from tunecli.training.compression.codes import quantize
from tunecli.training.compression.compressible_layers import (
    channel_axis,
    make_plain,
    weight_of,
    weighted_layers,
)
from tunecli.training.compression.costs import share_of_zeros
from tunecli.training.compression.merging import can_be_merged, merge_adapter
from tunecli.training.compression.packing import (
    Packed,
    _pack_bits,
    _unpack_bits,
    plain_file,
    unpack,
)
from tunecli.training.compression.recipe import lose_channels, thin_out, write_down
from tunecli.training.models.auto_models import TransformersModel

MODELS: dict[str, Any] = {
    "BERT": lambda **more: classifier("bert", **more),
    "GPT-2": lambda **more: classifier("gpt2", **more),
    "language model": lambda **more: language_model("gpt2", **more),
}


def trained(model: TransformersModel) -> TransformersModel:
    """A model whose trainable weights, such as those of an adapter, are no longer zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


def compressed(model: TransformersModel, **steps: Any) -> tuple[TransformersModel, Packed]:
    settings, copied = CompressionSettings.model_validate(steps), copy.deepcopy(model)
    lose_channels(copied, settings, some_ids())
    thin_out(copied, settings)
    packed = write_down(copied, settings)
    return copied.eval(), Packed.from_bytes(packed.to_bytes())


@pytest.mark.parametrize(
    "steps",
    [
        {"quantize": "int8"},
        {"quantize": "int4"},
        {"prune": {"amount": 0.6}},
        {"prune": {"amount": 0.6}, "share": {"clusters": 16}},
    ],
    ids=str,
)
@pytest.mark.parametrize("adapter", [None, "LoRA"])
@pytest.mark.parametrize("name", MODELS)
def test_the_packed_model_is_the_compressed_one(
    name: str, adapter: str | None, steps: dict[str, Any]
) -> None:
    more = {"adapter": ADAPTERS[adapter]} if adapter else {}
    model, x = trained(MODELS[name](**more)), some_ids()
    small, packed = compressed(model, **steps)
    again = unpack(packed, MODELS[name](**more))
    assert torch.equal(again(x), small(x))
    assert not torch.equal(again(x), model(x))
    shares = {"int8": 0.4, "int4": 0.3}
    most = shares.get(steps.get("quantize", ""), 0.5)
    assert len(packed.smallest()) < most * len(plain_file(model.state_dict()))
    assert share_of_zeros(again) >= steps.get("prune", {}).get("amount", 0) - 0.02


@pytest.mark.parametrize("name", MODELS)
def test_every_matrix_and_embedding_is_compressed(name: str) -> None:
    model = MODELS[name]()
    listed = {id(weight_of(layer)) for layer in weighted_layers(model).values()}
    assert listed == {id(parameter) for parameter in model.parameters() if parameter.ndim == 2}


def test_other_models_keep_their_embeddings() -> None:
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    assert list(weighted_layers(model)) == ["1"]


@pytest.mark.parametrize(("bits", "most"), [("int8", 127), ("int4", 7)])
def test_each_output_channel_has_its_own_scale(bits: Any, most: int) -> None:
    model = MODELS["GPT-2"]()
    layers = weighted_layers(model)
    assert {channel_axis(layer) for layer in layers.values()} == {0, 1}
    before = {name: weight_of(layer).detach().clone() for name, layer in layers.items()}
    small, _ = compressed(model, quantize=bits)
    for name, layer in weighted_layers(small).items():
        weight, axis = before[name], channel_axis(layer)
        scale = weight.abs().amax(dim=1 - axis, keepdim=True) / most
        expected = (weight / scale).round() * scale
        torch.testing.assert_close(weight_of(layer).detach(), expected)


@given(st.integers(0, 1), st.sampled_from(["int8", "int4"]), st.integers(0, 2**32 - 1))
def test_quantizing_columns_is_quantizing_rows_of_the_transpose(
    axis: int, bits: Any, seed: int
) -> None:
    torch.manual_seed(seed)
    weight = torch.randn(4, 3)
    along = quantize(weight, bits, axis).dense()
    rows = quantize(weight.transpose(0, axis).contiguous(), bits).dense()
    assert torch.equal(along, rows.transpose(0, axis))
    error = (along - weight).abs().amax(dim=1 - axis)
    step = weight.abs().amax(dim=1 - axis) / (127 if bits == "int8" else 7)
    assert bool((error <= step / 2 * (1 + 1e-5)).all())


@given(st.sampled_from([1, 2, 4, 8]), st.lists(st.integers(0, 255), max_size=40))
def test_indices_are_packed_as_a_stream_of_bits(n_bits: int, values: list[int]) -> None:
    index = np.array(values, np.int64) % 2**n_bits
    bits = (index[:, None] >> np.arange(n_bits - 1, -1, -1)) & 1
    packed = _pack_bits(index, n_bits)
    assert np.array_equal(packed, np.packbits(bits.astype(np.uint8).reshape(-1)))
    assert np.array_equal(_unpack_bits(packed, n_bits, len(index)), index)


@pytest.mark.parametrize("name", MODELS)
def test_channels_of_attention_stay(name: str) -> None:
    pytest.importorskip("torch_pruning")
    settings = CompressionSettings.model_validate({"structured": {"amount": 0.3}})
    with pytest.raises(DataError, match=r"cannot remove channels of attention, .* or write prune"):
        lose_channels(MODELS[name](), settings, some_ids())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("amount", [0.1, 0.55, 0.9])
def test_the_given_share_of_all_matrices_and_embeddings_is_pruned(
    name: str, amount: float
) -> None:
    given = MODELS[name]()
    model, _ = compressed(given, prune={"amount": amount, "scope": "layer"})
    layers = weighted_layers(model)
    assert any(isinstance(layer, nn.Embedding) for layer in layers.values())
    for layer in layers.values():
        weight = weight_of(layer)
        assert int((weight == 0).sum()) >= round(amount * weight.numel())  # a row of padding, too
    kept = {name: p for name, p in model.named_parameters() if p.ndim < 2}
    before = dict(given.named_parameters())
    assert all(torch.equal(p, before[name]) for name, p in kept.items())


@pytest.mark.parametrize(("bits", "most"), [("int8", 255), ("int4", 15)])
@pytest.mark.parametrize("name", MODELS)
def test_no_matrix_of_a_transformer_has_more_values_per_channel_than_its_bits(
    name: str, bits: str, most: int
) -> None:
    model, packed = compressed(MODELS[name](), quantize=bits)
    coded = {entry.name for entry in packed.entries if entry.n_bits}
    assert {f"{layer}.weight" for layer in weighted_layers(model)} - coded == set()
    for layer in weighted_layers(model).values():
        channels = weight_of(layer).movedim(channel_axis(layer), 0)
        assert max(len(torch.unique(channel)) for channel in channels) <= most


def test_tied_weights_are_compressed_apart() -> None:
    model = MODELS["language model"]()
    network = model.library_network()
    assert network.lm_head.weight is network.transformer.wte.weight
    before = {name: value.clone() for name, value in model.state_dict().items()}
    make_plain(model)
    assert network.lm_head.weight is not network.transformer.wte.weight
    assert equal(dict(model.state_dict()), before)


@pytest.mark.parametrize("adapter", ["LoRA", "DoRA", "IA3"])
@pytest.mark.parametrize("name", MODELS)
def test_a_merged_model_computes_what_its_adapter_computed(name: str, adapter: str) -> None:
    chosen = ADAPTERS[adapter]
    model, x = trained(MODELS[name](adapter=chosen)), some_ids()
    expected: Tensor = model(x)
    without = trained(MODELS[name]())(x)
    assert not torch.allclose(without, expected, atol=1e-4)  # else it would show nothing
    merged, packed = compressed(model, merge=True)
    assert merged.adapter is None
    torch.testing.assert_close(merged(x), expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(unpack(packed, MODELS[name](adapter=chosen))(x), merged(x))
    n_weights = sum(p.numel() for p in MODELS[name]().parameters())
    tied = sum(p.numel() for p in merged.parameters()) - n_weights
    assert tied == (90 * 16 if name == "language model" else 0)
    assert not can_be_merged(merged)


def test_merging_and_quantizing_go_together() -> None:
    chosen = ADAPTERS["LoRA"]
    model, x = trained(MODELS["BERT"](adapter=chosen)), some_ids()
    small, packed = compressed(model, merge=True, quantize="int8")
    again = unpack(packed, MODELS["BERT"](adapter=chosen))
    assert torch.equal(again(x), small(x))
    torch.testing.assert_close(again(x), model(x), atol=0.01, rtol=0.05)


@pytest.mark.parametrize("adapter", [None, "PromptTuning"])
def test_only_a_change_of_weights_can_be_merged(adapter: str | None) -> None:
    model = MODELS["BERT"](**({"adapter": ADAPTERS[adapter]} if adapter else {}))
    with pytest.raises(
        DataError,
        match=r"^compression.merge: only an adapter that changes weights, such as LoraConfig",
    ):
        merge_adapter(model)
