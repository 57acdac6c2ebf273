"""Which trial becomes a model: by its place on the front, or by what must hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from front_studies import study

from tunecli.database.attributes import RecordedObjective
from tunecli.database.records import StudyRecord
from tunecli.errors import RefitError
from tunecli.model_folder.select_trial import CostLimit, by_name, conditions, front_trial, within

POINTS: list[tuple[float, ...]] = [(0.99, 300e3), (0.98, 40e3), (0.97, 50e3), (0.96, 20e3)]


def two() -> StudyRecord:
    made = study(POINTS, ("maximize", "minimize"))
    trials = [
        replace(trial, metrics={"m1": trial.values[1], "f1": trial.values[0] / 2}, n_weights=7)
        for trial in made.trials
    ]
    return replace(made, trials=tuple(trials))


def test_conditions_are_read_with_their_units() -> None:
    assert conditions("accuracy >= 0.97 and size<40KB  and latency <= 5 ms") == [
        CostLimit("accuracy", ">=", 0.97),
        CostLimit("size", "<", 40e3),
        CostLimit("latency", "<=", 0.005),
    ]


@pytest.mark.parametrize(
    "text", ["", "accuracy", "accuracy => 1", "a >= b", "a >= 1 or b < 2", "__import__('os')"]
)
def test_anything_else_is_no_condition(text: str) -> None:
    with pytest.raises(RefitError, match="must look like"):
        conditions(text)


def test_places_are_those_of_the_report() -> None:
    assert [front_trial(two(), place).number for place in (1, 2, 3)] == [0, 1, 3]
    with pytest.raises(RefitError, match="must be from 1 to 3, got 4"):
        front_trial(two(), 4)
    with pytest.raises(RefitError, match="no complete trial"):
        front_trial(study([], ("maximize", "minimize")), 1)


def test_the_best_within_limits() -> None:
    assert within(two(), conditions("m0 >= 0.97"), RecordedObjective("m1", "minimize")).number == 1
    assert within(two(), conditions("m1 <= 60e3"), None).number == 1
    assert (
        within(two(), conditions("n_weights < 8"), RecordedObjective("f1", "minimize")).number == 3
    )
    with pytest.raises(RefitError, match=r"the highest m0 of any trial is 0\.99"):
        within(two(), conditions("m0 > 0.99"), None)
    with pytest.raises(RefitError, match="m2 was not measured"):
        within(two(), conditions("m2 > 0.99"), None)
    with pytest.raises(RefitError, match="no complete trial"):
        within(study([], ("maximize",)), conditions("m0 > 1"), None)


@pytest.mark.parametrize("which", ["best", "simplest"])
def test_several_objectives_have_no_best(which: str) -> None:
    with pytest.raises(RefitError, match="--pareto 1 to 3"):
        by_name(two(), which)
    with pytest.raises(RefitError, match=r"--pareto 1 \("):
        by_name(study(POINTS[:1], ("maximize", "minimize")), which)
    with pytest.raises(RefitError, match="no complete trial"):
        by_name(study([], ("maximize", "minimize")), which)
    assert (
        by_name(replace(two(), trials=(replace(two().trials[0], best_step=1),)), "0").number == 0
    )
