from __future__ import annotations

import pytest

from tunecli.errors import StudyFileError
from tunecli.study_file.study_file import StudyFile

DATA = "source: c.txt, task: language_modeling"
MODEL = "TransformerDecoder"
OPTIMIZER = "optimizer: {SGD: {lr: 0.1}}"


def study(data: str = DATA, model: str = MODEL, more: str = "") -> StudyFile:
    text = f"data: {{{data}}}\nmodel: {model}\n{OPTIMIZER}\n{more}\n"
    return StudyFile.from_text(text, "s.yaml")


def test_a_language_model_minimizes_perplexity_on_a_tenth_by_default() -> None:
    completed = study().completed("language_modeling", 500)
    assert completed.objective.direction == "minimize"
    assert completed.objective.metric.name == "perplexity"
    assert completed.validation.holdout == 0.1
    assert completed.shared_data.test == 0.1
    assert completed.first_config.loss.name == "CrossEntropyLoss"


REFUSED = {
    "source: c.txt": ("data.task", "a text file has no targets. Write task: language_modeling."),
    "source: t.csv, target: y, block_size: 8": ("data.block_size", "applies only to language mod"),
    f"{DATA}, target: y": ("data.target", "applies only to a table or a file of arrays"),
    "source: t.csv, task: language_modeling": ("data.text", "needs a column of text"),
    "source: t.csv, task: language_modeling, text: a, completion: b": (
        "data.completion",
        "Remove completion or text",
    ),
    "source: t.csv, task: language_modeling, prompt: a": ("data.prompt", "requires completion"),
    "source: t.csv, task: language_modeling, text: a, weights: w": (
        "data.weights",
        "has no effect",
    ),
    "source: x.npz, task: language_modeling": ("data.task", "needs text, but the source is a fi"),
    f"{DATA}, max_length: 9": ("data.max_length", "Write block_size"),
    f"{DATA}, block_size: 0": ("data.block_size", "1"),
}


@pytest.mark.parametrize("data", REFUSED)
def test_data_that_does_not_fit_is_refused_at_its_line(data: str) -> None:
    place, message = REFUSED[data]
    with pytest.raises(StudyFileError) as error:
        study(data)
    assert any(f"{place}: " in line and message in line for line in str(error.value).splitlines())


@pytest.mark.parametrize(
    ("more", "place", "message"),
    [
        ("loss: {CrossEntropyLoss: {weight: balanced}}", "loss", "predicts tokens"),
        ("loss: NLLLoss", "loss", "NLLLoss is for classification, but the task is language_mod"),
        (
            "objective: {maximize: accuracy}",
            "objective",
            "Choose one of `log_loss`, `perplexity`, `bits_per_byte`",
        ),
        ("training: {mixup: 0.2}", "training.mixup", "tokens cannot be mixed"),
        ("training: {input_noise: 0.2}", "training.input_noise", "tokens cannot be mixed"),
    ],
)
def test_settings_that_do_not_fit_tokens_are_refused(more: str, place: str, message: str) -> None:
    with pytest.raises(StudyFileError) as error:
        study(more=more)
    assert place in str(error.value)
    assert message in str(error.value)


def test_models_of_tokens_and_others_are_told_apart() -> None:
    with pytest.raises(StudyFileError, match="MLP does not predict tokens"):
        study(model="MLP")
    with pytest.raises(StudyFileError, match="TransformerDecoder predicts tokens"):
        study("source: iris")
