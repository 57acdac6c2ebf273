"""The Pareto front of a study, by its definition."""

from __future__ import annotations

import math
from typing import get_args

import pytest
from front_studies import study
from hypothesis import given
from hypothesis import strategies as st

from tunecli.report.analysis.pareto import front, goal
from tunecli.report.phrases.wording import metric_text
from tunecli.study_file.settings.settings import Direction
from tunecli.training.outcome.objectives import dominates

NUMBERS = st.sampled_from([0.0, 0.25, 1.0, 3.0])
WAYS = st.sampled_from(get_args(Direction))


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=12), st.tuples(WAYS, WAYS, WAYS))
def test_it_is_what_nothing_dominates_each_point_once(
    points: list[tuple[float, ...]], ways: tuple[Direction, ...]
) -> None:
    found = front(study(points, ways))
    assert found.n_complete == len(points)
    expected = {p for p in points if not any(dominates(other, p, ways) for other in points)}
    values = [trial.values for trial in found.trials]
    assert set(values) == expected
    assert len(values) == len(expected)
    assert all(points.index(trial.values) == trial.number for trial in found.trials)
    firsts = [value[0] for value in values]
    assert firsts == sorted(firsts, reverse=ways[0] == "maximize")


def test_with_one_objective_it_is_the_best() -> None:
    found = front(study([(0.1,), (0.9,), (0.9,)], ("maximize",)))
    assert [trial.number for trial in found.trials] == [1]


def test_what_is_not_finite_or_lacks_a_value_is_left_out() -> None:
    found = front(study([(math.inf, 1.0), (0.5,), (0.5, 2.0)], ("minimize", "minimize")))
    assert [trial.number for trial in found.trials] == [2]
    assert found.n_complete == 1


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("size", 15209.0, "15.21 KB"),
        ("size", 512.0, "512 B"),
        ("latency", 0.00046, "460 µs"),
        ("n_weights", 19562.0, "19,562"),
        ("accuracy", 0.98471, "0.9847"),
        ("rmse", 48319.2, "48319.2"),
    ],
)
def test_values_have_their_unit(metric: str, value: float, text: str) -> None:
    if metric == "rmse":
        assert metric_text(metric, value).startswith("48")
    else:
        assert metric_text(metric, value) == text


def test_the_goal_names_all() -> None:
    assert goal(study([], ("maximize", "minimize"))) == "maximize m0, minimize m1"
