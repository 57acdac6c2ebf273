"""Settings of text: ranges in them, what prints them again, and mistakes at their line."""

from __future__ import annotations

import pytest

from tunecli.errors import StudyFileError
from tunecli.study_file.locate_config import match
from tunecli.study_file.print_study import to_yaml
from tunecli.study_file.settings.settings import Component, DataSettings
from tunecli.study_file.space.walk import first_value
from tunecli.study_file.study_file import Study, StudyFile

REST = """
model: EmbeddingBag
optimizer: {Adam: {lr: 0.01}}
training: {epochs: 2}
"""
SEARCHED = """
data:
  source: t.csv
  target: y
  text: [title, body]
  tokenizer:
    choice:
      words: {min_frequency: {int: [1, 3]}}
      BPE: {vocab_size: {int: [1000, 8000], log: true}}
  max_length: {choice: [64, 128]}
"""


def study(data: str) -> Study:
    return StudyFile.from_text(data + REST, "a.yaml").completed("classification", 100, ())


@pytest.mark.parametrize(
    ("source", "model", "message"),
    [
        ("iris", "TextCNN", "TextCNN takes text, but iris has none. Use MLP or Linear."),
        ("digits", "LSTM", "LSTM takes text, but digits has none. Use CNN or MLP."),
        (
            "iris",
            "{AutoModelForSequenceClassification: {config: bert}}",
            "AutoModelForSequenceClassification takes text, but iris has none.",
        ),
        (
            "{source: t.csv, target: y}",
            "{AutoModelForSequenceClassification: {config: bert}}",
            "takes text, but data.text names no column. Write data: {text: COLUMN}, or use MLP",
        ),
    ],
)
def test_a_model_of_text_is_refused_for_data_known_to_have_none(
    source: str, model: str, message: str
) -> None:
    text = f"data: {source}\nmodel: {model}\noptimizer: Adam\n"
    with pytest.raises(StudyFileError) as caught:
        StudyFile.from_text(text, "a.yaml")
    assert message in str(caught.value)


MODELS = """data: {source: t.csv, target: y, text: t}
model:
  choice:
    TextCNN:
      vectors: no.txt
    AutoModelForSequenceClassification:
      config: bert
      adapter:
        choice:
          - LoraConfig:
              r: 8
              target_modules: [nosuch]
optimizer: Adam
"""


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("model.TextCNN.vectors", 5),
        ("model.AutoModelForSequenceClassification", 6),
        ("model.AutoModelForSequenceClassification.adapter.LoraConfig", 10),
        ("model.AutoModelForSequenceClassification.adapter.LoraConfig.target_modules", 12),
    ],
)
def test_what_does_not_fit_has_the_line_of_its_argument(setting: str, line: int) -> None:
    found = StudyFile.from_text(MODELS, "a.yaml")
    name = "model.AutoModelForSequenceClassification.adapter"
    params = {"model": setting.split(".")[1], name: "LoraConfig"}
    assert found.problem(f"{setting}: it does not fit.", params).line == line


def test_tokenizers_and_lengths_are_searched() -> None:
    found = study(SEARCHED)
    assert [parameter.name for parameter in found.parameters] == [
        "data.tokenizer",
        "data.tokenizer.words.min_frequency",
        "data.tokenizer.BPE.vocab_size",
        "data.max_length",
    ]
    first = found.first_config.data
    assert first.tokenizer == Component(name="words", arguments={"min_frequency": 1})
    assert (first.max_length, first.text) == (64, ["title", "body"])
    located = match(found.tree, found.first_config, {})
    assert located.misfits == ()
    assert located.answers["data.max_length"] == 64
    assert found.resolve(lambda name, range_: located.answers[name]) == found.first_config


def test_what_is_printed_reads_back_equal() -> None:
    found = study(SEARCHED)
    again = StudyFile.from_text(found.to_yaml(), "a.yaml")
    assert (again.tree, again.shared_data) == (found.tree, found.shared_data)
    config = found.resolve(lambda _, range_: first_value(range_))
    trial = StudyFile.from_text(to_yaml(config, "one"), "a.yaml")
    assert trial.completed("classification", 100, ()).first_config == config


