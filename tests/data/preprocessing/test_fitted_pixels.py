from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import ToTensor

from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.preprocessing.fitted_pixels import FittedPixels, level_counts
from tunecli.data.preprocessing.preparation import prepared
from tunecli.data.preprocessing.scaled_features import ScaledFeatures
from tunecli.data.preprocessing.scaling import FittedScale, as_columns
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.features import BLOCK_BYTES, Features, TensorFeatures, as_features
from tunecli.study_file.settings.settings import Component, DataSettings

DATA = DataSettings(source="set/")
SCALES = [
    None,
    *(Component(name=n) for n in ("standard", "minmax", "robust", "smooth_clip", "quantile")),
]


def pictures(n: int = 40, channels: int = 3, seed: int = 0) -> Dataset:
    random = np.random.default_rng(seed)
    x = random.integers(0, 200, (n, channels, 5, 6)).astype(np.uint8)
    x[:, 0] //= 3  # channels differ
    y = torch.from_numpy(np.arange(n) % 2)
    return Dataset("set", "classification", torch.from_numpy(x), y, classes=("a", "b"))


def whole(x: torch.Tensor | Features) -> torch.Tensor:
    features = as_features(x)
    return next(iter(features.batches(None, [len(features)])))


@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_bytes_are_scaled_as_floats_are(scale: Component | None) -> None:
    """Which scikit-learn does, over all pixels of a channel."""
    dataset, rows = pictures(), torch.randperm(40, generator=torch.Generator().manual_seed(0))
    train, valid = rows[:25].sort().values, rows[25:].sort().values
    found = prepared(dataset, train, valid, DATA, FeatureForm(scale))
    x = dataset.x.float()
    if scale is None:
        x = x / 255
    fitted = FittedScale.fit(scale, as_columns(x[train]), DATA.split_seed)
    for part, rows in ((found.x_train, train), (found.x_valid, valid)):
        oracle = fitted(x[rows])
        assert isinstance(part, ScaledFeatures)
        assert part.shape == (3, 5, 6)
        near = {"rtol": 1e-5, "atol": 1e-5 if scale is None or scale.name != "quantile" else 0.02}
        torch.testing.assert_close(whole(part), oracle, **near)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SCALES), st.integers(0, 2**31))
def test_validation_pictures_change_no_training_number(scale: Component | None, seed: int) -> None:
    dataset, other = pictures(), pictures(seed=seed)
    train, valid = torch.arange(25), torch.arange(25, 40)
    other.x[train] = dataset.x[train]
    found = [prepared(d, train, valid, DATA, FeatureForm(scale)) for d in (dataset, other)]
    assert torch.equal(whole(found[0].x_train), whole(found[1].x_train))


def features(n: int = 30) -> tuple[ScaledFeatures, TensorFeatures]:
    """The same rows as bytes and as numbers."""
    dataset = pictures(50)
    rows = torch.arange(10, 10 + n)
    scale = FittedPixels.fit(level_counts(dataset.x, rows, "", None), SCALES[1], 0)
    return ScaledFeatures(dataset.x, rows, scale), TensorFeatures(scale(dataset.x[rows]))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=3), st.integers(0, 2**31))
def test_batches_are_those_of_a_tensor(sizes: list[int], seed: int) -> None:
    mapped, tensor = features()
    rows = torch.randperm(30, generator=torch.Generator().manual_seed(seed))[: sum(sizes)]
    for order in (rows, None):
        for one, other in zip(
            mapped.batches(order, sizes), tensor.batches(order, sizes), strict=True
        ):
            assert torch.equal(one, other)
            assert one.is_contiguous()


def test_batches_in_many_blocks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    mapped, tensor = features()
    monkeypatch.setattr("tunecli.data.rows.features.BLOCK_BYTES", mapped.row_bytes * 5)
    assert BLOCK_BYTES > mapped.row_bytes * 5
    sizes = [2] * 15
    pairs = zip(mapped.batches(None, sizes), tensor.batches(None, sizes), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_the_first_rows_alone() -> None:
    mapped, tensor = features()
    assert len(mapped.first(7)) == 7
    assert torch.equal(whole(mapped.first(7)), tensor.x[:7])
    assert len(mapped.to(torch.device("cpu"))) == 30


def test_black_and_white_are_the_ends_of_the_levels() -> None:
    mapped, tensor = features()
    x = torch.zeros(2, 3, 5, 6, dtype=torch.uint8)
    x[1] = 255
    ends = mapped.scale(x)
    black, white = mapped.ends()
    torch.testing.assert_close(ends[0], black.expand(3, 5, 6))
    torch.testing.assert_close(ends[1], white.expand(3, 5, 6))
    assert torch.equal(tensor.ends()[1].flatten(), tensor.x.amax(dim=(0, 2, 3)))


def test_levels_are_counted_once_for_all_processes(tmp_path: Path) -> None:
    dataset = pictures()
    rows = torch.tensor([1, 2, 3, 17, 30])
    oracle = [np.bincount(dataset.x[rows, c].reshape(-1), minlength=256) for c in range(3)]
    for cache in (None, tmp_path, tmp_path):
        assert np.array_equal(level_counts(dataset.x, rows, "f", cache), oracle)
    assert len(list(tmp_path.glob("levels-*"))) == 1


@given(st.integers(1, 4), st.integers(0, 2**31))
def test_unscaled_bytes_are_what_torchvision_makes_of_them(channels: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (7, 9, channels)).astype(np.uint8)
    scale = FittedPixels.fit(np.ones((channels, 256), dtype=np.int64), None, 0)
    x = torch.from_numpy(np.moveaxis(pixels, -1, 0)[None].copy())
    assert torch.equal(scale(x)[0], ToTensor()(pixels))
    assert torch.equal(scale.table[0][x.long()], scale(x))
    assert (scale.black.unique().tolist(), scale.white.unique().tolist()) == ([0.0], [1.0])
