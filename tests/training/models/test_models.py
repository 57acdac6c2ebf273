"""Models: shapes for all data they take, their structure, what they refuse, torchvision's."""

from __future__ import annotations

import copy
import io
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tunecli.errors import DataError
from tunecli.study_file.settings.settings import Component
from tunecli.training.models.building import build_model, model_needs
from tunecli.training.models.convolutional import CNN
from tunecli.training.models.dense import MLP, Linear

TABLE = (13,)
DIGIT = (1, 8, 8)


def _named(name: str, **arguments: Any) -> Component:
    return Component(name=name, arguments=arguments)


def _n_weights(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (name, shape)
        for name in ("Linear", "MLP", "CNN")
        for shape in (TABLE, DIGIT, (3, 9, 11))
        if len(shape) == 3 or model_needs(name).rows != "pictures"
    ],
)
@pytest.mark.parametrize("n_outputs", [1, 10])
def test_every_weight_learns_from_every_kind_of_row(
    name: str, shape: tuple[int, ...], n_outputs: int
) -> None:
    model = build_model(_named(name), shape, n_outputs)
    outputs = model(torch.randn(4, *shape))
    assert outputs.shape == (4, n_outputs)
    outputs.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@given(
    height=st.integers(8, 33),
    width=st.integers(8, 33),
    channels=st.integers(1, 4),
    depth=st.integers(1, 6),
    kernel=st.integers(1, 7),
    batch_norm=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_cnn_takes_any_picture_from_8_pixels_on(
    height: int, width: int, channels: int, depth: int, kernel: int, batch_norm: bool
) -> None:
    model = CNN((channels, height, width), 3, 2, depth, kernel, batch_norm=batch_norm)
    outputs = model(torch.randn(2, channels, height, width))
    assert outputs.shape == (2, 3)
    assert outputs.isfinite().all()


def test_cnn_doubles_channels_and_halves_pictures_down_to_less_than_4_pixels() -> None:
    model = CNN((1, 28, 28), 10, channels=4, depth=5)
    widths = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [4, 8, 16, 32, 64]
    assert model.blocks(torch.randn(2, 1, 28, 28)).shape == (2, 64, 3, 3)  # 28, 14, 7, 3


def test_cnn_is_the_same_written_out() -> None:
    torch.manual_seed(0)
    model = CNN(DIGIT, 5, channels=3, depth=2, activation="Tanh").eval()
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    x = expected = torch.randn(6, *DIGIT)
    for convolution, norm in zip(convolutions, norms, strict=True):
        expected = nn.functional.conv2d(expected, convolution.weight, padding=1)
        expected = torch.tanh(norm(expected))
        expected = nn.functional.max_pool2d(expected, 2)
    expected = model.head(expected.mean((2, 3)))
    torch.testing.assert_close(model(x), expected)


def test_linear_is_one_affine_map_of_the_flattened_row() -> None:
    model = Linear(DIGIT, 3)
    x = torch.randn(5, *DIGIT)
    expected = x.reshape(5, 64) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(x), expected)
    assert _n_weights(model) == 64 * 3 + 3


@given(st.lists(st.integers(1, 20), min_size=1, max_size=4), st.booleans())
@settings(max_examples=30, deadline=None)
def test_mlp_has_one_layer_for_each_width(widths: list[int], batch_norm: bool) -> None:
    model = MLP(TABLE, 3, width=widths, batch_norm=batch_norm)
    sizes = [13, *widths, 3]
    dense = sum(n_in * n_out + n_out for n_in, n_out in pairwise(sizes))
    # Batch norm has a scale and a shift, which stands in for the layer's bias.
    assert _n_weights(model) == dense + batch_norm * sum(widths)


def test_batch_norm_follows_layers_without_a_bias() -> None:
    for model in (MLP(TABLE, 3, batch_norm=True), CNN((1, 8, 8), 3, batch_norm=True)):
        layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        assert [layer.bias is not None for layer in layers] == [False, False, True]


def test_width_and_depth_are_short_for_a_list() -> None:
    torch.manual_seed(0)
    short = MLP(TABLE, 3, width=7, depth=3)
    torch.manual_seed(0)
    long = MLP(TABLE, 3, width=[7, 7, 7])
    x = torch.randn(4, 13)
    assert torch.equal(short(x), long(x))
    assert len(short.hidden) == 3


def test_residual_adds_a_layers_input_where_widths_agree() -> None:
    torch.manual_seed(0)
    plain = MLP(TABLE, 3, width=[6, 6, 5], residual=False)
    torch.manual_seed(0)
    residual = MLP(TABLE, 3, width=[6, 6, 5], residual=True)
    first, second, third = plain.hidden
    x = torch.randn(4, 13)
    h = first(x)  # 13 -> 6: no skip
    expected = plain.head(third(h + second(h)))  # 6 -> 6: skip; 6 -> 5: none
    torch.testing.assert_close(residual(x), expected)


@pytest.mark.parametrize("model", [MLP(TABLE, 3, dropout=0.5), CNN(DIGIT, 3, dropout=0.5)])
def test_dropout_drops_in_training_only(model: nn.Module) -> None:
    x = torch.randn(4, *(TABLE if isinstance(model, MLP) else DIGIT))
    assert not torch.equal(model.train()(x), model(x))
    assert torch.equal(model.eval()(x), model(x))