def test_studies_without_text_are_printed_and_stored_as_before() -> None:
    text = f"data: {{source: t.csv, target: y}}{REST.replace('EmbeddingBag', 'MLP')}"
    found = StudyFile.from_text(text, "a.yaml").completed("classification", 100, ())
    printed = found.to_yaml()
    assert not any(word in printed for word in ("tokenizer", "max_length", "text"))
    before = '{"source": "t.csv", "target": "y"}'
    data = DataSettings.model_validate_json(before)
    assert (data.text, data.tokenizer, data.max_length) == ([], None, None)


def test_a_variant_replaces_the_tokenizer() -> None:
    variants = "variant: {choice: {a: {data: {tokenizer: characters, max_length: 9}}, b: {}}}\n"
    found = study(f"{variants}data: {{source: t.csv, target: y, text: body}}")
    names = {
        label: found.resolve(lambda _, __, label=label: label).data.tokenizer for label in "ab"
    }
    assert names == {"a": Component(name="characters"), "b": None}


DATA = "data: {{source: t.csv, target: y, text: body, {}}}"


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (
            DATA.format("tokenizer: word"),
            r"a.yaml:1:46: data.tokenizer: unknown tokenizer `word`. Did",
        ),
        (
            DATA.format("tokenizer: {BPE: {vocab_size: 100}}"),
            r"vocab_size must be at least 258, but got 100",
        ),
        (
            DATA.format("tokenizer: {words: {vocabsize: 9}}"),
            r"words has no argument `vocabsize`. Did",
        ),
        (DATA.format("tokenizer: {words: {texts: [a]}}"), r"texts of words cannot be set"),
        (
            DATA.format("tokenizer: {words: {min_frequency: 0}}"),
            r"min_frequency must be at least 1",
        ),
        (DATA.format("max_length: 0"), r"data.max_length: must be at least 1, but got 0"),
        (DATA.format("max_length: {int: [0, 9]}"), r"data.max_length: must be at least 1"),
        (DATA.format("block_size: {int: [1, 9]}"), r"data.block_size cannot be a range"),
        (
            "data: {source: t.csv, target: y, tokenizer: words}",
            r"data.tokenizer: applies only to text, .* Name a column of text \(text: COLUMN\)",
        ),
        (
            "data: {source: digits, max_length: 9}",
            r"data.max_length: applies only to text, but the data has none. Remove this setting",
        ),
        ("data: {source: digits, text: a}", r"data.text: applies only to a table"),
    ],
)
def test_mistakes_are_reported_at_their_line(data: str, match: str) -> None:
    with pytest.raises(StudyFileError, match=match):
        StudyFile.from_text(data + REST, "a.yaml")


PRETRAINED = "{AutoModelForSequenceClassification: {pretrained: a}}"
TRAINING = "optimizer: {Adam: {lr: 0.01}}\ntraining: {epochs: 2}\n"


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ("tokenizer: words", "a.yaml:1:57: data.tokenizer: .* has its own tokenizer. Remove it"),
        ("tokenizer: {choice: [words, BPE]}", "its own tokenizer. Remove it"),
        ("max_length: 9", "a.yaml:1:58: data.max_length: .* Write max_length among its arguments"),
        ("max_length: {int: [8, 9]}", "data.max_length: .* Write max_length among its arguments"),
    ],
)
def test_settings_of_tokens_are_refused_if_all_models_are_pretrained(
    setting: str, match: str
) -> None:
    start = DATA.format(setting)
    with pytest.raises(StudyFileError, match=match):
        StudyFile.from_text(f"{start}\nmodel: {PRETRAINED}\n{TRAINING}", "a.yaml")


def test_a_trial_of_a_pretrained_model_is_printed_without_the_tokenizer_of_others() -> None:
    start = DATA.format("tokenizer: words, max_length: 9")
    text = f"{start}\nmodel: {{choice: [TextCNN, {PRETRAINED}]}}\n{TRAINING}"
    found = StudyFile.from_text(text, "a.yaml").completed("classification", 100, ())
    for option, expected in (("TextCNN", "words"), ("AutoModelForSequenceClassification", None)):
        config = found.resolve(lambda _, range_, option=option: option)  # type: ignore[misc]
        again = StudyFile.from_text(to_yaml(config, "one"), "a.yaml")
        data = again.completed("classification", 100, ()).first_config.data
        assert (data.tokenizer.name if data.tokenizer else None) == expected
