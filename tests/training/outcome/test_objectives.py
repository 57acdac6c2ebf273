from __future__ import annotations

import math

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.study_file.settings.settings import (
    Component,
    Constraint,
    Direction,
    Objective,
    TrialConfig,
)
from tunecli.training.outcome.objectives import dominates, objective_values, violations

NUMBERS = st.sampled_from([0.0, 0.5, 1.0, 2.0])
TRIPLES = st.tuples(NUMBERS, NUMBERS, NUMBERS)
WAYS = st.tuples(*[st.sampled_from(["minimize", "maximize"])] * 3)


def config(*constraints: Constraint, further: tuple[Objective, ...] = ()) -> TrialConfig:
    return TrialConfig.model_construct(
        objective=Objective(direction="maximize", metric=Component(name="accuracy")),
        further_objectives=further,
        constraints=constraints,
    )


@given(st.lists(TRIPLES, min_size=1, max_size=8), WAYS)
def test_what_nothing_dominates_is_what_optuna_calls_best(
    points: list[tuple[float, ...]], ways: tuple[Direction, ...]
) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=ways)
    for point in points:
        study.add_trial(optuna.create_trial(values=point))
    best = {trial.number for trial in study.best_trials}
    free = {i for i, one in enumerate(points) if not any(dominates(o, one, ways) for o in points)}
    assert free == best


def test_values_come_in_the_order_of_the_objectives() -> None:
    size = Objective(direction="minimize", metric=Component(name="size"))
    f1 = Objective(
        direction="maximize", metric=Component(name="f1", arguments={"average": "micro"})
    )
    found = objective_values(config(further=(size, f1)), 0.9, {"f1_micro": 0.8, "size": 120.0})
    assert found == (0.9, 120.0, 0.8)


@pytest.mark.parametrize(
    ("limits", "measured", "distance"),
    [
        ({"max": 200.0}, 300.0, 0.5),
        ({"max": 200.0}, 200.0, 0.0),
        ({"max": 200.0}, 100.0, -0.5),
        ({"min": 0.9}, 0.45, 0.5),
        ({"min": 0.0}, -0.25, 0.25),
        ({"min": 1.0, "max": 2.0}, 3.0, 0.5),
        ({"min": 1.0, "max": 2.0}, 0.5, 0.5),
        ({"max": 200.0}, math.nan, 1.0),
        ({"min": 0.5}, math.inf, 1.0),
    ],
)
def test_distances_are_in_shares_of_the_limit(
    limits: dict[str, float], measured: float, distance: float
) -> None:
    limited = config(Constraint(metric=Component(name="size"), **limits))
    found = violations(limited, None, {"size": measured})
    assert found == {"size": pytest.approx(distance)}


def test_the_first_objective_may_be_limited_and_what_is_unknown_is_left_out() -> None:
    at_least = Constraint(metric=Component(name="accuracy"), min=0.8)
    at_most = Constraint(metric=Component(name="latency"), max=1.0)
    found = violations(config(at_least, at_most), 0.6, {})
    assert found.keys() == {"accuracy"}
    assert math.isclose(found["accuracy"], 0.25)
