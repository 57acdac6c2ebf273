from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted_studies import Plant, planted

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.findings.evidence import evidence as evidence_module
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.optimism import expected_luck, optimism, paired_noises


def equal_trials(n_trials: int, noise: float, seed: int = 0) -> Evidence:
    """Configurations of one quality, on five folds of their own difficulty."""
    draw = np.random.default_rng(seed)
    folds = draw.normal(0.9, 0.05, 5)
    return study_of(folds + draw.normal(0.0, noise, (n_trials, 5)))


def study_of(scores: np.ndarray) -> Evidence:
    """One trial a row, one fold a column."""
    trials = tuple(
        TrialRecord(
            n, n, "complete", "complete", value=float(row.mean()), fold_scores=tuple(row.tolist())
        )
        for n, row in enumerate(scores)
    )
    return Evidence(StudyRecord("sqlite://", 1, "s", "accuracy", "maximize", trials))


def test_noise_is_told_apart_from_what_folds_do_to_all() -> None:
    noises = paired_noises(equal_trials(200, noise=0.01).study.trials)
    assert noises is not None
    assert np.sqrt((noises**2).mean()) == pytest.approx(0.01 / 5**0.5, rel=0.1)


def test_bad_trials_that_waver_bring_no_luck_to_good_ones() -> None:
    """Four equal trials, and 26 far behind with ten times the noise: the mean of 30 studies."""
    told, true = [], []
    for seed in range(30):
        draw = np.random.default_rng(seed)
        means = np.array([0.95] * 4 + [*draw.uniform(0.4, 0.8, 26)])
        noises = np.array([0.006] * 4 + [0.06] * 26)
        scores = means[:, None] + draw.normal(0.0, 1.0, (30, 5)) * noises[:, None]
        told.append(expected_luck(study_of(scores)))
        true.append(scores.mean(axis=1).max() - 0.95)
    assert 0.5 * np.mean(true) < np.mean(told) < 2 * np.mean(true)


def test_luck_grows_with_the_number_of_trials_and_is_none_without_folds() -> None:
    lucks = [expected_luck(equal_trials(n, noise=0.01)) for n in (2, 10, 50)]
    assert lucks == sorted(lucks)
    largest = np.random.default_rng(1).normal(0, 0.01 / 5**0.5, (20_000, 50)).max(axis=1).mean()
    assert 0 < lucks[-1] <= 1.1 * largest
    assert expected_luck(Evidence(StudyRecord("sqlite://", 1, "s", "m", "maximize"))) is None


def test_without_a_test_score_nothing_is_said() -> None:
    assert optimism(planted(Plant(), 0)) == []


@pytest.mark.parametrize(("below", "severity"), [(0.0, "note"), (0.2, "advice")])
def test_a_test_score_far_below_is_advice(below: float, severity: str) -> None:
    study = planted(Plant(), 0)
    best = study.ranked[0].value
    assert best is not None
    score = best - below
    test = evidence_module.TestScore(score, score - 0.02, score + 0.02)
    (finding,) = optimism(replace(study, test=test))
    assert finding.severity == severity
    explanation = "explains only part of the gap" if below else "was not too optimistic"
    assert explanation in finding.sentence


def test_choosing_never_explains_more_than_there_is() -> None:
    study = planted(Plant(), 0)
    best = study.ranked[0].value
    assert best is not None
    test = evidence_module.TestScore(best - 1e-4, best - 0.02, best + 0.02)
    (finding,) = optimism(replace(study, test=test))
    assert "explains all of the gap" in finding.sentence
