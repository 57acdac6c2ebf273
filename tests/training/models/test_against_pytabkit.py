"""RealMLP beside the code of its authors (pytabkit), where that is installed."""

from __future__ import annotations

import importlib.util
import math
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tunecli.data.preprocessing.scaling import FittedScale
from tunecli.data.rows.features import as_features
from tunecli.study_file.settings.settings import Component
from tunecli.training.models.layers.embeddings import Columns
from tunecli.training.models.real_mlp import RealMLP
from tunecli.training.step.fade_out import FadeOut
from tunecli.training.step.log_cosine import CosLogLR

if importlib.util.find_spec("pytabkit") is None:
    pytest.skip("pytabkit is not installed", allow_module_level=True)

FEW, MANY = 5, 30
"""Codes of two columns in pytabkit, where 0 is a missing cell and none is unknown."""


@contextmanager
def _networks_alone() -> Iterator[None]:
    """Let pytabkit's networks be imported without the rest of it, which needs Lightning."""
    spec = importlib.util.find_spec("pytabkit")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    before = set(sys.modules)
    [folder, *_] = spec.submodule_search_locations
    for name, path in (("pytabkit", folder), ("pytabkit.models", f"{folder}/models")):
        package = types.ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in {n for n in sys.modules if n.startswith("pytabkit")} - before:
            del sys.modules[name]


@dataclass
class Theirs:
    """Rows, a network of pytabkit that was fitted to them, and its outputs for them."""

    numbers: Tensor
    codes: Tensor
    network: nn.Module
    outputs: Tensor
    schedules: dict[str, Any]


@pytest.fixture(scope="module")
def theirs() -> Iterator[Theirs]:
    with _networks_alone():
        from pytabkit.models.data.data import DictDataset, TensorInfo
        from pytabkit.models.nn_models.models import NNFactory
        from pytabkit.models.training.scheduling import get_schedule

        torch.manual_seed(0)
        n = 300
        numbers = torch.randn(n, 4) * torch.tensor([1.0, 5.0, 100.0, 0.0]) + 2
        numbers[:, 1] = numbers[:, 1].clamp(max=-1)  # its quartiles are equal
        shares = torch.tensor([0.0, 0.5, 0.3, 0.19, 0.01])
        few = torch.multinomial(shares, n, replacement=True)
        codes = torch.stack([few, torch.randint(1, MANY, (n,))], dim=1)
        rows = {"x_cont": numbers, "x_cat": codes, "y": torch.randint(0, 2, (n, 1))}
        infos = {
            "x_cont": TensorInfo(feat_shape=[4]),
            "x_cat": TensorInfo(cat_sizes=[FEW, MANY]),
            "y": TensorInfo(cat_sizes=[2]),
        }
        # RealMLP-TD for classification, without dropout and label smoothing.
        factory = NNFactory(
            hidden_sizes=[16] * 3,
            max_one_hot_cat_size=9,
            embedding_size=8,
            weight_param="ntk",
            bias_lr_factor=0.1,
            act="selu",
            use_parametric_act=True,
            act_lr_factor=0.1,
            block_str="w-b-a",
            add_front_scale=True,
            scale_lr_factor=6.0,
            bias_init_mode="he+5",
            weight_init_mode="std",
            num_emb_type="pbld",
            plr_sigma=0.1,
            plr_hidden_1=16,
            plr_hidden_2=4,
            plr_lr_factor=0.1,
            tfms=["one_hot", "median_center", "robust_scale", "smooth_clip", "embedding"],
        )
        dataset = DictDataset(rows, infos)
        with torch.no_grad():
            network, out = factory.create(infos).fit_transform(dataset)
        named = {name: get_schedule(name) for name in ("coslog4", "flat_cos")}
        yield Theirs(numbers, codes, network, out.tensors["x_cont"], named)


def _ours(theirs: Theirs) -> tuple[RealMLP, Tensor]:
    """RealMLP and its rows, scaled by `smooth_clip`."""
    scale = FittedScale.fit(Component(name="smooth_clip"), theirs.numbers.numpy(), seed=0)
    codes = torch.where(theirs.codes > 0, theirs.codes + 1, 0)  # 1 is an unknown category
    rows = torch.cat([scale(theirs.numbers), codes.float()], dim=1)
    columns = Columns((FEW + 1, MANY + 1), as_features(rows))
    model = RealMLP((6,), 2, width=16, dropout=0.0, columns=columns)
    return model, rows