@pytest.mark.parametrize("name", ["Linear", "MLP", "CNN", "resnet18"])
def test_weights_follow_torchs_global_random_state(name: str) -> None:
    def weights(seed: int) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return list(build_model(_named(name), DIGIT, 10).parameters())

    pairs = zip(weights(1), weights(1), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    pairs = zip(weights(1), weights(2), strict=True)
    assert any(not torch.equal(a, b) for a, b in pairs)


def test_a_cnn_goes_on_from_its_saved_state_bit_for_bit() -> None:
    """Its weights lie channels last; saving and loading must keep the optimizer in step."""
    x, y = torch.randn(16, *DIGIT), torch.randint(0, 10, (16,))

    def steps(model: nn.Module, optimizer: torch.optim.Optimizer, n: int) -> None:
        for _ in range(n):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()

    model = CNN(DIGIT, 10)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    steps(model, optimizer, 3)
    file = io.BytesIO()
    torch.save([model.state_dict(), optimizer.state_dict()], file)
    steps(model, optimizer, 3)
    resumed = CNN(DIGIT, 10)
    resumed_optimizer = torch.optim.AdamW(resumed.parameters(), fused=True)
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    resumed.load_state_dict(weights)
    resumed_optimizer.load_state_dict(state)
    steps(resumed, resumed_optimizer, 3)
    pairs = zip(model.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert torch.equal(copy.deepcopy(model).eval()(x), model.eval()(x))


@pytest.mark.parametrize("name", ["CNN", "resnet18"])
def test_tables_are_refused_where_pictures_are_needed(name: str) -> None:
    with pytest.raises(DataError, match=rf"{name} takes pictures, .* has 13 features. Use MLP"):
        build_model(_named(name), TABLE, 3)


def test_pictures_below_8_pixels_are_refused() -> None:
    with pytest.raises(DataError, match="at least 8 × 8 pixels, but these have 9 × 7"):
        build_model(_named("CNN"), (1, 9, 7), 3)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (_named("MLP", width=0), "width must be at least 1, but got 0"),
        (_named("MLP", width=[8, 0]), "width must be at least 1, but got 0"),
        (_named("MLP", depth=0), "depth must be at least 1, but got 0"),
        (_named("MLP", dropout=1.0), "dropout must be at least 0 and below 1, but got 1.0"),
        (
            _named("MLP", activation="Relu"),
            "activation must be an activation of torch.nn .* 'Relu'",
        ),
        (_named("CNN", channels=0), "channels must be at least 1"),
        (_named("CNN", kernel=0), "kernel must be at least 1"),
        (_named("CNN", dropout=-0.1), "dropout must be at least 0"),
        (
            _named("fcn_resnet50"),
            "not a known model. Use Linear, MLP, ResNet, CNN or a classifier",
        ),
        (_named("resnet1"), "not a known model. Use Linear, MLP, ResNet, CNN or a classifier"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(model: Component, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model(model, DIGIT, 3)


def test_unknown_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="widht"):
        build_model(_named("MLP", widht=3), DIGIT, 3)


@pytest.mark.parametrize("name", ["ReLU", "GELU", "SiLU", "Tanh", "PReLU", "LeakyReLU", "ELU"])
def test_activations_by_torch_name(name: str) -> None:
    model = build_model(_named("MLP", activation=name, depth=3), TABLE, 2)
    assert sum(type(m).__name__ == name for m in model.modules()) == 3


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    "name", ["resnet18", "mobilenet_v3_small", "squeezenet1_1", "shufflenet_v2_x0_5"]
)
def test_torchvision_takes_any_channels_and_gives_all_outputs(name: str, channels: int) -> None:
    model = build_model(_named(name), (channels, 32, 32), 5)
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    assert first.in_channels == channels
    assert model(torch.randn(2, channels, 32, 32)).shape == (2, 5)


def test_a_replaced_convolution_keeps_its_settings_and_spread() -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    ours = build_model(_named("resnet18"), (1, 32, 32), 5).get_submodule("conv1")
    theirs = resnet18(num_classes=5).conv1
    assert isinstance(ours, nn.Conv2d)
    for setting in ("out_channels", "kernel_size", "stride", "padding", "dilation", "groups"):
        assert getattr(ours, setting) == getattr(theirs, setting)
    assert (ours.bias is None) == (theirs.bias is None)
    assert ours.weight.std().item() == pytest.approx(theirs.weight.std().item(), rel=0.1)


def test_torchvision_arguments_are_passed_through() -> None:
    model = build_model(_named("mobilenet_v3_small", dropout=0.37), (3, 32, 32), 5)
    assert any(isinstance(m, nn.Dropout) and m.p == 0.37 for m in model.modules())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side"),
    [("googlenet", 32), ("inception_v3", 75), ("vit_b_32", 64), ("maxvit_t", 224)],
)
def test_models_that_need_more_of_the_data_train(name: str, side: int) -> None:
    model = build_model(_named(name), (1, side, side), 3).train()
    outputs = model(torch.randn(2, 1, side, side))
    assert getattr(outputs, "logits", outputs).shape == (2, 3)


def test_torchvision_stays_out_until_it_is_needed() -> None:
    code = (
        "import sys, tunecli.training.models.building as models\n"
        "from tunecli.study_file.settings.settings import Component\n"
        "models.build_model(Component(name='CNN'), (1, 8, 8), 3)\n"
        "assert 'torchvision' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
