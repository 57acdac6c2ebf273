"""Pretrained weights, from files that stand where torchvision looks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from picture_cases import pictures
from pretrained_cases import offline, put_weights
from torch import nn
from training_cases import component, trial

from tunecli.errors import TunecliError
from tunecli.training.models.blocks import head_layers
from tunecli.training.models.building import build_model
from tunecli.training.models.torchvision_models import for_channels
from tunecli.training.rehearsal import build_error


def _named(name: str, channels: int = 3, side: int = 64, **arguments: Any) -> nn.Module:
    return build_model(component(name, **arguments), (channels, side, side), 5)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return offline(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5"])
def test_all_but_the_outputs_are_those_of_the_file(hub: Path, name: str) -> None:
    saved = put_weights(hub, name)
    model = _named(name, weights="DEFAULT")
    [outputs] = head_layers(model)
    for key, value in model.state_dict().items():
        if key.startswith(f"{outputs}."):
            assert len(value) == 5
        else:
            assert torch.equal(value, saved[key]), key
    assert model.eval()(torch.randn(2, 3, 64, 64)).shape == (2, 5)


def test_grey_pictures_give_the_same_in_any_number_of_channels(hub: Path) -> None:
    put_weights(hub, "squeezenet1_1")
    grey = torch.randn(2, 1, 64, 64)
    outputs = []
    for channels in (1, 3, 4):
        torch.manual_seed(0)
        model = _named("squeezenet1_1", channels, weights="DEFAULT").eval()
        features = model.get_submodule("features")
        outputs.append(features(grey.expand(-1, channels, -1, -1)))
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(outputs[2], outputs[1], rtol=1e-3, atol=1e-4)


def test_a_weight_for_the_same_channels_stays() -> None:
    weight = torch.randn(4, 3, 2, 2)
    assert for_channels(weight, 3) is weight
    torch.testing.assert_close(for_channels(weight, 2).sum(1), weight.sum(1))


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_auxiliary_heads_and_input_transforms_follow(hub: Path, channels: int) -> None:
    saved = put_weights(hub, "googlenet", init_weights=False)
    model = _named("googlenet", channels, weights="DEFAULT")
    assert model.transform_input == (channels == 3)  # it is written for three channels
    assert torch.equal(model.state_dict()["inception5b.branch1.conv.weight"],
                       saved["inception5b.branch1.conv.weight"])  # fmt: skip
    assert [o.shape for o in model.train()(torch.randn(2, channels, 64, 64))] == [(2, 5)] * 3


@pytest.mark.slow
def test_a_vision_transformer_spreads_its_positions_over_other_sizes(hub: Path) -> None:
    saved = put_weights(hub, "vit_b_32")
    model = _named("vit_b_32", side=96, weights="DEFAULT")
    positions = model.state_dict()["encoder.pos_embedding"]
    assert positions.shape == (1, 1 + 3 * 3, 768)
    assert torch.equal(positions[:, 0], saved["encoder.pos_embedding"][:, 0])
    layer = "encoder.layers.encoder_layer_0.mlp.0.weight"
    assert torch.equal(model.state_dict()[layer], saved[layer])
    assert model(torch.randn(1, 3, 96, 96)).shape == (1, 5)


def test_what_cannot_be_fetched_is_one_sentence_with_the_way_out(hub: Path) -> None:
    with pytest.raises(TunecliError) as caught:
        _named("squeezenet1_1", weights="DEFAULT")
    text = str(caught.value)
    assert text.startswith(
        "the weights DEFAULT of squeezenet1_1 could not be downloaded from https:"
    )
    assert f"Put the file squeezenet1_1-b8a52dc0.pth into {hub}" in text
    assert text.endswith("or write `weights: none`.")
    config = trial(model=component("squeezenet1_1", weights="DEFAULT"))
    error = build_error(config, [pictures()])
    assert error == f"model.squeezenet1_1: {text}"


def test_a_file_that_is_no_weights_is_told(hub: Path) -> None:
    (hub / "squeezenet1_1-b8a52dc0.pth").write_bytes(b"<html>not found</html>")
    with pytest.raises(TunecliError, match=r"could not be downloaded from .* Put the file"):
        _named("squeezenet1_1", weights="DEFAULT")


def test_unknown_weights_are_told_with_the_known_ones(hub: Path) -> None:
    with pytest.raises(
        ValueError, match=r"must be one of IMAGENET1K_V1, DEFAULT, but got 'imagenet'"
    ):
        _named("squeezenet1_1", weights="imagenet")


def test_arguments_that_change_layers_do_not_go_with_weights(hub: Path) -> None:
    put_weights(hub, "mobilenet_v2")
    with pytest.raises(ValueError, match=r"does not fit mobilenet_v2 with these arguments"):
        _named("mobilenet_v2", weights="DEFAULT", width_mult=0.5)
