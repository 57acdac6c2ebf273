"""Temperature scaling against its definition: the softmax of outputs divided by it."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tunecli.training.outcome.output_meaning import OutputMeaning
from tunecli.training.outcome.temperature import SMALLEST, calibrated, tempered

OUTPUTS = 3 * torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).double()


@given(st.floats(0.1, 10.0))
def test_it_is_the_softmax_of_the_outputs_divided_by_the_temperature(temperature: float) -> None:
    found = tempered(OUTPUTS.softmax(1), temperature)
    torch.testing.assert_close(found, (OUTPUTS / temperature).softmax(1), rtol=1e-9, atol=1e-12)


@given(st.floats(0.1, 10.0))
def test_one_output_for_two_classes_is_divided_too(temperature: float) -> None:
    one = OUTPUTS[:, :1]
    found = tempered(OutputMeaning("sigmoid")(one), temperature)
    torch.testing.assert_close(found[:, 1:], (one / temperature).sigmoid())


@given(st.floats(0.1, 10.0))
def test_rows_stay_probabilities_in_the_same_order(temperature: float) -> None:
    before = OUTPUTS.softmax(1)
    after = tempered(before, temperature)
    torch.testing.assert_close(after.sum(1), torch.ones(50).double())
    assert torch.equal(before.argsort(1), after.argsort(1))


def test_without_a_temperature_nothing_is_computed() -> None:
    values = np.array([0.1, 0.7])
    assert calibrated(values, None) is values


def test_a_probability_of_0_counts_as_the_smallest_one() -> None:
    certain = np.array([[0.0, 1.0], [SMALLEST, 1.0]], np.float32)
    found = calibrated(certain, 4.0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[0], found[1])
    assert 0 < found[0, 0] < 1e-8
