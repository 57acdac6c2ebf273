from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from tunecli.data.preprocessing.scaling import FittedScale, TargetScale, as_columns
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import Component

STANDARD = Component(name="standard")
MINMAX = Component(name="minmax")
QUANTILE = Component(name="quantile", arguments={"output_distribution": "normal"})
SMOOTH_CLIP = Component(name="smooth_clip")
SCALES = [STANDARD, MINMAX, QUANTILE, SMOOTH_CLIP, None]


def scaled(
    x_train: torch.Tensor, x_valid: torch.Tensor, scale: Component | None, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both parts, by a scale that is fitted on the first."""
    fitted = FittedScale.fit(scale, as_columns(x_train), seed)
    return fitted(x_train), fitted(x_valid)


def rows(n: int, *shape: int, seed: int = 0) -> torch.Tensor:
    return 5 + 3 * torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(SCALES),
    st.sampled_from([(4,), (2, 3, 3)]),
    st.integers(2, 30),
    st.integers(0, 2**31),
)
def test_validation_rows_change_no_training_tensor(
    scale: Component | None, shape: tuple[int, ...], n: int, seed: int
) -> None:
    train = rows(n, *shape, seed=seed)
    before = train.clone()
    one, _ = scaled(train, rows(7, *shape, seed=1), scale, seed=0)
    other, _ = scaled(train, 1e6 * rows(3, *shape, seed=2), scale, seed=0)
    assert torch.equal(one, other)
    assert torch.equal(train, before)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("shape", [(4,), (2, 5, 3)])
def test_a_row_is_scaled_alike_in_both_parts(
    scale: Component | None, shape: tuple[int, ...]
) -> None:
    train = rows(20, *shape)
    scaled_train, scaled_valid = scaled(train, train[3:5], scale, seed=0)
    assert scaled_train.shape == train.shape
    assert scaled_train.dtype == torch.float32
    assert scaled_train.is_contiguous()
    assert torch.equal(scaled_train[3:5], scaled_valid)


@pytest.mark.parametrize("scale", SCALES)
def test_a_picture_keeps_its_pixels_in_place_and_its_channels_apart(
    scale: Component | None,
) -> None:
    """Scaling is monotonic in each channel, whatever the other channel holds."""
    train = rows(6, 2, 4, 3)
    changed = torch.stack([train[:, 0], 100 * train[:, 1]], dim=1)
    one, other = scaled(train, train, scale, 0)[0], scaled(changed, changed, scale, 0)[0]
    assert torch.equal(one[:, 0], other[:, 0])
    order = train[:, 0].flatten().argsort()
    assert (one[:, 0].flatten()[order].diff() >= 0).all()


def test_standard_is_scikit_learns() -> None:
    train, valid = rows(40, 3), rows(10, 3, seed=1)
    scaler = StandardScaler().fit(train.numpy().astype(np.float64))
    for part, result in zip((train, valid), scaled(train, valid, STANDARD, 0), strict=True):
        expected = scaler.transform(part.numpy().astype(np.float64))
        assert result.numpy() == pytest.approx(expected, abs=1e-5)


def test_standard_scales_pictures_per_channel() -> None:
    train = rows(40, 3, 5, 5)
    mean = train.mean((0, 2, 3), keepdim=True)
    std = train.std((0, 2, 3), keepdim=True, correction=0)
    assert torch.allclose(scaled(train, train, STANDARD, 0)[0], (train - mean) / std, atol=1e-5)


def test_minmax_ends_are_those_of_the_training_part() -> None:
    train, valid = scaled(rows(30, 4), 10 * rows(5, 4), MINMAX, 0)
    assert train.min(0).values.numpy() == pytest.approx(0, abs=1e-6)
    assert train.max(0).values.numpy() == pytest.approx(1, abs=1e-6)
    assert valid.max() > 1


def test_quantile_is_scikit_learns_with_no_more_quantiles_than_rows() -> None:
    train = rows(50, 2)
    oracle = QuantileTransformer(n_quantiles=50, output_distribution="normal")
    expected = oracle.fit_transform(train.numpy())
    assert scaled(train, train, QUANTILE, 0)[0].numpy() == pytest.approx(expected, abs=1e-6)


def test_quantile_follows_its_seed_alone_where_rows_are_many() -> None:
    train = rows(12_000, 1)
    coarse = Component(name="quantile")
    one, again, other = (scaled(train, train, coarse, seed)[0] for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("scale", [STANDARD, MINMAX])
def test_constant_columns_become_zero(scale: Component) -> None:
    constant = torch.full((6, 2), 3.0)
    assert torch.equal(scaled(constant, constant, scale, 0)[0], torch.zeros(6, 2))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=50))
def test_targets_scale_to_mean_0_and_deviation_1(values: list[float]) -> None:
    y = torch.tensor(values, dtype=torch.float64)
    scale = TargetScale.of(y)
    exact = y.numpy()
    assert scale.mean == pytest.approx(exact.mean())
    assert scale.std == pytest.approx(exact.std() or 1.0)


def test_equal_targets_are_not_divided_by_zero() -> None:
    assert TargetScale.of(torch.full((5,), 2.0)) == TargetScale(2.0, 1.0)


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (Component(name="maxabs"), r"unknown data.scale 'maxabs': write standard, minmax"),
        (
            Component(name="quantile", arguments={"n_quantiles": 0}),
            r"n_quantiles must be at least 1, but got 0",
        ),
    ],
)
def test_what_cannot_scale_is_an_error(scale: Component, message: str) -> None:
    with pytest.raises(DataError, match=message):
        scaled(rows(5, 2), rows(5, 2), scale, 0)
