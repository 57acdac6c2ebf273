from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from study_makers import complete, made

from tunecli.report.importance import importance
from tunecli.report.importance_intervals import _quantile, importance_intervals
from tunecli.report.records import StudyRecord, read_study

UNIT = FloatDistribution(0.0, 1.0)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    """One parameter decides, one does nothing, one is known to two trials only."""
    draw = random.Random(0)
    trials = []
    for n in range(200):
        decides, nothing = draw.random(), draw.random()
        params = {"decides": (decides, UNIT), "nothing": (nothing, UNIT)}
        params |= {"rare": (draw.random(), UNIT)} if n in (3, 30) else {}
        trials.append((params, complete(decides, decides)))
    return read_study(made(tmp_path_factory.mktemp("intervals"), trials))


def test_what_decides_stands_out(study: StudyRecord) -> None:
    found = importance_intervals(study)
    assert found.keys() == importance(study).values.keys()
    assert found["decides"].low > found["nothing"].high
    assert all(0 <= one.low <= one.high <= 1 for one in found.values())
    assert found["rare"].low == 0.0


def test_the_same_at_each_call(study: StudyRecord) -> None:
    assert importance_intervals(study) == importance_intervals(study)
    assert importance_intervals(study) != importance_intervals(study, seed=1)


def test_nothing_where_there_is_no_importance(tmp_path: Path) -> None:
    few = read_study(made(tmp_path, [({"a": (0.5, UNIT)}, complete(0.5))]))
    assert importance_intervals(few) == {}


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30).map(sorted), st.floats(0.0, 1.0))
def test_quantiles_are_numpy_s(values: list[float], share: float) -> None:
    assert _quantile(values, share) == pytest.approx(np.quantile(values, share), abs=1e-6)
