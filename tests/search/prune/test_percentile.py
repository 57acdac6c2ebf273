"""The verdicts of the sorted percentile are Optuna's, to the letter."""

from __future__ import annotations

import math
import warnings
from collections.abc import Container
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from tunecli.database.trials import STATES, Trial
from tunecli.search.prune.judge import Judge, make_pruner
from tunecli.search.prune.percentile import SortedCurves, percentile
from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    Direction,
    Objective,
    TrainingSettings,
    TrialConfig,
    ValidationSettings,
)

OUTCOMES = ("complete", "pruned", "failed", None)
SCORES = st.floats(width=16) | st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0, math.nan, math.inf])
CURVES = st.lists(SCORES, min_size=1, max_size=6)
PERCENTS = st.floats(0, 100) | st.sampled_from([0.0, 25.0, 50.0, 100.0])
COUNTS = st.integers(0, 5)
CONFIG = TrialConfig(
    seed=0,
    data=DataSettings(source="digits"),
    validation=ValidationSettings(folds=2),
    model=Component(name="MLP"),
    loss=Component(name="CrossEntropyLoss"),
    optimizer=Component(name="SGD"),
    training=TrainingSettings(epochs=6),
    objective=Objective(direction="maximize", metric=Component(name="accuracy")),
)


@st.composite
def pruners(draw: st.DrawFn) -> Component:
    """A median or percentile, alone or after some patience."""
    arguments: dict[str, Any] = {
        "n_startup_trials": draw(COUNTS),
        "n_warmup_steps": draw(COUNTS),
        "interval_steps": draw(st.integers(1, 3)),
        "n_min_trials": draw(st.integers(1, 5)),
    }
    pruner = Component(name="MedianPruner", arguments=arguments)
    if draw(st.booleans()):
        arguments = arguments | {"percentile": draw(PERCENTS)}
        pruner = Component(name="PercentilePruner", arguments=arguments)
    if draw(st.booleans()):
        arguments = {"wrapped_pruner": pruner, "patience": draw(COUNTS), "min_delta": 0.1}
        return Component(name="PatientPruner", arguments=arguments)
    return pruner


def optunas(pruner: Component) -> optuna.pruners.BasePruner:
    """Optuna's own object, with nothing of ours."""
    arguments = {
        name: optunas(value) if isinstance(value, Component) else value
        for name, value in pruner.arguments.items()
    }
    made: optuna.pruners.BasePruner = getattr(optuna.pruners, pruner.name)(**arguments)
    return made


def verdict_of_optuna(
    pruner: Component,
    direction: Direction,
    earlier: list[tuple[list[float], str | None]],
    visible: Container[int],
    curve: list[float],
) -> bool:
    """Optuna's word on a running trial in a study of the visible trials that have ended."""
    study = optuna.create_study(direction=direction)
    for number, (past, outcome) in enumerate(earlier):
        if outcome is not None and number in visible:
            state = STATES[outcome]  # type: ignore[index]
            study.add_trial(
                create_trial(
                    state=state,
                    value=0.0 if state == TrialState.COMPLETE else None,
                    intermediate_values=dict(enumerate(past)),
                )
            )
    running = create_trial(state=TrialState.RUNNING, intermediate_values=dict(enumerate(curve)))
    return bool(optunas(pruner).prune(study, running))


@given(
    pruner=pruners(),
    direction=st.sampled_from(["maximize", "minimize"]),
    earlier=st.lists(st.tuples(CURVES, st.sampled_from(OUTCOMES)), max_size=14),
    n_visible=st.integers(0, 14),
    order=st.randoms(use_true_random=False),
    is_free=st.booleans(),
    curve=CURVES,
)
def test_verdicts_are_optunas_in_whatever_order_trials_end(
    pruner: Component,
    direction: Direction,
    earlier: list[tuple[list[float], str | None]],
    n_visible: int,
    order: Any,
    is_free: bool,
    curve: list[float],
) -> None:
    ended = [number for number, (_, outcome) in enumerate(earlier) if outcome is not None]
    order.shuffle(ended)
    visible: Container[int] = set(ended) if is_free else range(n_visible)
    judge = Judge(pruner, direction, "study")
    for number in ended:
        past, outcome = earlier[number]
        judge.start(number, CONFIG, range(0))
        for score in past:
            judge.add(number, score)
        judge.finish(Trial(number, {}, {}, CONFIG, outcome=outcome))  # type: ignore[arg-type]
    judge.start(99, CONFIG, visible)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's and numpy's about NaN and patience
        for n_told, score in enumerate(curve, start=1):
            judge.add(99, score)
            expected = verdict_of_optuna(pruner, direction, earlier, visible, curve[:n_told])
            assert judge.stops(99) == expected


@given(st.lists(st.floats(allow_nan=False), min_size=1), PERCENTS)
def test_a_percentile_is_numpys_to_the_bit(scores: list[float], percent: float) -> None:
    with np.errstate(all="ignore"):
        expected = float(np.percentile(np.array(scores), percent))
    ours = percentile(sorted(scores), percent)
    assert ours == expected or (math.isnan(ours) and math.isnan(expected))


@given(st.lists(CURVES, max_size=8), st.integers(0, 8))
def test_hidden_trials_leave_what_the_others_alone_would_give(
    curves: list[list[float]], n_visible: int
) -> None:
    every, alone = SortedCurves(), SortedCurves()
    for number, curve in enumerate(curves):
        every.add(number, curve)
        if number < n_visible:
            alone.add(number, curve)
    seen = every.seen_by(range(n_visible))
    assert len(seen) == len(alone)
    for step in range(7):
        assert seen.at(step) == alone.seen_by(range(n_visible)).at(step)


@pytest.mark.parametrize("name", ["MedianPruner", "PercentilePruner"])
def test_the_arguments_left_out_are_optunas(name: str) -> None:
    given_by_all = {"percentile": 50.0} if name == "PercentilePruner" else {}
    theirs = vars(getattr(optuna.pruners, name)(**given_by_all))
    pruner = make_pruner(Component(name=name, arguments=given_by_all))
    assert vars(pruner) == {key.removeprefix("_"): value for key, value in theirs.items()}
