"""The sampler suggests what Optuna's own TPE suggests, to the bit, whatever the trials are."""

from __future__ import annotations

import random
import warnings
from typing import Any

import optuna
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from optuna.samplers import TPESampler
from optuna.trial import Trial, TrialState

from tunecli.search.suggest.tpe import KeepingTPE, TrialRows, keep_more_integrals

ARGUMENTS: list[dict[str, Any]] = [
    {"group": True, "multivariate": True, "constant_liar": True},
    {"multivariate": True},
    {"multivariate": False},
    {"multivariate": False, "constant_liar": True},
    {"n_startup_trials": 1, "constant_liar": False},
]


def suggested(trial: Trial) -> dict[str, Any]:
    """Parameters of every kind, in branches."""
    trial.suggest_int("width", 8, 256, log=True)
    trial.suggest_int("layers", 1, 9, step=2)
    if trial.suggest_categorical("optimizer", ["SGD", "AdamW", None]) == "SGD":
        trial.suggest_float("momentum", 0.0, 0.9, step=0.1)
        trial.suggest_float("lr", 1e-4, 1.0, log=True)
    return trial.params


def drawn(
    arguments: dict[str, Any], seed: int, n_trials: int, rows: TrialRows | None
) -> list[Any]:
    """The suggestions of a search with ended, pruned, violating and running trials."""
    draw, study = random.Random(seed), optuna.create_study()
    suggestions = []
    for number in range(n_trials):
        own = {"seed": number, "n_startup_trials": 3} | arguments
        study.sampler = TPESampler(**own) if rows is None else KeepingTPE(rows, **own)
        trial = study.ask()
        suggestions.append(dict(suggested(trial)))
        end, value = draw.randrange(5), round(draw.gauss(0, 1), 1)
        if end == 4:
            continue  # still runs
        if end == 3:
            trial.report(value, draw.randrange(4))
        if end == 2:
            study._storage.set_trial_system_attr(trial._trial_id, "constraints:size", value)
        state = TrialState.PRUNED if end == 3 else TrialState.COMPLETE
        study.tell(trial, None if end == 3 else value, state)
    return suggestions


@pytest.mark.parametrize("arguments", ARGUMENTS)
@given(seed=st.integers(0, 2**32), n_trials=st.integers(5, 40))
@settings(max_examples=6, phases=[Phase.generate], deadline=None)
def test_suggests_what_optuna_suggests(
    arguments: dict[str, Any], seed: int, n_trials: int
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    keep_more_integrals()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `group` is experimental
        theirs = drawn(arguments, seed, n_trials, None)
        assert drawn(arguments, seed, n_trials, TrialRows()) == theirs


def test_keeps_the_integrals_of_optuna_itself() -> None:
    from optuna.samplers._tpe import _truncnorm

    keep_more_integrals()
    kept = _truncnorm._log_ndtr_single
    keep_more_integrals()
    assert _truncnorm._log_ndtr_single is kept
    assert kept.cache_parameters()["maxsize"] == 2**17
    places = [draw / 7 for draw in range(-300, 60)]
    assert [kept(place) for place in places] == [kept.__wrapped__(place) for place in places]


def test_trials_that_lack_a_parameter_have_no_row() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows, study = TrialRows(), optuna.create_study()
    space = {"a": optuna.distributions.IntDistribution(0, 9)}
    for name in ("a", "b"):
        study.add_trial(
            optuna.create_trial(params={name: 3}, distributions={name: space["a"]}, value=1.0)
        )
    running = study.ask(space)
    found = KeepingTPE(rows)._get_internal_repr(study.trials, space, study)
    assert found["a"].tolist() == [3.0, running.params["a"]]
    assert rows.of(("a",)) == {0: (3.0,), 1: None, 2: (running.params["a"],)}
