from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.ndimage import median_filter
from training_cases import trial

from tunecli.study_file.settings.settings import Direction, EarlyStopping
from tunecli.training.early_stopping import no_longer_improves
from tunecli.training.outcome.evaluation_choice import EvaluationChoice, choice_for

SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=25)
WINDOWS = st.integers(0, 4).map(lambda n_aside: 2 * n_aside + 1)
DIRECTIONS = st.sampled_from(get_args(Direction))


@dataclass(frozen=True)
class Slow:
    """What is chosen from a whole curve, by the definition."""

    scores: list[float]
    direction: Direction
    smooth: int

    def window(self, centre: int) -> list[float]:
        n_aside = self.smooth // 2
        return self.scores[max(centre - n_aside, 0) : centre + n_aside + 1]

    def smoothed(self, centre: int) -> float:
        """The median, or the worse one of the two middle scores."""
        worst_first = sorted(self.window(centre), reverse=self.direction == "minimize")
        return worst_first[(len(worst_first) - 1) // 2]

    @property
    def step(self) -> int:
        medians = [self.smoothed(centre) for centre in range(len(self.scores))]
        best = (max if self.direction == "maximize" else min)(medians)
        centre = medians.index(best)
        return max(centre - self.smooth // 2, 0) + self.window(centre).index(best)


def choice_of(scores: list[float], direction: Direction, smooth: int) -> EvaluationChoice:
    choice = EvaluationChoice(direction, smooth)
    for score in scores:
        choice.add(score)
    return choice


@given(SCORES, DIRECTIONS, WINDOWS)
def test_the_choice_is_that_of_the_definition_at_any_length(
    scores: list[float], direction: Direction, smooth: int
) -> None:
    choice = EvaluationChoice(direction, smooth)
    for n, score in enumerate(scores, start=1):
        choice.add(score)
        slow = Slow(scores[:n], direction, smooth)
        assert choice.step == slow.step
        assert choice.smoothed[-1] == slow.smoothed(n - 1)
        assert len(choice) == len(choice.smoothed) == n


@given(SCORES, DIRECTIONS)
def test_without_smoothing_the_earliest_best_score_is_chosen(
    scores: list[float], direction: Direction
) -> None:
    choice = choice_of(scores, direction, 1)
    best = (max if direction == "maximize" else min)(scores)
    assert choice.step == scores.index(best)
    assert choice.candidates == {choice.step}
    assert choice.smoothed == scores


@given(st.lists(st.floats(-1, 1), min_size=9, max_size=30), WINDOWS)
def test_whole_windows_have_the_median_of_scipy(scores: list[float], smooth: int) -> None:
    medians = median_filter(scores, size=smooth)
    for centre in range(smooth // 2, len(scores) - smooth // 2):
        assert Slow(scores, "maximize", smooth).smoothed(centre) == medians[centre]


@given(SCORES, SCORES, DIRECTIONS, WINDOWS)
def test_what_is_chosen_later_was_a_candidate_all_the_time(
    before: list[float], after: list[float], direction: Direction, smooth: int
) -> None:
    choice = choice_of(before, direction, smooth)
    candidates, last = choice.candidates, len(before) - 1
    assert choice.step in candidates
    assert len(candidates) <= smooth
    for score in after:
        choice.add(score)
        assert choice.step is not None
        assert choice.step > last or choice.step in candidates


@given(SCORES, DIRECTIONS, WINDOWS)
def test_at_least_half_of_a_window_is_as_good_as_the_chosen_evaluation(
    scores: list[float], direction: Direction, smooth: int
) -> None:
    step = choice_of(scores, direction, smooth).step
    assert step is not None
    near = scores[max(step - smooth + 1, 0) : step + smooth]
    sign = 1 if direction == "maximize" else -1
    n_as_good = sum(sign * score >= sign * scores[step] for score in near)
    n_least = min(smooth // 2 + 1, len(scores))  # in a window at an end
    assert n_as_good >= n_least // 2 + 1


@given(WINDOWS, st.integers(20, 40))
def test_one_lucky_evaluation_is_never_chosen(smooth: int, n: int) -> None:
    scores = [0.5 + 0.001 * (index % 7) for index in range(n)]
    scores[n // 2] = 0.9
    step = choice_of(scores, "maximize", smooth).step
    assert (step == n // 2) == (smooth == 1)


@given(WINDOWS, st.integers(1, 60), DIRECTIONS)
@example(7, 60, "maximize")
def test_a_curve_that_always_improves_is_never_stopped(
    smooth: int, n: int, direction: Direction
) -> None:
    """With the least patience that a study file may have."""
    sign = 1 if direction == "maximize" else -1
    choice = choice_of([sign * float(score) for score in range(n)], direction, smooth)
    stopping = EarlyStopping(patience=(smooth // 2 + 1) // 2 + 1)
    for length in range(1, n + 1):
        assert not no_longer_improves(choice.smoothed[:length], direction, stopping)


@given(SCORES, DIRECTIONS, WINDOWS)
def test_what_early_stopping_and_pruners_saw_never_changes(
    scores: list[float], direction: Direction, smooth: int
) -> None:
    known = [choice_of(scores[:n], direction, smooth).smoothed for n in range(1, len(scores) + 1)]
    assert all(later[: len(earlier)] == earlier for earlier, later in pairwise(known))


def test_the_choice_of_a_trial_has_its_direction_and_window() -> None:
    scores = [0.5, 0.6, 0.9, 0.6, 0.7, 0.65, 0.1]
    config = trial(smooth_score=3)
    choice = choice_for(config, scores)
    assert choice.step == Slow(scores, "maximize", 3).step == 4
    rmse = trial(smooth_score=3, direction="minimize", metric="rmse", loss="MSELoss")
    assert choice_for(rmse, scores).step == Slow(scores, "minimize", 3).step
    assert choice_for(config).step is None
    assert choice_for(config).candidates == frozenset()


@pytest.mark.parametrize("smooth", [1, 3, 5])
def test_nothing_is_chosen_from_nothing(smooth: int) -> None:
    assert EvaluationChoice("maximize", smooth).step is None
