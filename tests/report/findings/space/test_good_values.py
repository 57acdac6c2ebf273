"""A parameter is without effect only if all its values were compared among the good trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.space.dead import dead
from tunecli.report.findings.space.good_values import (
    are_all_parts_good,
    chance_of_parts,
    part_of,
    parts,
)
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range

OPTIONS = Categories(("SiLU", "ReLU", "Tanh"))


def study(values: Sequence[object], scores: Sequence[float], kind: Range = OPTIONS) -> Evidence:
    trials = tuple(
        TrialRecord(
            n,
            n,
            "complete",
            "complete",
            value=float(score),
            params={"x": value},
            ranges={"x": kind},
        )
        for n, (value, score) in enumerate(zip(values, scores, strict=True))
    )
    return Evidence(StudyRecord("sqlite://", 1, "s", "accuracy", "maximize", trials))


def names_x(evidence: Evidence) -> bool:
    return any("x" in finding.parameters for finding in dead(evidence))


@given(st.lists(st.sampled_from(OPTIONS.choices), min_size=25, max_size=60))
def test_it_has_an_effect_if_the_ten_best_share_one_value(others: list[str]) -> None:
    """Whatever the rest looks like."""
    values = ["SiLU"] * 10 + others
    assert not names_x(study(values, [1.0 - n / 100 for n in range(len(values))]))


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.34, 0.67]))
def test_it_has_an_effect_if_the_ten_best_lie_in_one_third(seed: int, low: float) -> None:
    draw = np.random.default_rng(seed)
    values = [*draw.uniform(low + 0.01, low + 0.32, 10), *draw.uniform(size=30)]
    scores = [1.0 - n / 100 for n in range(40)]
    assert not names_x(study(values, scores, FloatRange(0.0, 1.0)))


def test_a_value_that_is_as_good_everywhere_is_without_effect() -> None:
    values = [OPTIONS.choices[n % 3] for n in range(120)]
    scores = [1.0 - n / 100 for n in range(120)]
    assert names_x(study(values, scores))
    better = [score + 3 * (value == "SiLU") for score, value in zip(scores, values, strict=True)]
    assert not names_x(study(values, better))


def test_the_chance_is_that_of_an_analysis_of_variance() -> None:
    draw = np.random.default_rng(1)
    values = [OPTIONS.choices[n] for n in draw.integers(0, 3, 80)]
    evidence = study(values, draw.normal(size=80))
    better = evidence.ranked[:40]
    groups = [[t.value for t in better if t.params["x"] == one] for one in OPTIONS.choices]
    expected = stats.f_oneway(*groups).pvalue
    assert chance_of_parts(evidence, evidence.ranked, "x") == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "n_parts"),
    [
        (OPTIONS, 3),
        (Categories((True, None)), 2),
        (FloatRange(0.0, 1.0), 3),
        (FloatRange(1e-4, 1.0, log=True), 3),
        (IntRange(1, 2), 2),
        (IntRange(1, 3), 3),
        (IntRange(16, 256, log=True), 3),
        (IntRange(1, 4, log=True), 3),
        (FloatRange(0.0, 0.2, step=0.1), 3),
        (FloatRange(0.0, 0.1, step=0.1), 2),
    ],
)
def test_parts_are_options_or_thirds_that_have_values(kind: Range, n_parts: int) -> None:
    assert len(parts(kind)) == n_parts


@given(st.integers(1, 40), st.integers(0, 40), st.booleans())
def test_every_whole_number_lies_in_a_part(low: int, width: int, log: bool) -> None:
    kind = IntRange(low, low + width, log=log)
    found = {part_of(kind, value) for value in range(low, low + width + 1)}
    assert found == parts(kind)


def test_a_part_without_a_good_trial_was_not_compared() -> None:
    values = ["SiLU", "ReLU"] * 8 + ["Tanh"] * 14
    evidence = study(values, [1.0 - n / 100 for n in range(30)])
    assert not are_all_parts_good(evidence, evidence.ranked, "x")
