"""What check says of text: lengths, vocabulary, what is cut, padding and unknown."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from transformers_studies import reviews, write_base

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.summary import BlockSummary, TokenSummary
from tunecli.data.rows.workspace import Workspace
from tunecli.report.phrases.token_text import blocks_text, tokens_text
from tunecli.report.screen.check_lines import rehearsal_lines
from tunecli.search.workers.check_study import StudyCheck
from tunecli.search.workers.summarize_data import describe
from tunecli.study_file.study_file import StudyFile

STUDY = """
data: {source: t.csv, target: y, text: t, max_length: 4, test: 0}
validation: {column: fold}
model: EmbeddingBag
optimizer: Adam
training: {batch_size: 5}
"""


def test_the_summary_describes_the_tokens_of_the_first_fold(tmp_path: Path) -> None:
    train = ["a", "a b", "a b c", "a b c d", "a b c d e"] * 2
    valid = ["a b x y", "a"] * 5  # x and y are unknown: 10 of 25 tokens
    parts = ["train"] * 10 + ["valid"] * 10
    frame = pd.DataFrame({"t": train + valid, "y": ["p", "q"] * 10, "fold": parts})
    frame.to_csv(tmp_path / "t.csv", index=False)
    config = StudyFile.from_text(STUDY, "s.yaml").completed("classification", 20, ()).first_config
    store = FoldStore(config.data, config.validation, Workspace(tmp_path))
    found = describe(config, store).tokens
    assert found is not None
    # Two batches of 5 of the sorted lengths 1 1 2 2 3 | 3 4 4 4 4: 4 + 1 padded of 15 + 20.
    assert found.padding == pytest.approx(1 - 28 / 35)
    assert found == TokenSummary(
        n_columns=1,
        vocab_size=7,
        median=3,
        longest=5,
        max_length=4,
        cut=0.2,
        padding=found.padding,
        unknown=0.4,
    )
    assert tokens_text(found) == (
        "vocabulary of 7, 3 per row (median), up to 5, cut to 4 in 20% of the rows, 20% padding, "
        "40% unknown in validation rows"
    )


PROMPTS = """
data: {source: t.csv, task: language_modeling, prompt: p, completion: c, tokenizer: characters,
       block_size: 8, test: 0}
