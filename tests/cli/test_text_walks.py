"""From text as people have it to predictions: other alphabets, empty, endless and odd texts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import call_in

from tunecli import load

MOODS = {
    "good": ["wunderbar schön", "非常好", "great 🙂👍🏽", "отлично"],
    "bad": ["furchtbar schlecht", "很差", "awful 😡", "ужасно"],
}
SMALL = (
    *("--set", "search.trials=2", "--set", "search.baselines=false"),
    *("--set", "validation={holdout: 0.25}", "--set", "training.epochs=1"),
)


def opinions(n_rows: int = 160) -> pd.DataFrame:
    """Opinions in four languages, with an empty text, an endless one, and odd characters."""
    draw = np.random.default_rng(0)
    moods = draw.choice(["good", "bad"], n_rows)
    texts = [f"Nr. {i}: es ist {draw.choice(MOODS[mood])} !" for i, mood in enumerate(moods)]
    texts[3] = ""
    texts[4] = " ".join(f"word{i % 977}" for i in range(100_000))
    texts[5] = "nul \x00 byte and \ufeff mark \u202e and \u200d joiner"
    return pd.DataFrame({"opinion": texts, "mood": moods, "price": draw.normal(size=n_rows)})


def written(folder: Path, frame: pd.DataFrame, kind: str) -> Path:
    path = folder / f"opinions.{kind}"
    if kind == "csv":  # as spreadsheets write it: with a mark of the byte order
        frame = frame.assign(opinion=frame.opinion.str.replace("\x00", ""))
        frame.to_csv(path, index=False, encoding="utf-8-sig")
    else:
        rows = frame.to_dict(orient="records")
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "columns", "tokenizer"),
    [
        ("csv", ["opinion", "mood", "price"], "words"),
        ("jsonl", ["opinion", "mood"], "characters"),  # the validation part has other ones
        ("jsonl", ["opinion", "mood", "price"], "{BPE: {vocab_size: 400}}"),
    ],
)
def test_texts_of_any_alphabet_length_and_content(
    tmp_path: Path, kind: str, columns: list[str], tokenizer: str
) -> None:
    frame = opinions()[columns]
    path = written(tmp_path, frame, kind)
    call_in(tmp_path, "init", path.name, "--target", "mood", "--pretrained", "none")
    small = (*SMALL, "--set", f"data.tokenizer={tokenizer}")
    checked = " ".join(call_in(tmp_path, "check", "opinions.yaml", *small).stdout.split())
    assert "tokens vocabulary of" in checked
    assert "OK:" in checked
    call_in(tmp_path, "search", "opinions.yaml", "--jobs", "1", *small)
    call_in(tmp_path, "refit", "opinions")
    call_in(tmp_path, "predict", "opinions", path.name, "-o", "out.csv")
    predicted = pd.read_csv(tmp_path / "out.csv").prediction
    assert len(predicted) == len(frame)
    model = load(tmp_path / "runs" / "opinions" / "model")
    assert (model.predict(frame.drop(columns="mood")) == predicted).mean() > 0.95


@pytest.mark.slow
def test_a_folder_of_texts_of_any_alphabet_gets_a_language_model(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for row, text in enumerate(opinions(60).opinion):
        short = text[:2_000]
        (tmp_path / "texts" / f"{row:03}.txt").write_bytes(f"\ufeff{short}".encode())
    call_in(tmp_path, "init", "texts")
    small = (
        *("--set", "search.trials=1", "--set", "search.baselines=false"),
        *("--set", "training.steps=4", "--set", "model.TransformerDecoder.num_layers=1"),
    )
    checked = " ".join(call_in(tmp_path, "check", "texts.yaml", *small).stdout.split())
    assert "data texts/: 59 documents" in checked  # one is empty
    assert "tokens vocabulary of" in checked
    assert "blocks of 64" in checked
    call_in(tmp_path, "search", "texts.yaml", "--jobs", "1", *small)
    refitted = call_in(tmp_path, "refit", "texts")
    told = " ".join((refitted.stdout + refitted.stderr).split())
    assert "of all documents outside the test set" in told
    assert "6 documents)" in told
    assert " row" not in told
    (tmp_path / "new.txt").write_text("Es ist 非常好 🙂 \x00")
    call_in(tmp_path, "predict", "texts", "new.txt", "--score", "-o", "scores.csv")
    scores = pd.read_csv(tmp_path / "scores.csv")
    assert np.isfinite(scores.loss).all()


@pytest.mark.parametrize("command", ["check", "search"])
def test_a_tokenizer_with_a_pickle_is_refused_at_its_line(tmp_path: Path, command: str) -> None:
    written(tmp_path, opinions(60), "csv")
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "tokenizer.pkl").write_bytes(b"")
    (tmp_path / "s.yaml").write_text(
        "data: {source: opinions.csv, target: mood, text: opinion}\n"
        "model:\n  AutoModelForSequenceClassification: {pretrained: base}\noptimizer: AdamW\n"
    )
    told = call_in(tmp_path, command, "s.yaml", code=2).stderr
    assert told.startswith("s.yaml:3:52: model.AutoModelForSequenceClassification.pretrained:")
    assert "contains tokenizer.pkl, a pickle" in told
