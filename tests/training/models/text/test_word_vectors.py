"""Word vectors from files: the right ones for each token, and what is refused."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from text_cases import TOKENS, text_model

from tunecli.errors import DataError
from tunecli.training.models.layers.embeddings import Columns
from tunecli.training.models.text.token_embedding import SPREAD, TokenEmbedding
from tunecli.training.models.text.word_vectors import known_vectors

VOCABULARY = ("[PAD]", "[UNK]", "cat", "Dog", "Bird", "400000")
GLOVE = "cat 1 2 3\ndog 4 5 6\nbird 7 8 9\nBird -7 -8 -9\nfish 0.5 0.25 1e-3\n"
EXPECTED = {2: [1.0, 2.0, 3.0], 3: [4.0, 5.0, 6.0], 4: [-7.0, -8.0, -9.0]}


def _found(file: Path, vocabulary: tuple[str, ...] = VOCABULARY) -> dict[int, list[float]]:
    known = known_vectors(file, vocabulary)
    return dict(zip(known.ids.tolist(), known.vectors.tolist(), strict=True))


def _text(folder: Path, content: str | bytes) -> Path:
    file = folder / "vectors.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def _safetensors(folder: Path) -> Path:
    words = [line.split()[0] for line in GLOVE.splitlines()]
    rows = [[float(n) for n in line.split()[1:]] for line in GLOVE.splitlines()]
    file = folder / "vectors.safetensors"
    save_file({"vectors": torch.tensor(rows)}, file, {"words": json.dumps(words)})
    return file


def test_tokens_get_their_vector_or_that_of_their_lower_case_form(tmp_path: Path) -> None:
    assert _found(_text(tmp_path, GLOVE)) == EXPECTED
    assert _found(_safetensors(tmp_path)) == EXPECTED


def test_the_first_line_of_fasttext_is_no_word(tmp_path: Path) -> None:
    assert _found(_text(tmp_path, f"400000 3\n{GLOVE}")) == EXPECTED


def test_words_that_are_not_utf_8_are_skipped(tmp_path: Path) -> None:
    assert _found(_text(tmp_path, b"caf\xe9 0 0 0\n" + GLOVE.encode())) == EXPECTED


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    file = _text(tmp_path, GLOVE)
    assert _found(file) == EXPECTED
    _text(tmp_path, GLOVE.replace("cat 1", "cat 9"))
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert _found(file)[2] == [9.0, 2.0, 3.0]


def _embedding(folder: Path, freeze: bool = False) -> TokenEmbedding:
    _text(folder, f"{GLOVE}[PAD] 5 5 5\n")
    tokens = replace(TOKENS, vocab_size=6, vocabulary=VOCABULARY, study_folder=folder)
    torch.manual_seed(0)
    return TokenEmbedding(tokens, 3, "vectors.txt", freeze)


def test_other_tokens_start_at_random_and_padding_at_zero(tmp_path: Path) -> None:
    table = _embedding(tmp_path).table.weight.detach()
    for index, vector in EXPECTED.items():
        assert table[index].tolist() == vector
    assert not table[0].any()
    for index in (1, 5):
        assert table[index].abs().max() <= SPREAD
        assert table[index].abs().min() > 0


def test_frozen_vectors_are_not_trained(tmp_path: Path) -> None:
    assert not _embedding(tmp_path, freeze=True).table.weight.requires_grad
    assert _embedding(tmp_path).table.weight.requires_grad


@pytest.mark.parametrize("name", ["TextCNN", "TransformerEncoder"])
def test_vectors_of_another_size_are_refused(name: str, tmp_path: Path) -> None:
    file = _text(tmp_path, GLOVE)
    columns = Columns(tokens=replace(TOKENS, vocabulary=VOCABULARY))
    with pytest.raises(ValueError, match=r"have 3 numbers, but .* \(embed or d_model\) to 3"):
        text_model(name, columns, vectors=str(file))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cat 1 2 3\ndog 4 x 6\n", "line 2 is not a word followed by numbers"),
        ("cat 1 2 3\ndog 4 5\n", "line 2 does not have 3 finite numbers after the word"),
        ("cat 1 2 nan\n", "line 1 does not have 3 finite numbers after the word"),
        ("fish 1 2 3\n", "has a vector for none of the 6 tokens of the training part"),
        ("", "has a vector for none of the 6 tokens"),
    ],
)
def test_invalid_text_files_are_refused(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        _found(_text(tmp_path, content))


def test_files_of_other_kinds_and_missing_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must be a \.txt or \.safetensors file, but got 'v.bin'"):
        _found(Path("v.bin"))
    with pytest.raises(DataError, match=r"missing\.txt cannot be read: No such file"):
        _found(tmp_path / "missing.txt")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(DataError, match=r"folder\.txt cannot be read: Is a directory"):
        _found(tmp_path / "folder.txt")


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({"v": torch.ones(2, 3)}, None, "its metadata must have `words`, a JSON list"),
        ({"v": torch.ones(2, 3)}, {"words": '"ab"'}, "its metadata must have `words`"),
        ({"v": torch.ones(2, 3)}, {"words": '["cat"]'}, r"one tensor of shape \(1, size\)"),
        ({"v": torch.ones(1, 3), "w": torch.ones(1)}, {"words": '["cat"]'}, "one tensor"),
        ({"v": torch.full((1, 3), torch.inf)}, {"words": '["cat"]'}, "numbers are finite"),
    ],
)
def test_invalid_safetensors_are_refused(
    tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "v.safetensors"
    save_file(tensors, file, metadata)
    with pytest.raises(DataError, match=rf"v\.safetensors are invalid: .*{message}"):
        _found(file)


def test_a_damaged_safetensors_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "v.safetensors"
    file.write_bytes(b"\x00" * 40)
    with pytest.raises(DataError, match=r"v\.safetensors are invalid"):
        _found(file)