validation: {holdout: 0.2}
model: TransformerDecoder
optimizer: Adam
"""

LANGUAGE = """
data: {source: %s, task: language_modeling, tokenizer: characters, block_size: 4, test: 0}
validation: {file: valid.txt}
model: {TransformerDecoder: {d_model: 8, nhead: 2, num_layers: 1}}
optimizer: Adam
training: {batch_size: 2, steps: 2}
"""


@pytest.mark.parametrize(
    ("prompt", "completion", "fits"),
    [
        # A boundary, the prompt, a line end and the completion are read; the end is not.
        ("abc", "abc", True),
        ("abc", "abcd", False),  # the last target has a block of its own
        ("abcdefgh", "ab", False),  # the block of the prompt has no target
        ("abcde", "a", True),
    ],
)
def test_completions_without_their_prompt_are_counted(
    tmp_path: Path, prompt: str, completion: str, fits: bool
) -> None:
    rows = [("ab", "ab"), (prompt, completion), ("b", "a"), *[("a", "b")] * 3]
    pd.DataFrame(rows, columns=["p", "c"]).to_csv(tmp_path / "t.csv", index=False)
    read = StudyFile.from_text(PROMPTS, "s.yaml")
    config = read.completed("language_modeling", len(rows), ()).first_config
    store = FoldStore(config.data, config.validation, Workspace(tmp_path))
    train = store.split.folds[0][0].tolist()
    assert 1 in train
    notes = [note for note in describe(config, store).notes if "Prompt and completion" in note]
    told = "Prompt and completion together have more than 8 tokens in 1 of "
    told += f"{len(train)} training documents."
    assert [note[: len(told)] for note in notes] == ([] if fits else [told])


@pytest.mark.parametrize(
    ("source", "n_tokens", "n_blocks"),
    [
        ("t.txt", 11, 3),  # 12 characters: each but the first is predicted
        ("texts/", 14, 4),  # 6 characters and an end each: blocks of 4 and 3, twice
    ],
)
def test_the_blocks_of_a_language_model_are_described(
    tmp_path: Path, source: str, n_tokens: int, n_blocks: int
) -> None:
    (tmp_path / "texts").mkdir()
    for name, text in {
        "t.txt": "abcabcabcabc",
        "texts/b.txt": "abcabc",
        "texts/a.txt": "abcabd",
        "valid.txt": "abxb" * 5,
    }.items():
        (tmp_path / name).write_text(text)
    read = StudyFile.from_text(LANGUAGE % source, "s.yaml")
    config = read.completed("language_modeling", 20, ()).first_config
    store = FoldStore(config.data, config.validation, Workspace(tmp_path))
    found = describe(config, store).blocks
    assert found is not None
    assert (found.n_tokens, found.n_blocks, found.block_size) == (n_tokens, n_blocks, 4)
    assert 0 <= found.padding <= 1 / 8  # a batch of blocks of 3 and 4
    assert 0.2 <= found.unknown <= 0.3
    assert describe(config, store).tokens is None


def test_blocks_in_words() -> None:
    blocks = BlockSummary(36, 20_577, 1_287, 16, 0.001, 0.25)
    assert blocks_text(blocks) == (
        "vocabulary of 36, 20,577 for training in 1,287 blocks of 16, 0.1% padding, 25% unknown "
        "in the validation part"
    )


SEVERAL = """
data: {source: reviews.csv, target: mood, text: review, drop: price, tokenizer: %s}
validation: {folds: 2}
model:
  choice:
    EmbeddingBag: {embed: 4}
    AutoModelForSequenceClassification: {pretrained: base, max_length: {choice: [8, 16]}}
optimizer: {AdamW: {lr: 0.01}}
training: {epochs: 1}
search: {baselines: false}
"""


def token_lines(folder: Path, text: str) -> list[str]:
    """What `check` prints of tokens."""
    checking = StudyCheck(StudyFile.from_text(text, "s.yaml"), Workspace(folder))
    conclusion = checking.conclude([*checking.rehearsals()])
    out = Console(width=300, file=StringIO(), color_system=None)
    out.print(rehearsal_lines(conclusion))
    shown = out.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [line.split(maxsplit=1)[1] for line in shown if line.startswith("tokens")]


def test_check_describes_each_tokenizer_and_length(tmp_path: Path) -> None:
    """Also those of a pretrained model that is not the first; at most five."""
    write_base(tmp_path / "base")
    reviews().to_csv(tmp_path / "reviews.csv", index=False)
    lines = token_lines(tmp_path, SEVERAL % "words")
    assert [line.split(": vocabulary of")[0] for line in lines] == [
        "words, max_length 256",
        "base, max_length 8",
        "base, max_length 16",
    ]
    assert ["cut to 8" in line for line in lines] == [False, True, False]
    rare = "{words: {min_frequency: 2}}"
    several = f"{{choice: {{words: , rare: {rare}, characters: , BPE: {{vocab_size: 300}}}}}}"
    lines = token_lines(tmp_path, SEVERAL % several)
    assert len(lines) == 6
    named = "{words: {min_frequency: 2}}, max_length 256: vocabulary of"
    assert any(line.startswith(named) for line in lines)
    assert lines[-1] == "1 more tokenizer or length"


def test_one_tokenizer_is_not_named(tmp_path: Path) -> None:
    reviews().to_csv(tmp_path / "reviews.csv", index=False)
    one = SEVERAL.replace("AutoModelForSequenceClassification: {pretrained: base, ", "TextCNN: {")
    one = one.replace("max_length: {choice: [8, 16]}", "channels: 4") % "words"
    [line] = token_lines(tmp_path, one)
    assert line.startswith("vocabulary of")
