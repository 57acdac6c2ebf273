"""A study of a table of text, from its file to a prediction, with a trivial model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import tunecli
from tunecli.cli import app

MODEL = """
import torch
from torch import nn


class Bag(nn.Module):
    def __init__(self, vocab_size, padding_idx, n_cont_features, num_classes, embed: int = 8):
        super().__init__()
        self.n = n_cont_features
        self.embedding = nn.EmbeddingBag(vocab_size, embed, padding_idx=padding_idx)
        self.head = nn.Linear(embed + n_cont_features, num_classes)

    def forward(self, x):
        ids = x[:, self.n :].long()
        return self.head(torch.cat([x[:, : self.n].float(), self.embedding(ids)], dim=1))
"""
STUDY = """
data: {source: reviews.csv, target: mood, text: review, test: 0.25, tokenizer: %s}
validation: {folds: 2}
model: {own.py:Bag: {embed: {choice: [4, 8]}}}
optimizer: {Adam: {lr: {float: [0.02, 0.2], log: true}}}
training: {epochs: 8}
search: {trials: 2, baselines: false}
"""
WORDS = {"good": ["fine", "great", "schön", "好"], "bad": ["awful", "poor", "schlecht", "坏"]}


def reviews(n_rows: int = 120) -> pd.DataFrame:
    """Reviews of 1 to 9 words in which one word gives the mood, and a number without meaning."""
    draw = np.random.default_rng(0)
    moods = draw.choice(["good", "bad"], n_rows)
    texts = []
    for number, mood in enumerate(moods):
        words = [f"w{i}" for i in draw.integers(0, 30, draw.integers(0, 9))]
        words.insert(draw.integers(0, len(words) + 1), draw.choice(WORDS[mood]))
        texts.append(" ".join(words) + f" no{number}")
    return pd.DataFrame({"review": texts, "mood": moods, "price": draw.normal(size=n_rows)})


def run(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("tokenizer", "columns", "least"),
    [
        ("words", ["review", "mood", "price"], 0.9),
        ("{BPE: {vocab_size: 400}}", ["review", "mood"], 0.6),
    ],
)
def test_a_study_of_text_learns_refits_and_predicts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tokenizer: str,
    columns: list[str],
    least: float,
) -> None:
    monkeypatch.chdir(tmp_path)
    table = reviews()[columns]
    table.to_csv("reviews.csv", index=False)
    Path("own.py").write_text(MODEL)
    Path("s.yaml").write_text(STUDY % tokenizer)
    run("search", "s.yaml", "--code", "own.py", "--jobs", "1")
    assert "s: " in run("report", "s")
    run("refit", "s", "--code", "own.py")
    model = tunecli.load("runs/s/model", code=["own.py"])
    again = model.predict(table)
    assert (again == table.mood).mean() > least
    run("predict", "s", "reviews.csv", "--code", "own.py", "-o", "out.csv")
    assert pd.read_csv("out.csv").prediction.tolist() == again.tolist()
