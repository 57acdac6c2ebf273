from __future__ import annotations

import math

import pytest

from tunecli.study_file.settings.units import in_base_unit, with_unit


@pytest.mark.parametrize(
    ("written", "metric", "expected"),
    [
        ("5ms", "latency", 0.005),
        ("20 us", "latency", 20e-6),
        ("1.5s", "latency", 1.5),
        ("200KB", "size", 200_000.0),
        ("1e3 B", "size", 1000.0),
        (12, "n_weights", 12.0),
        (0.9, "recall", 0.9),
    ],
)
def test_numbers_and_texts_with_units_are_seconds_bytes_or_numbers(
    written: object, metric: str, expected: float
) -> None:
    assert in_base_unit(written, metric) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("written", "metric"),
    [
        ("5KB", "latency"),
        ("5ms", "n_weights"),
        ("1.2.3s", "latency"),
        (True, "size"),
        (None, "f1"),
    ],
)
def test_what_means_nothing_stays_as_it_is(written: object, metric: str) -> None:
    assert in_base_unit(written, metric) is written


@pytest.mark.parametrize("metric", ["f1", "size", "latency", "my_metric"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_defined(metric: str, value: float) -> None:
    assert with_unit(metric, value) == "not defined"
