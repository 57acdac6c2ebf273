"""Rows that are longer than a model of transformers can read are refused with both numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from auto_model_cases import mini_lm

from tunecli.errors import StudyFileError
from tunecli.study_file.read import text_rules
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


LORA = "adapter: {LoraConfig: {r: 8}}"
NOT_INSTALLED = "needs CUDA and the package bitsandbytes: pip install 'tunecli[bitsandbytes]'."


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(
    ("model", "training", "message"),
    [
        ("", "", "holds the frozen weights of a pretrained model. Write pretrained: NAME and ada"),
        ("freeze: 1", "", "Write pretrained: NAME and adapter: {LoraConfig: {r: 8}}, or remove"),
        (LORA, "device: cpu", "is for CUDA only, but training.device is cpu. Remove one of them."),
        (LORA, "device: {choice: [cuda, mps]}", ""),
        (
            "adapter: {LoraConfig: {r: 8, init_lora_weights: pissa}}",
            "",
            "cannot be combined with init_lora_weights: pissa, which changes the frozen weights.",
        ),
        (LORA, "", ""),
    ],
)
def test_weights_in_few_bits_need_an_adapter_and_cuda(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bits: int,
    model: str,
    training: str,
    message: str,
) -> None:
    monkeypatch.setattr(text_rules, "bitsandbytes_is_installed", lambda: True)
    given = [f"pretrained: {mini_lm()}", f"load_in_{bits}bit: true", *([model] if model else [])]
    form = ROWS + f"\ntraining: {{{{{training}}}}}" if "choice" not in training else ROWS
    found = read(tmp_path, form, "", ", ".join(given))
    assert message in found
    assert bool(found) == bool(message), found
    if message:
        assert "s.yaml:2:" in found
        assert f"load_in_{bits}bit: {message}" in found or message not in found.split(": ")[2]


def test_weights_are_in_4_or_in_8_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_rules, "bitsandbytes_is_installed", lambda: True)
    both = f"pretrained: {mini_lm()}, {LORA}, load_in_4bit: true, load_in_8bit: true"
    assert "Remove load_in_4bit or load_in_8bit." in read(tmp_path, ROWS, "", both)


@pytest.mark.parametrize("is_installed", [True, False])
def test_a_missing_package_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_installed: bool
) -> None:
    monkeypatch.setattr(text_rules, "bitsandbytes_is_installed", lambda: is_installed)
    model = f"pretrained: {mini_lm()}, {LORA}, load_in_4bit: {{choice: [true, false]}}"
    found = read(tmp_path, ROWS, "", model)
    assert found.endswith(NOT_INSTALLED) != is_installed
    assert len(found.splitlines()) == (not is_installed)


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
