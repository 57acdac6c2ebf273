from __future__ import annotations

import random

import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import get_param_importances
from optuna.trial import FrozenTrial, TrialState, create_trial

from tunecli.database.shown_study import ShownStudy, complete_trial, shared
from tunecli.study_file.settings.settings import Direction

KINDS: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-4, 1.0, log=True),
    "width": IntDistribution(8, 256, log=True),
    "layers": IntDistribution(1, 4),
    "optimizer": CategoricalDistribution(("SGD", "AdamW", None)),
    "momentum": FloatDistribution(0.0, 0.9, step=0.1),
}


def drawn_trials(n_trials: int) -> list[tuple[float, dict[str, object]]]:
    """Values and parameters of a study with a branch: only SGD has a momentum."""
    draw = random.Random(0)
    trials = []
    for _ in range(n_trials):
        params: dict[str, object] = {
            "lr": 10 ** draw.uniform(-4, 0),
            "width": draw.randint(8, 256),
            "layers": draw.randint(1, 4),
            "optimizer": draw.choice(["SGD", "AdamW", None]),
        }
        if params["optimizer"] == "SGD":
            params["momentum"] = draw.randint(0, 9) / 10
        trials.append((draw.gauss(0.9, 0.02) + 0.02 * (params["width"] > 99), params))  # type: ignore[operator]
    return trials


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("repeats", [False, True])
def test_importances_are_those_of_optunas_own_study(direction: Direction, repeats: bool) -> None:
    trials = drawn_trials(60)
    numbers = random.Random(1).choices(range(60), k=60) if repeats else range(60)
    theirs = optuna.create_study(direction=direction)
    for number in numbers:
        value, params = trials[number]
        kinds = {name: KINDS[name] for name in params}
        theirs.add_trial(create_trial(value=value, params=params, distributions=kinds))
    one_object = shared(KINDS)
    ours = [
        complete_trial(number, value, params, {name: one_object[name] for name in params})
        for number, (value, params) in enumerate(trials)
    ]
    shown = ShownStudy(direction, [ours[number] for number in numbers])
    assert [*get_param_importances(shown).items()] == [*get_param_importances(theirs).items()]


def test_it_shows_what_it_was_given_and_announces_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    trial = complete_trial(3, 0.5, {"layers": 2}, {"layers": KINDS["layers"]})
    study = ShownStudy("minimize", [trial, trial])
    assert study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) == [trial, trial]
    assert study.direction == optuna.study.StudyDirection.MINIMIZE
    assert isinstance(trial, FrozenTrial)
    assert capfd.readouterr() == ("", "")


def test_equal_distributions_are_one_object_and_others_are_not() -> None:
    kinds = {
        "a": FloatDistribution(0, 1),
        "b": FloatDistribution(0, 1),
        "c": FloatDistribution(0, 2),
    }
    one = shared(kinds)
    assert one["a"] is one["b"]
    assert len({*one.values()}) == 2
    for name, kind in kinds.items():
        assert vars(one[name]) == vars(kind)
        assert isinstance(one[name], FloatDistribution)
