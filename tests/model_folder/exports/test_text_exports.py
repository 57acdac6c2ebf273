"""Exported models of text: fed with the tokens of `tokenizer.json`, they predict as the model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from commands import call_in
from tokenizers import Tokenizer

import tunecli
from tunecli.model_folder.exports.exporting import some_rows
from tunecli.model_folder.exports.graph import given_to_graph

STUDY = """
data: {source: reviews.csv, target: mood, text: review, test: 0.25, max_length: 6}
validation: {folds: 2}
model: {%s: {%s}}
optimizer: {Adam: {lr: 0.02}}
training: {epochs: 2}
search: {trials: 1, baselines: false}
"""
_BERT = "num_hidden_layers: 1, num_attention_heads: 2, hidden_size: 8, intermediate_size: 16"
BERT = ("AutoModelForSequenceClassification", f"config: bert, {_BERT}")
GPT = ("AutoModelForSequenceClassification", "config: gpt2, n_layer: 1, n_head: 2, n_embd: 8")
ENCODER = ("TransformerEncoder", "d_model: 8, nhead: 2, num_layers: 1, dim_feedforward: 16")
LORA = (
    BERT[0],
    f"{BERT[1]}, adapter: {{LoraConfig: {{r: 2, target_modules: all-linear}}}}",
)
PROMPT = (BERT[0], f"{BERT[1]}, adapter: {{PromptTuningConfig: {{num_virtual_tokens: 2}}}}")
CLS = (ENCODER[0], f"{ENCODER[1]}, pooling: cls")
NEW = ["a fine film", "awful and far too long , all seven words", "schön"]


def _reviews(n_rows: int = 60) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    moods = draw.choice(["good", "bad"], n_rows)
    lengths = draw.integers(0, 12, n_rows)
    words = zip(moods, lengths, strict=True)
    texts = [f"{mood}ly w{i} " + "so " * n for i, (mood, n) in enumerate(words)]
    return pd.DataFrame({"review": texts, "mood": moods})


def _run(*words: str, code: int = 0) -> str:
    done = call_in(Path(), *words, code=code)
    return " ".join((done.stdout + done.stderr).split())


def _refit(folder: Path, monkeypatch: pytest.MonkeyPatch, model: str, arguments: str) -> None:
    monkeypatch.chdir(folder)
    _reviews().to_csv("reviews.csv", index=False)
    Path("s.yaml").write_text(STUDY % (model, arguments))
    _run("search", "s.yaml", "--jobs", "1")
    _run("refit", "s")


def _ids(texts: list[str]) -> np.ndarray:
    encoded = Tokenizer.from_file("runs/s/tokenizer.json").encode_batch(texts)
    return np.array([one.ids for one in encoded], np.int64)


def _expected(texts: list[str]) -> np.ndarray:
    return tunecli.load("runs/s/model").predict_proba(pd.DataFrame({"review": texts}))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "arguments"),
    [("TextCNN", "embed: 8, channels: 4"), ("LSTM", "embed: 4, hidden_size: 5"), BERT, GPT],
)
def test_an_onnx_file_predicts_from_the_tokens_of_its_tokenizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, arguments: str
) -> None:
    _refit(tmp_path, monkeypatch, model, arguments)
    lines = _run("export", "runs/s/model", "--to", "onnx")
    assert "the network takes tokens; runs/s/tokenizer.json makes them from texts" in lines
    session = onnxruntime.InferenceSession("runs/s/model.onnx", providers=["CPUExecutionProvider"])
    for texts in (NEW, NEW[:1]):
        ids = _ids(texts)
        assert ids.shape[1] == min(6, max(len(text.split()) for text in texts))
        np.testing.assert_allclose(
            session.run(None, {"rows": ids})[0], _expected(texts), atol=1e-5
        )
    about = json.loads(session.get_modelmeta().custom_metadata_map["tokens"])
    assert about == {"n_features": 0, "vocab_size": about["vocab_size"], "pad": 0, "max_length": 6}
    assert about["vocab_size"] == Tokenizer.from_file("runs/s/tokenizer.json").get_vocab_size()


def _run_onnx(rows: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession("runs/s/model.onnx", providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"rows": rows})[0])


def _run_pt2(rows: np.ndarray) -> np.ndarray:
    program = torch.export.load("runs/s/model.pt2").module()
    return np.asarray(program(torch.from_numpy(rows)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        ("TextCNN", "embed: 8, channels: 4"),
        ("LSTM", "embed: 4, hidden_size: 5"),
        *(ENCODER, CLS, BERT, GPT, LORA, PROMPT),
    ],
)
def test_a_file_takes_numbers_and_categories_before_the_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, arguments: str
) -> None:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(1)
    frame = _reviews().assign(price=draw.normal(9, 4, 60), city=draw.choice(["Bonn", "Ulm"], 60))
    frame.to_csv("reviews.csv", index=False)
    Path("s.yaml").write_text(STUDY.replace("test: 0.25, ", "") % (model, arguments))
    _run("search", "s.yaml", "--jobs", "1")
    _run("refit", "s")
    new = pd.DataFrame({"review": NEW, "price": [9.0, 20.0, -3.0], "city": ["Ulm", "Bonn", "Ulm"]})
    new.to_csv("new.csv", index=False)
    loaded = tunecli.load("runs/s/model", device="cpu")
    n_features = loaded.members[0].preprocessing.tokens.n_features
    features = given_to_graph(loaded, some_rows(loaded, "new.csv"))[:, :n_features]
    expected = loaded.predict_proba(new)
    files = {"onnx": _run_onnx} if model == "LSTM" else {"onnx": _run_onnx, "pt2": _run_pt2}
    for to, predicted in files.items():
        _run("export", "runs/s/model", "--to", to)
        rows = np.hstack([features, _ids(NEW)]).astype(np.float32)
        for n in (1, 3):  # any number of rows, and padding that changes nothing
            np.testing.assert_allclose(predicted(rows[:n]), expected[:n], atol=1e-5)
        np.testing.assert_allclose(predicted(rows[2:, : n_features + 1]), expected[2:], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "arguments"), [BERT, GPT, ENCODER])
def test_a_pt2_file_of_a_transformer_predicts_what_the_model_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, arguments: str
) -> None:
    _refit(tmp_path, monkeypatch, model, arguments)
    _run("export", "runs/s/model", "--to", "pt2")
    program = torch.export.load("runs/s/model.pt2").module()
    for texts in (NEW, NEW[:1]):
        predicted = program(torch.from_numpy(_ids(texts)))
        assert not predicted.requires_grad
        np.testing.assert_allclose(predicted.numpy(), _expected(texts), atol=1e-5)


def test_a_pt2_file_predicts_from_tokens_and_keeps_a_strange_tokenizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refit(tmp_path, monkeypatch, "EmbeddingBag", "embed: 8")
    Path("runs/s/tokenizer.json").write_text("{}")
    message = _run("export", "runs/s/model", "--to", "pt2", code=1)
    assert "tokenizer.json is the tokenizer of another model" in message
    Path("runs/s/tokenizer.json").unlink()
    _run("export", "runs/s/model", "--to", "pt2")
    program = torch.export.load("runs/s/model.pt2").module()
    predicted = program(torch.from_numpy(_ids(NEW)))
    np.testing.assert_allclose(predicted.numpy(), _expected(NEW), atol=1e-5)


def test_what_cannot_be_exported_says_what_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refit(tmp_path, monkeypatch, "GRU", "embed: 4, hidden_size: 5")
    assert "Use --to onnx" in _run("export", "runs/s/model", "--to", "pt2", code=1)
    _run("refit", "s", "--as-searched", "-o", "mean")
    message = _run("export", "mean", "--to", "onnx", code=1)
    assert "mean of 2 networks, each with its own tokenizer" in message


@pytest.mark.slow
def test_texts_that_fill_all_positions_are_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refit(tmp_path, monkeypatch, BERT[0], f"{BERT[1]}, max_position_embeddings: 6")
    message = _run("export", "runs/s/model", "--to", "onnx", code=1)
    assert "max_length is 6, but the onnx file would take at most 5 tokens per text" in message