N_NUMBERS = 4 * 4
"""Features of the numbers; a column of zeros for missing cells follows them in ours alone."""


def _with_missing(values: Tensor) -> Tensor:
    """Add a zero for the feature that pytabkit lacks, to (…, n_features)."""
    first, rest = values[..., :N_NUMBERS], values[..., N_NUMBERS:]
    return torch.cat([first, torch.zeros_like(values[..., :1]), rest], dim=-1)


def _pairs(model: RealMLP, network: nn.Module) -> Iterator[tuple[str, nn.Parameter, Any]]:
    """Our parameters, and theirs by the scope in which pytabkit made them."""
    found = {str(p.context.scope): p for p in network.parameters()}  # type: ignore[attr-defined]
    embedding = {"frequencies": "weight_1", "phases": "bias_1", "weight": "weight_2"}
    for name, one in {**embedding, "bias": "bias_2"}.items():
        yield f"numbers.{name}", model.get_parameter(f"numbers.{name}"), found[f"/plr/{one}"]
    vectors = model.get_parameter("categories.vectors.0.weight")
    yield "categories.vectors.0.weight", vectors, found["/tfms/emb"]
    scale = model.get_parameter("front_scale.weight")
    yield "front_scale.weight", scale, found["/net/first_layer/layer-0/scale"]
    positions = ("first", "middle", "middle", "last")
    for i, position in enumerate(positions):
        scope = f"/net/{position}_layer/layer-{i}"
        ours = "head" if i == 3 else f"hidden.{i}.0"
        for part in ("weight", "bias"):
            yield f"{ours}.{part}", model.get_parameter(f"{ours}.{part}"), found[f"{scope}/{part}"]
        if i < 3:
            name = f"hidden.{i}.1.weight"
            yield name, model.get_parameter(name), found[f"{scope}/act"]


@torch.no_grad()
def test_the_network_computes_what_that_of_its_authors_computes(theirs: Theirs) -> None:
    model, rows = _ours(theirs)
    for name, ours, their in _pairs(model, theirs.network):
        values = their.data
        if name == "front_scale.weight":
            values = _with_missing(values)
        elif ours.ndim == 2 and name.endswith("0.weight") and "vectors" not in name:
            values = values.T / math.sqrt(len(values))
            values = _with_missing(values) if name == "hidden.0.0.weight" else values
        elif name == "head.weight":
            values = values.T / math.sqrt(len(values))
        elif "vectors" in name:
            values = torch.cat([values[:1], torch.zeros(1, 8), values[1:]])
        ours.copy_(values.reshape(ours.shape))
    torch.testing.assert_close(model(rows), theirs.outputs, rtol=1e-4, atol=1e-5)


def test_the_learning_rates_have_the_factors_of_its_authors(theirs: Theirs) -> None:
    model, _ = _ours(theirs)
    for name, ours, their in _pairs(model, theirs.network):
        factor = model.rate_factors.get(name, 1.0)
        assert factor == pytest.approx(their.hyper_factors["lr"]), name
        is_linear = name.endswith("weight") and isinstance(
            model.get_submodule(name.removesuffix(".weight")), nn.Linear
        )
        assert (name in model.width_factors) == is_linear
        if is_linear:  # there, the forward pass multiplies by this
            expected = 1 / math.sqrt(ours.shape[1])
            assert model.width_factors[name].adam == pytest.approx(expected)


def test_the_schedules_are_those_of_its_authors(theirs: Theirs) -> None:
    layer = nn.Linear(1, 1)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.3, weight_decay=0.2)
    schedule = CosLogLR(optimizer, 40)
    fade_out = FadeOut(0.5, 40, layer, [optimizer])
    for step in range(40):
        fade_out.before_step(step)
        group = optimizer.param_groups[0]
        coslog, flat_cos = (theirs.schedules[name] for name in ("coslog4", "flat_cos"))
        assert group["lr"] == pytest.approx(0.3 * coslog.call_time_(step / 40))
        assert group["weight_decay"] == pytest.approx(0.2 * flat_cos.call_time_(step / 40))
        optimizer.step()
        schedule.step()
    assert np.isfinite(optimizer.param_groups[0]["lr"])
