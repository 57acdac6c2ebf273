from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.importance import importance
from tunecli.report.analysis.importance_intervals import _quantile, importance_intervals
from tunecli.study_file.settings.ranges import FloatRange

UNIT = FloatRange(0.0, 1.0)


def trial(number: int, value: float, **params: float) -> TrialRecord:
    ranges = dict.fromkeys(params, UNIT)
    return TrialRecord(
        number, number, "complete", "complete", params=params, ranges=ranges, value=value
    )


def study_of(trials: list[TrialRecord]) -> StudyRecord:
    return StudyRecord("sqlite://", 1, "s", "accuracy", "maximize", tuple(trials))


@pytest.fixture(scope="module")
def study() -> StudyRecord:
    """One parameter decides, one does nothing, one is known to five trials only."""
    draw = random.Random(0)
    trials = []
    for n in range(200):
        params = {"decides": draw.random(), "nothing": draw.random()}
        params |= {"rare": draw.random()} if n in (3, 30, 31, 100, 150) else {}
        trials.append(trial(n, params["decides"], **params))
    return study_of(trials)


def test_what_decides_stands_out(study: StudyRecord) -> None:
    found = importance_intervals(study)
    assert found.keys() == importance(study).values.keys()
    assert found["decides"].low > found["nothing"].high
    assert all(0 <= one.low <= one.high <= 1 for one in found.values())
    assert found["rare"].low == 0.0


def test_no_warning_of_a_rare_branch_reaches_the_user(study: StudyRecord) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        importance_intervals(study)
    assert caught == []


def test_the_same_at_each_call(study: StudyRecord) -> None:
    assert importance_intervals(study) == importance_intervals(study)
    assert importance_intervals(study) != importance_intervals(study, seed=1)


def test_nothing_where_there_is_no_importance() -> None:
    assert importance_intervals(study_of([trial(0, 0.5, a=0.5)])) == {}


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30).map(sorted), st.floats(0.0, 1.0))
def test_quantiles_are_numpy_s(values: list[float], share: float) -> None:
    assert _quantile(values, share) == pytest.approx(np.quantile(values, share), abs=1e-6)
