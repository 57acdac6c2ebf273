"""What a study of labels can say, and where what it cannot say is refused."""

from __future__ import annotations

import pytest

from tunecli.errors import StudyFileError
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.study_file import StudyFile

LABELS = "data: {source: t.csv, targets: [a, b], task: multilabel}\n"
CLASSES = "data: {source: t.csv, target: a, task: classification}\n"
MODEL = "model: MLP\noptimizer: AdamW\n"


def test_labels_have_a_loss_and_an_objective_by_default() -> None:
    study = StudyFile.from_text(LABELS + MODEL, "s.yaml").completed("multilabel", 100)
    config = study.resolve(lambda name, range_: None)
    assert config.loss.name == "BCEWithLogitsLoss"
    assert config.objective.metric == Component(name="f1", arguments={"average": "micro"})
    assert config.objective.direction == "maximize"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (
            f"{LABELS}{MODEL}loss: CrossEntropyLoss",
            "loss",
            "CrossEntropyLoss is for classification, but the task is multilabel. Write BCEWith",
        ),
        (
            f"{LABELS}{MODEL}loss: {{BCEWithLogitsLoss: {{weight: balanced}}}}",
            "loss.BCEWithLogitsLoss.weight",
            "a label has no classes to balance. Write pos_weight: balanced.",
        ),
        (
            f"{CLASSES}{MODEL}loss: {{BCEWithLogitsLoss: {{pos_weight: balanced}}}}",
            "loss.BCEWithLogitsLoss.pos_weight",
            "is for multilabel, but the task is classification. Write weight, one number per",
        ),
        (
            f"{LABELS}{MODEL}loss: {{BCEWithLogitsLoss: {{pos_weight: often}}}}",
            "loss.BCEWithLogitsLoss.pos_weight",
            "balanced",
        ),
        (
            f"{LABELS}{MODEL}objective: {{maximize: accuracy}}",
            "objective.maximize",
            "accuracy is for classification, but the task is multilabel. Choose one of",
        ),
        (
            f"{CLASSES}{MODEL}metrics: [hamming]",
            "metrics[0]",
            "hamming is for multilabel, but the task is classification.",
        ),
        (
            f"{LABELS}train: 'my.py:fit'\nobjective: {{maximize: score}}",
            "data.targets",
            "applies only to tunecli's own training loop. Write target: COLUMN",
        ),
    ],
)
def test_what_does_not_fit_is_refused_at_its_line(text: str, place: str, message: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        StudyFile.from_text(text, "s.yaml")
    assert f"{place}: " in str(caught.value)
    assert message in str(caught.value)
