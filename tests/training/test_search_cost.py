"""The time of a search by its arithmetic, and the limit of its baselines."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tunecli.data.fold_store import FoldStore, FoldStoreCache
from tunecli.data.rows.workspace import HERE
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.space.walk import first_value, last_value
from tunecli.study_file.study_file import Study, StudyFile
from tunecli.training.fold_data import folds_of
from tunecli.training.outcome.evaluation import (
    BASELINES,
    MOST_BASELINE_SECONDS,
    BaselineLimit,
    BaselinePlan,
)
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
    assert planned(100, 10).limit.seconds == pytest.approx(0.1 * 10 * math.sqrt(low * high))
    assert planned(100, 20).limit.seconds == pytest.approx(2 * planned(100, 10).limit.seconds)


def test_it_has_ends_and_follows_a_timeout() -> None:
    assert planned(1, 1).limit.seconds == FREE_SECONDS
    assert planned(10_000, 1000).limit.seconds == MOST_BASELINE_SECONDS
    assert planned(10_000, 1000, timeout=60.0).limit.seconds == pytest.approx(6.0)


def test_what_is_left_out_costs_nothing() -> None:
    short, long = planned(1, 1), planned(10_000, 1000)
    assert [*short.seconds] == [*BASELINES["classification"]]
    assert short.seconds["gradient-boosted trees"] == 0
    assert long.seconds["gradient-boosted trees"] > FREE_SECONDS
    assert all(0 <= seconds <= long.limit.seconds for seconds in long.seconds.values())


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


OWN = """
data: digits
validation: {folds: 3}
train: {mine.py:fit: {lr: {float: [0.1, 1]}}}
"""


@pytest.mark.parametrize(
    ("timeout", "limit"),
    [
        (None, BaselineLimit(FREE_SECONDS, math.inf)),
        (200.0, BaselineLimit(20.0, 200.0)),
        (3600.0, BaselineLimit(MOST_BASELINE_SECONDS, 3600.0)),
    ],
)
def test_a_training_of_ones_own_has_no_estimate_so_only_its_timeout_counts(
    timeout: float | None, limit: BaselineLimit, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text("def fit(config, fold, report): ...")
    allowed = AllowedCode.of(tmp_path, [str(tmp_path / "mine.py")])
    file = StudyFile.from_text(OWN, str(tmp_path / "study.yaml"), code=allowed)
    study, (_, stores, store) = file.completed("classification", 1797), study_of(3)
    own = study.resolve(lambda _, range_: first_value(range_))
    assert trial_seconds(own, folds_of(stores.of(own), own)) == math.inf
    plan = plan_baselines(study, stores, store, 1000, timeout)
    assert plan.limit == limit
    takes = plan.seconds["gradient-boosted trees"]
    assert takes == 0 if timeout is None else 0 < takes <= limit.seconds
