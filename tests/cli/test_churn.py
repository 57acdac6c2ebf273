"""From `init` to `predict` on a table with 5 % positives."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from churn_table import churn_table, write_churn_table
from commands import run_in
from sklearn.metrics import log_loss, roc_auc_score

from tunecli.database.records import read_study
from tunecli.database.urls import sqlite_url
from tunecli.report.analysis.fold_test import LEVEL, p_value
from tunecli.report.findings.all_findings import all_findings
from tunecli.report.findings.evidence.evidence import Evidence

SMALLER = (
    "model.choice.TabM.k=4",
    "model.choice.TabM.d_block=64",
    "model.choice.MLP.width=64",
    "training.epochs=20",
)
SMALL = [word for setting in SMALLER for word in ("--set", setting)]
"""Networks as `init` writes them would take minutes."""


@pytest.mark.slow
def test_the_winner_beats_guessing_and_ranks_as_a_logistic_regression(tmp_path: Path) -> None:
    write_churn_table(tmp_path / "churn.csv")
    run_in(tmp_path, "init", "churn.csv", "--target", "churned")
    searched = run_in(
        tmp_path, "search", "churn.yaml", "--trials", "15", "--jobs", "2", *SMALL
    ).stderr
    assert "positive    class 'yes', 120 of the 2,400 rows for the search (5.0%)" in searched
    assert "average_precision of 'yes'" in searched
    study = read_study(sqlite_url(tmp_path / "runs" / "churn" / "study.db"))
    evidence = Evidence.of(study)
    guess, linear, _ = study.baselines
    best = evidence.ranked[0]
    assert best.value is not None
    assert best.value < sum(guess.fold_scores) / len(guess.fold_scores) - 0.005
    ours, theirs = evidence.best_metrics["roc_auc"], linear.fold_metrics["roc_auc"]
    is_as_good = best.metrics["roc_auc"] >= linear.metrics["roc_auc"]
    assert is_as_good or p_value(ours, theirs, ratio=evidence.n_valid_per_train) >= LEVEL
    assert linear.metrics["roc_auc"] == pytest.approx(0.72, abs=0.02)
    assert not [one for one in all_findings(evidence) if one.severity == "problem"]
    report = run_in(tmp_path, "report", "churn").stdout
    assert "The best trial, untuned models and guessing" in report
    run_in(tmp_path, "refit", "churn")
    model = tmp_path / "runs" / "churn" / "model"
    assert "`yes` is the positive class." in (model / "README.md").read_text()
    new = churn_table(n_rows=4_000, seed=1)
    new.drop(columns="churned").to_csv(tmp_path / "new.csv", index=False)
    run_in(tmp_path, "predict", "runs/churn/model", "new.csv", "--proba", "-o", "predicted.csv")
    predicted = pd.read_csv(tmp_path / "predicted.csv")["probability_yes"]
    left = new["churned"] == "yes"
    assert log_loss(left, predicted) < log_loss(left, [left.mean()] * len(left))
    assert roc_auc_score(left, predicted) > 0.67
