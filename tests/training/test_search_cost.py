"""The time of a search by its arithmetic, and the limit of its baselines."""

from __future__ import annotations

import math

import pytest

from tunecli.data.fold_store import FoldStore, FoldStoreCache
from tunecli.data.rows.workspace import HERE
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.space.walk import first_value, last_value
from tunecli.study_file.study_file import Study, StudyFile
from tunecli.training.fold_data import folds_of
from tunecli.training.outcome.evaluation import BASELINES, MOST_BASELINE_SECONDS, BaselinePlan
from tunecli.training.search_cost import FREE_SECONDS, plan_baselines, trial_seconds

STUDY = """
data: digits
validation: {folds: 3}
model: {MLP: {width: {int: [16, 256], log: true}}}
optimizer: AdamW
training: {epochs: EPOCHS, early_stopping: none}
search: {pruner: none}
"""


def study_of(epochs: int, extra: str = "") -> tuple[Study, FoldStoreCache, FoldStore]:
    text = STUDY.replace("EPOCHS", str(epochs)) + extra
    study = StudyFile.from_text(text, "study.yaml").completed("classification", 1797)
    stores = FoldStoreCache(HERE)
    store = stores.of(study.resolve(lambda _, range_: first_value(range_)))
    assert isinstance(store, FoldStore)
    return study, stores, store


def planned(epochs: int, n_trials: int, timeout: float | None = None) -> BaselinePlan:
    return plan_baselines(*study_of(epochs), n_trials, timeout)


def test_the_limit_is_a_tenth_of_all_trials() -> None:
    study, stores, _ = study_of(100)
    ends = (study.resolve(lambda _, range_, of=of: of(range_)) for of in (first_value, last_value))
    low, high = (trial_seconds(end, folds_of(stores.of(end), end)) for end in ends)
    assert low < high
    assert planned(100, 10).limit == pytest.approx(0.1 * 10 * math.sqrt(low * high))
    assert planned(100, 20).limit == pytest.approx(2 * planned(100, 10).limit)


def test_it_has_ends_and_follows_a_timeout() -> None:
    assert planned(1, 1).limit == FREE_SECONDS
    assert planned(10_000, 1000).limit == MOST_BASELINE_SECONDS
    assert planned(10_000, 1000, timeout=60.0).limit == pytest.approx(6.0)


def test_what_is_left_out_costs_nothing() -> None:
    short, long = planned(1, 1), planned(10_000, 1000)
    assert [*short.seconds] == [*BASELINES["classification"]]
    assert short.seconds["gradient-boosted trees"] == 0
    assert long.seconds["gradient-boosted trees"] > FREE_SECONDS
    assert all(0 <= seconds <= long.limit for seconds in long.seconds.values())


def test_more_epochs_and_folds_cost_as_much_more() -> None:
    study, stores, _ = study_of(3)
    config = study.resolve(lambda _, range_: first_value(range_))
    folds = folds_of(stores.of(config), config)
    longer = config.training.model_copy(update={"epochs": 9})
    once = trial_seconds(config, folds)
    assert trial_seconds(config.model_copy(update={"training": longer}), folds) == pytest.approx(
        3 * once
    )
    assert trial_seconds(config, folds[:1]) == pytest.approx(once / 3)


def test_a_training_of_ones_own_has_no_estimate() -> None:
    study, stores, _ = study_of(3)
    config = study.resolve(lambda _, range_: first_value(range_))
    own = config.model_copy(update={"train": Component(name="mine.py:fit")})
    assert trial_seconds(own, folds_of(stores.of(config), config)) == math.inf
