"""Rows that are longer than a model of transformers can read are refused with both numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from auto_model_cases import mini_lm

from tunecli.errors import StudyFileError
from tunecli.study_file.study_file import read_study_file

CAUSAL = (
    "data: {{source: c.txt, task: language_modeling{data}}}\n"
    "model: {{AutoModelForCausalLM: {{{model}}}}}"
)
ROWS = (
    "data: {{source: t.csv, target: y, text: t{data}}}\n"
    "model: {{AutoModelForSequenceClassification: {{{model}}}}}"
)


def read(folder: Path, form: str, data: str, model: str) -> str:
    """Return the mistakes of a study file; empty without any."""
    for source in ("c.txt", "t.csv"):
        (folder / source).touch()
    path = folder / "s.yaml"
    path.write_text(form.format(data=data, model=model) + "\noptimizer: {SGD: {lr: 0.1}}\n")
    try:
        read_study_file(path)
    except StudyFileError as error:
        return str(error)
    return ""


VIRTUAL = "adapter: {PromptTuningConfig: {num_virtual_tokens: 8}}"


@pytest.mark.parametrize(
    ("form", "data", "model", "message"),
    [
        (
            CAUSAL,
            ", block_size: 128",
            "config: gpt2, n_positions: 64",
            "s.yaml:1:60: data.block_size: block_size must be at most 64, since this model has 64 "
            "positions, but got 128.",
        ),
        (CAUSAL, "", "config: gpt2, n_positions: 64", "at most 64, .* but got 128"),
        (
            CAUSAL,
            ", block_size: 64",
            "config: gpt2, n_positions: {int: [32, 128]}",
            "at most 32, .* but got 64",
        ),
        (
            CAUSAL,
            ", block_size: 64",
            f"config: gpt2, n_positions: 64, {VIRTUAL}",
            "at most 56, since this model has 64 positions, 8 of them for virtual tokens, but got",
        ),
        (
            CAUSAL,
            "",
            "config: gpt2, max_length: 64",
            "max_length of AutoModelForCausalLM cannot be set in a study file: a language model "
            r"reads blocks of tokens\. Write data: {block_size: …}\.",
        ),
        (
            ROWS,
            ", max_length: 100",
            "config: bert, max_position_embeddings: 64",
            "s.yaml:1:.*data.max_length: max_length must be at most 64, .* but got 100",
        ),
        (ROWS, "", "config: bert, max_position_embeddings: 64", "at most 64, .* but got 256"),
        (
            ROWS,
            ", max_length: 512",
            "config: roberta",
            "s.yaml:1:.*data.max_length: max_length must be at most 511, since this model has 511 "
            "positions, but got 512",
        ),
        (
            ROWS,
            "",
            "pretrained: MINI, max_length: {choice: [128, 1024]}",
            "s.yaml:2:.*max_length must be at most 512, .* but got 1024",
        ),
        (
            ROWS,
            "",
            f"pretrained: MINI, max_length: 512, {VIRTUAL}",
            "at most 504, .* but got 512",
        ),
    ],
)
def test_rows_that_are_too_long_are_refused_at_their_line(
    tmp_path: Path, form: str, data: str, model: str, message: str
) -> None:

    found = read(tmp_path, form, data, model.replace("MINI", str(mini_lm())))
    assert re.search(message, found), found
    assert len(found.splitlines()) == 1


@pytest.mark.parametrize("model", ["TransformerEncoder", "LSTM", "GRU"])
def test_channels_that_must_stay_are_refused_at_their_line(tmp_path: Path, model: str) -> None:
    form = f"data: {{{{source: t.csv, target: y, text: t}}}}\nmodel: {model}\n"
    form += "compression: {{structured: {{amount: {data}}}}}"
    for amount in ("0.5", "{float: [0, 0.5]}"):
        found = read(tmp_path, form, amount, "")
        assert "s.yaml:3:" in found
        assert "compression.structured: structured pruning cannot remove " in found
    assert read(tmp_path, form, "0", "") == ""


@pytest.mark.parametrize(
    ("form", "data", "model"),
    [
        (CAUSAL, ", block_size: 64", "config: gpt2, n_positions: 64"),
        (CAUSAL, ", block_size: 5000", "config: bloom"),
        (ROWS, ", max_length: 64", "config: bert, max_position_embeddings: 64"),
        (ROWS, ", max_length: 512", "config: roberta, max_position_embeddings: 514"),
        (ROWS, "", "pretrained: MINI, max_length: 512"),
        (ROWS, "", "pretrained: MINI"),
    ],
)
def test_rows_that_fit_are_taken(tmp_path: Path, form: str, data: str, model: str) -> None:
    assert read(tmp_path, form, data, model.replace("MINI", str(mini_lm()))) == ""
