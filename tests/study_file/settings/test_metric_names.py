"""What a study file says of metrics: their arguments, their labels, and everyday names."""

from __future__ import annotations

import re

import pytest

from tunecli.errors import StudyFileError
from tunecli.study_file.settings.metric_names import label
from tunecli.study_file.study_file import StudyFile

HEAD = "data: {source: table.csv, target: y}\nmodel: MLP\noptimizer: {AdamW: {lr: 1e-3}}\n"


def read(metrics: str) -> StudyFile:
    return StudyFile.from_text(HEAD + f"metrics: {metrics}\n", "study.yaml")


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("fbeta", "fbeta needs beta: a number above 0."),
        ("{fbeta: {beta: 0}}", "beta must be a number above 0, but got the number 0."),
        ("{top_k_accuracy: {k: 0}}", "k must be a whole number at least 1, but got the number 0."),
        ("{top_k_accuracy: {k: 1.5}}", "a whole number at least 1, but got the number 1.5."),
        ("{top_k_accuracy: {k: true}}", "k must be a whole number at least 1, but got true."),
        ("{cohen_kappa: {weights: linaer}}", "Did you mean `linear`?"),
        ("{f1: {average: {choice: [macro, micro]}}}", "average"),
    ],
)
def test_arguments_are_checked_at_their_line(metric: str, message: str) -> None:
    with pytest.raises(StudyFileError, match=re.escape(message)) as raised:
        read(f"[{metric}]")
    assert str(raised.value).startswith("study.yaml:4:")


@pytest.mark.parametrize("alpha", ["-0.1", "1.1", ".inf", ".nan"])
def test_a_quantile_is_a_share(alpha: str) -> None:
    with pytest.raises(StudyFileError, match=r"metrics\[0\]\.pinball\.alpha: "):
        read(f"[{{pinball: {{alpha: {alpha}}}}}]")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("acc", "accuracy"),
        ("AUC", "roc_auc"),
        ("ce", "log_loss"),
        ("qwk", "cohen_kappa"),
        ("ap", "average_precision"),
        ("PR_AUC", "average_precision"),
        ("auprc", "average_precision"),
        ("mean_squared_error", "mse"),
        ("r2_score", "r2"),
        ("f1_score", "f1"),
        ("error", "accuracy"),
    ],
)
def test_everyday_names_are_known(name: str, meant: str) -> None:
    with pytest.raises(StudyFileError, match=f"unknown metric `{name}`. Did you mean `{meant}`?"):
        read(f"[{name}]")


def test_labels_name_the_arguments_that_are_not_the_default() -> None:
    study = read(
        "[{fbeta: {beta: 2}}, {fbeta: {beta: 0.5, average: micro}}, {top_k_accuracy: {k: 2}}, "
        "{top_k_accuracy: {k: 5}}, cohen_kappa, {cohen_kappa: {weights: quadratic}}]"
    )
    assert [label(metric) for metric in study.metrics] == [
        "fbeta_2",
        "fbeta_0.5_micro",
        "top_k_accuracy",
        "top_k_accuracy_5",
        "cohen_kappa",
        "cohen_kappa_quadratic",
    ]


def test_an_argument_at_its_default_makes_no_second_metric() -> None:
    with pytest.raises(StudyFileError, match="pinball occurs twice"):
        read("[pinball, {pinball: {alpha: 0.5}}]")


def test_a_metric_of_another_task_is_told_at_its_own_line() -> None:
    """An objective among the metrics, and a wrong metric before it, move no place."""
    text = HEAD + "objective: {maximize: accuracy}\nmetrics:\n- accuracy\n- f1\n- rmse\n"
    study = StudyFile.from_text(text, "study.yaml")
    with pytest.raises(StudyFileError, match=r"study.yaml:8:3: metrics\[2\]: rmse is for regr"):
        study.completed("classification", 100)
    bundled = text.replace("{source: table.csv, target: y}", "digits").replace(
        "- f1", "- nonsense"
    )
    with pytest.raises(StudyFileError, match=r"study.yaml:8:3: metrics\[2\]: rmse is for regr"):
        StudyFile.from_text(bundled, "study.yaml")


@pytest.mark.parametrize("off", ["none", "{min: none}"])
def test_a_limit_that_is_off_may_name_a_metric_of_another_task(off: str) -> None:
    text = (
        f"{HEAD}objective: {{minimize: rmse}}\nconstraints: {{accuracy: {off}, r2: {{min: 0}}}}\n"
    )
    study = StudyFile.from_text(text, "study.yaml").completed("regression", 100)
    assert [one.metric.name for one in study.constraints] == ["r2"]
    with pytest.raises(StudyFileError, match="accuracy is for classification"):
        StudyFile.from_text(text.replace(off, "{min: 0.5}"), "a.yaml").completed("regression", 9)
