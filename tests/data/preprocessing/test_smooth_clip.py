"""Numbers scaled by their quartiles, with outliers squeezed into an interval."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunecli.data.preprocessing.scaling import FittedScale
from tunecli.data.preprocessing.smooth_clip import SmoothClipScaler, smoothly_clipped
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import Component

SCALE = Component(name="smooth_clip")


def test_the_median_becomes_0_and_quartiles_lie_1_apart_before_clipping() -> None:
    columns = np.random.default_rng(0).exponential(5, (101, 3))
    scaled = FittedScale.fit(SCALE, columns, seed=0)(torch.from_numpy(columns)).double().numpy()
    undone = scaled / np.sqrt(1 - (scaled / 3) ** 2)  # the inverse of x / sqrt(1 + (x / 3)²)
    low, middle, high = np.quantile(undone, [0.25, 0.5, 0.75], axis=0)
    np.testing.assert_allclose(middle, 0, atol=1e-6)
    np.testing.assert_allclose(high - low, 1, rtol=1e-5)


def test_a_column_with_equal_quartiles_is_scaled_by_half_its_range() -> None:
    columns = np.array([[0.0, 7.0]] * 9 + [[4.0, 7.0]])
    scaled = FittedScale.fit(SCALE, columns, seed=0)(torch.from_numpy(columns))
    assert scaled[:9, 0].tolist() == [0.0] * 9
    assert scaled[9, 0].item() == pytest.approx(2 / np.sqrt(1 + 4 / 9))
    assert scaled[:, 1].tolist() == [0.0] * 10  # constant


@given(st.floats(-1e300, 1e300), st.sampled_from([0.5, 3.0]))
def test_no_number_is_beyond_the_limit_and_signs_stay(number: float, limit: float) -> None:
    clipped = smoothly_clipped(torch.tensor([number], dtype=torch.float64), limit).item()
    assert abs(clipped) <= limit
    if abs(number) > 1e-300:  # a smaller one may become 0
        assert np.sign(clipped) == np.sign(number)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_forms_of_it_agree(dtype: type[np.floating]) -> None:
    columns = np.random.default_rng(1).normal(3, 8, (50, 2)).astype(dtype)
    fitted = SmoothClipScaler(2.0).fit(columns)
    scale = FittedScale.of(fitted, columns.dtype)
    in_steps = scale(torch.from_numpy(columns))
    # An exported graph has no operations on two types.
    assert {operand.numpy().dtype for _, operand in scale.steps} == {columns.dtype}
    np.testing.assert_allclose(in_steps, fitted.transform(columns), rtol=1e-5, atol=1e-6)
    assert in_steps.abs().max() < 2


@pytest.mark.parametrize("limit", [0.0, -1.0, float("inf"), float("nan")])
def test_a_limit_that_is_not_one_is_refused(limit: float) -> None:
    with pytest.raises(DataError, match="limit must be above 0 and finite"):
        SmoothClipScaler(limit)
