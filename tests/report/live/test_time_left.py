"""The time left: a range that holds, and that narrows to one number."""

from __future__ import annotations

import math
import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.report.live.time_left import TimeLeft, of_running, time_left
from tunecli.report.phrases.wording import about_range

SECONDS = st.floats(0.01, 1e5)


@given(SECONDS, st.lists(SECONDS, min_size=1, max_size=4))
def test_few_trials_give_a_range_around_the_estimate(work: float, durations: list[float]) -> None:
    left = time_left(work, durations)
    assert left.low < work < left.high
    assert left.likely == pytest.approx(work)


@given(SECONDS, st.lists(SECONDS, min_size=5, max_size=9))
def test_five_trials_give_one_number(work: float, durations: list[float]) -> None:
    assert time_left(work, durations) == TimeLeft(work, work)


@given(SECONDS, st.integers(1, 3))
def test_more_trials_of_one_length_narrow_it(seconds: float, n: int) -> None:
    few, more = (time_left(1.0, [seconds] * k) for k in (n, n + 1))
    assert few.low < more.low < more.high < few.high


def test_the_range_of_one_trial_is_that_of_the_usual_spread() -> None:
    assert time_left(1.0, [7.0]).high == pytest.approx(2.5**1.28)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_range_holds_the_truth_as_often_as_it_says(n: int) -> None:
    """Trials of log-normal length, with the usual spread: at least three in four."""
    rng = random.Random(n)
    held = 0
    for _ in range(400):
        lengths = [math.exp(rng.gauss(0, math.log(2.5))) for _ in range(50)]
        known, to_come = lengths[:n], lengths[n:]
        left = time_left(len(to_come) * fmean(known), known)
        held += left.low <= sum(to_come) <= left.high
    assert held / 400 > 0.6


@given(SECONDS, SECONDS, SECONDS)
def test_a_running_trial_takes_no_longer_than_the_mean_or_its_own_pace(
    elapsed: float, mean: float, at_most: float
) -> None:
    left = of_running(elapsed, mean, at_most)
    assert 0 <= left <= min(mean, at_most)
    assert of_running(0.0, mean, math.inf) == mean


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (8 * 60, 25 * 60, "8 to 25 min"),
        (50, 180, "50 s to 3 min"),
        (7000, 4e5, "1.9 h to 4.6 days"),
        (42, 44, "40 to 45 s"),
        (300, 300, "about 5 min"),
    ],
)
def test_in_words(low: float, high: float, text: str) -> None:
    assert about_range(low, high) == text
