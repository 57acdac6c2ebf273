"""Which look at the test set counts, and what of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from study_makers import complete, made, mlp

from tunecli.database.records import read_study
from tunecli.report.analysis.expected_score import RowCounts
from tunecli.report.findings.evidence import evidence as evidence_module
from tunecli.report.findings.evidence.evidence import Evidence

AT = "2026-01-01T00:00:00+00:00"
OLD = {"trial": 0, "at": AT, "score": 0.8, "low": 0.7608, "high": 0.8392}
NEW = {**OLD, "score": 0.81, "n_networks": 2, "single": 0.79, "n_test": 360}
NEW |= {"n_fold": 718.5, "n_valid": 1437.0, "compressed": False, "of_folds": 0.78}


def evidence_of(folder: Path, *looks: dict[str, Any]) -> Evidence:
    trials = [(mlp(0.1), complete(0.9, 0.92)), (mlp(0.2), complete(0.8, 0.82))]
    return Evidence.of(read_study(made(folder, trials, attributes={"test_looks": looks})))


def test_a_look_of_an_earlier_version_is_one_of_a_single_network(tmp_path: Path) -> None:
    found = evidence_of(tmp_path, OLD)
    assert found.test == evidence_module.TestScore(0.8, 0.7608, 0.8392)
    assert found.test.compared == 0.8
    assert found.test.error == pytest.approx(0.02, rel=1e-3)
    assert found.expected is not None, "the numbers of rows are those of the summary"
    assert found.expected.n_test == 360


def test_the_newest_look_at_the_best_trial_counts(tmp_path: Path) -> None:
    found = evidence_of(tmp_path, OLD, NEW, OLD | {"trial": 1, "score": 0.1}).test
    assert found is not None
    assert (found.score, found.compared, found.n_networks) == (0.81, 0.79, 2)
    assert found.rows == RowCounts(718.5, 1437.0, 360)
    assert found.of_folds == 0.78


def test_a_model_that_was_compressed_afterwards_says_nothing_of_the_test_rows(
    tmp_path: Path,
) -> None:
    found = evidence_of(tmp_path, OLD, NEW | {"compressed": True, "score": 0.1}).test
    assert found is not None
    assert found.score == 0.8


def test_the_bootstrap_and_the_summary_give_the_same_interval_as_the_stored_rows(
    tmp_path: Path,
) -> None:
    stored, derived = evidence_of(tmp_path / "a", NEW), evidence_of(tmp_path / "b", OLD)
    assert stored.expected is not None
    assert derived.expected is not None
    assert stored.expected.low == pytest.approx(derived.expected.low)
