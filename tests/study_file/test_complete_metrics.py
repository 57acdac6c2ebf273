"""What a study's metrics average, once its data is known."""

from __future__ import annotations

import pytest

from tunecli.errors import StudyFileError
from tunecli.study_file.print_study import to_yaml
from tunecli.study_file.settings.metric_names import label, title, titles
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.study_file import Study, StudyFile

TEXT = (
    "data: {source: t.csv, target: y}\nmodel: Linear\noptimizer: SGD\n"
    "objective: {maximize: f1}\n"
    "metrics: [precision, {recall: {average: weighted}}, average_precision, {fbeta: {beta: 2}}]\n"
    "constraints: {recall: {min: 0.1}}\n"
)


def completed(text: str = TEXT, positive: str | None = "yes") -> Study:
    return StudyFile.from_text(text, "s.yaml").completed("classification", 100, (), positive)


def labels(study: Study) -> list[str]:
    return [label(one) for one in (study.objective.metric, *study.metrics)]


def test_metrics_of_two_classes_are_of_the_positive_one() -> None:
    study = completed()
    assert labels(study) == [
        "f1_binary",
        "precision_binary",
        "recall_weighted",
        "average_precision_binary",
        "fbeta_2_binary",
    ]
    assert label(study.constraints[0].metric) == "recall_binary"
    assert study.data.positive == "yes"
    assert titles(study.first_config) == {
        "f1_binary": "f1 of 'yes'",
        "precision_binary": "precision of 'yes'",
        "recall_weighted": "recall (weighted)",
        "recall_binary": "recall of 'yes'",
        "average_precision_binary": "average_precision of 'yes'",
        "fbeta_2_binary": "fbeta_2 of 'yes'",
    }


def test_without_a_positive_class_they_are_macro_averages_under_their_old_names() -> None:
    """So a study of a version without it resumes: the same labels, and the same scores."""
    study = completed(positive=None)
    assert labels(study) == ["f1", "precision", "recall_weighted", "average_precision", "fbeta_2"]
    assert titles(study.first_config)["f1"] == "f1 (macro)"
    assert study.data.positive is None


def test_the_file_names_the_positive_class_itself() -> None:
    text = TEXT.replace("target: y", "target: y, positive: no")
    assert completed(text).data.positive == "no"


@pytest.mark.parametrize("positive", ["yes", None])
def test_the_resolved_file_says_the_average_and_reads_back_equal(positive: str | None) -> None:
    study = completed(positive=positive)
    assert f"f1: {{average: {'binary' if positive else 'macro'}}}" in study.to_yaml()
    assert completed(study.to_yaml(), positive=positive) == study


def test_a_configuration_of_an_earlier_version_repeats_as_macro() -> None:
    config = completed(positive=None).first_config
    old = config.model_copy(
        update={
            "objective": config.objective.model_copy(update={"metric": Component(name="f1")}),
            "metrics": (Component(name="precision"),),
        }
    )
    again = completed(to_yaml(old, "again"))
    assert labels(again) == ["f1", "precision"]


@pytest.mark.parametrize(
    ("given", "positive"), [("macro", None), ("binary", "yes"), ("macro", "yes")]
)
def test_a_metric_that_becomes_equal_to_another_occurs_twice(
    given: str, positive: str | None
) -> None:
    text = TEXT.replace("[precision,", f"[precision, {{precision: {{average: {given}}}}},")
    if (given, positive) == ("macro", "yes"):
        assert len(completed(text).metrics) == 5
        return
    with pytest.raises(
        StudyFileError, match=r"s.yaml:5:\d+: metrics\[1\]: precision occurs twice"
    ):
        completed(text, positive=positive)


def test_the_objective_under_another_average_is_another_metric() -> None:
    text = TEXT.replace("[precision,", "[{f1: {average: macro}}, f1,")
    assert labels(completed(text))[:2] == ["f1_binary", "f1"]


def test_own_training_gives_its_own_meaning_to_names() -> None:
    text = "data: {source: t.csv, target: y}\ntrain: t.py:fit\nobjective: {maximize: f1}\n"
    study = completed(text)
    assert label(study.objective.metric) == "f1"
    assert titles(study.first_config) == {}


def test_other_metrics_have_their_label_as_title() -> None:
    assert title(Component(name="roc_auc"), "yes") == "roc_auc"
    assert title(Component(name="m.py:f1"), "yes") == "f1"
    assert title(Component(name="accuracy"), None) == "accuracy"


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (Component(name="roc_auc"), "roc_auc (macro)"),
        (Component(name="roc_auc", arguments={"average": "weighted"}), "roc_auc (weighted)"),
        (Component(name="top_k_accuracy"), "top_k_accuracy (k=2)"),
        (Component(name="top_k_accuracy", arguments={"k": 5}), "top_k_accuracy (k=5)"),
        (Component(name="fbeta", arguments={"beta": 2, "average": "macro"}), "fbeta_2 (macro)"),
    ],
)
def test_the_title_says_the_average_over_several_classes_and_k(
    metric: Component, text: str
) -> None:
    assert title(metric, None) == text
