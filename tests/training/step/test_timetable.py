from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.study_file.settings.settings import TrainingSettings
from tunecli.training.step.timetable import Timetable


def _timetable(n_batches: int, **settings: Any) -> Timetable:
    return Timetable.of(TrainingSettings(**settings), n_batches)


@pytest.mark.parametrize(
    ("settings", "evaluations"),
    [
        ({"epochs": 3}, (10, 20, 30)),
        ({"epochs": 3, "eval_every": 2}, (20, 30)),
        ({"epochs": 2, "eval_every": 0.5}, (5, 10, 15, 20)),
        ({"epochs": 1, "eval_every": 0.1}, tuple(range(1, 11))),
        ({"epochs": 2, "eval_every": 5}, (20,)),
        ({"epochs": 2, "accumulate": 4}, (3, 6)),
        ({"steps": 100}, tuple(range(10, 101, 10))),
        ({"steps": 25}, (3, 6, 9, 12, 15, 18, 21, 24, 25)),
        ({"steps": 7, "eval_every": 3}, (3, 6, 7)),
        ({"steps": 3}, (1, 2, 3)),
    ],
)
def test_evaluations_of_ten_batches(settings: dict[str, Any], evaluations: tuple[int]) -> None:
    timetable = _timetable(10, **settings)
    assert timetable.evaluations == evaluations
    assert timetable.n_steps == evaluations[-1]


def test_twenty_epochs_unless_told_otherwise() -> None:
    assert _timetable(7).n_steps == 140


@given(
    n_batches=st.integers(1, 50),
    epochs=st.integers(1, 30),
    every=st.floats(0.01, 40),
    accumulate=st.integers(1, 5),
)
def test_folds_of_unequal_size_are_evaluated_equally_often(
    n_batches: int, epochs: int, every: float, accumulate: int
) -> None:
    settings = {"epochs": epochs, "eval_every": every, "accumulate": accumulate}
    one, other = _timetable(n_batches, **settings), _timetable(n_batches + 1, **settings)
    assert len(one.evaluations) == len(other.evaluations)
    for timetable in (one, other):
        assert list(timetable.evaluations) == sorted(timetable.evaluations)
        assert timetable.evaluations[0] >= 1
        assert timetable.evaluations[-1] == timetable.n_steps == epochs * timetable.steps_per_epoch


@given(
    n_batches=st.integers(1, 50),
    more=st.integers(0, 2),
    epochs=st.integers(1, 30),
    every=st.floats(0.001, 40),
    accumulate=st.integers(1, 5),
)
def test_known_folds_are_never_evaluated_twice_at_one_step(
    n_batches: int, more: int, epochs: int, every: float, accumulate: int
) -> None:
    settings = TrainingSettings(epochs=epochs, eval_every=every, accumulate=accumulate)
    smallest, other = (Timetable.of(settings, n, n_batches) for n in (n_batches, n_batches + more))
    assert len(smallest.evaluations) == len(other.evaluations)
    for timetable in (smallest, other):
        assert list(timetable.evaluations) == sorted(set(timetable.evaluations))
        assert timetable.evaluations[-1] == timetable.n_steps
    # In the smallest fold, what is left out is what was there twice.
    everything = Timetable.of(settings, n_batches).evaluations
    if every * smallest.steps_per_epoch <= 1:
        assert set(smallest.evaluations) == set(range(1, smallest.n_steps + 1))
    assert len(smallest.evaluations) <= len(set(everything)) + 1


@pytest.mark.parametrize(
    ("warmup", "n_warmup", "schedule_epochs", "schedule_steps"),
    [(0.0, 0, 10, 100), (0.1, 10, 9, 90), (0.15, 15, 8, 85), (0.999, 100, 1, 0)],
)
def test_schedules_begin_after_the_warmup(
    warmup: float, n_warmup: int, schedule_epochs: int, schedule_steps: int
) -> None:
    timetable = _timetable(10, epochs=10, warmup=warmup)
    assert timetable.n_warmup == n_warmup
    assert timetable.n_schedule_epochs == schedule_epochs
    assert timetable.n_schedule_steps == schedule_steps
