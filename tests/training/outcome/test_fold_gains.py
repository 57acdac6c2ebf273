"""What all folds are expected to have, from the first ones: planted differences are found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.training.outcome.fold_gains import FoldGains

scores = st.floats(-100, 100)


@given(st.lists(scores, min_size=1, max_size=6), scores)
def test_folds_that_are_easier_by_a_constant_are_found(levels: list[float], ease: float) -> None:
    """Two of five folds are better by `ease`, so all are 0.6 times that below these two."""
    gains = FoldGains()
    for level in levels:
        gains.add([level + ease] * 2 + [level] * 3)
    assert gains.mean(2) == pytest.approx(-0.6 * ease, abs=1e-9)


def test_a_trial_of_all_folds_gains_nothing() -> None:
    gains = FoldGains()
    assert gains.mean(2) == 0
    gains.add([0.5, 0.75, 0.25, 0.0, 1.0])
    assert (gains.mean(5), gains.mean(0)) == (0, 0)
    gains.add([0.5])  # of one split
    assert gains.mean(2) == pytest.approx(0.5 - 0.625)


def test_ten_folds_have_two_stages_to_gain_from() -> None:
    gains = FoldGains()
    gains.add([float(fold) for fold in range(10)])
    assert (gains.mean(2), gains.mean(4)) == (4.5 - 0.5, 4.5 - 1.5)
