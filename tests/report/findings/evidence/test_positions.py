from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.report.findings.evidence.positions import position, resized, rounded, value_at
from tunecli.study_file.settings.ranges import FloatRange, IntRange

RANGES = [FloatRange(-2.0, 6.0), FloatRange(1e-4, 1.0, log=True), IntRange(16, 256, log=True)]


@pytest.mark.parametrize("kind", RANGES)
@given(place=st.floats(-1, 2))
def test_a_value_is_where_it_was_put(kind: FloatRange | IntRange, place: float) -> None:
    assert position(kind, value_at(kind, place)) == pytest.approx(place, abs=1e-9)


@pytest.mark.parametrize("kind", RANGES)
def test_the_ends_are_0_and_1(kind: FloatRange | IntRange) -> None:
    assert (position(kind, kind.low), position(kind, kind.high)) == (0.0, 1.0)


def test_the_scale_is_the_ranges() -> None:
    assert position(FloatRange(1e-4, 1.0, log=True), 1e-2) == pytest.approx(0.5)
    assert position(FloatRange(3.0, 3.0), 3.0) == 0.5


def test_rounding_keeps_digits_and_a_new_size_the_kind() -> None:
    assert [rounded(x) for x in (0.0, 0.012345, 1449.0)] == [0.0, 0.012, 1400.0]
    assert resized(IntRange(1, 9, step=2), 3.0, 7.0) == IntRange(3, 7, step=2)
    assert resized(FloatRange(1.0, 9.0, log=True), 2, 3) == FloatRange(2.0, 3.0, log=True)
