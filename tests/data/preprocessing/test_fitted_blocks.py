from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.data.preprocessing.fitted_blocks import FittedBlocks
from tunecli.data.rows.texts import TextRows, Texts
from tunecli.data.text.token_blocks import NO_LOSS
from tunecli.data.text.tokenizers import trained
from tunecli.data.text.tokens import FittedTokenizer
from tunecli.study_file.settings.settings import Component

TEXTS = ["to be, or not to be", "", "that is the question:", "Übermut tut\nselten gut 語"]


def rows_of(*columns: list[str]) -> TextRows:
    return TextRows(torch.empty(len(columns[0]), 0), tuple(map(Texts.of, columns)))


def fitted(name: str = "characters", block_size: int = 5, **facts: bool) -> FittedBlocks:
    tokenizer = trained(Component(name=name), [*TEXTS, "a\nb"])
    return FittedBlocks(FittedTokenizer(tokenizer.to_str()), block_size, **facts)


def targets_of(blocks_of: FittedBlocks, x: TextRows, rows: list[int]) -> str:
    """The text of all targets that count, without boundaries."""
    y = blocks_of.blocks(x, torch.tensor(rows)).y.flatten()
    ids = [token for token in y.tolist() if token not in (NO_LOSS, blocks_of.boundary)]
    return blocks_of.tokenizer.decode(ids)


@pytest.mark.parametrize("name", ["characters", "BPE", "Unigram"])
def test_the_targets_are_the_text_and_their_bytes_are_its_bytes(name: str) -> None:
    ours, x = fitted(name), rows_of(TEXTS)
    for row, text in enumerate(TEXTS):
        if name != "Unigram":
            assert targets_of(ours, x, [row]) == text
        blocks = ours.blocks(x, torch.tensor([row]))
        assert blocks.n_bytes.sum() == len(text.encode())
        assert set(blocks.rows.tolist()) == ({row} if text else set())


@settings(deadline=None)
@given(st.permutations(range(4)), st.integers(0, 4))
def test_a_document_has_the_same_blocks_whatever_is_beside_it(order: list[int], n: int) -> None:
    ours, x = fitted(), rows_of(TEXTS)
    together = ours.blocks(x, torch.tensor(order[:n], dtype=torch.int64))
    for row in order[:n]:
        alone = ours.blocks(x, torch.tensor([row]))
        own = together.rows == row
        assert torch.equal(together.x[own], alone.x)
        assert torch.equal(together.y[own], alone.y)


def test_consecutive_parts_of_one_text_are_joined_and_others_are_not() -> None:
    ours = fitted(of_one_text=True, block_size=100)
    x = rows_of(["to be", " or", " not", " to be"])
    whole = ours.blocks(x, torch.arange(4))
    assert len(whole.x) == 1
    assert targets_of(ours, x, [0, 1, 2, 3]) == "o be or not to be"  # nothing precedes the first
    assert len(ours.blocks(x, torch.tensor([0, 1, 3])).x) == 2
    assert len(ours.separate_blocks(x).x) == 4


def test_the_loss_is_on_the_completion_alone() -> None:
    ours = fitted(has_prompts=True)
    x = rows_of(["to be", "the"], ["not", "question"])
    assert targets_of(ours, x, [0]) == "not"
    assert targets_of(ours, x, [0, 1]) == "notquestion"
    assert ours.blocks(x, torch.tensor([0, 1])).n_bytes.sum() == len("notquestion")
    start = ours.start_of("to be")
    assert ours.tokenizer.decode(start[1:]) == "to be\n"
    assert start[0] == ours.boundary


def test_what_was_fitted_is_stored_and_restored() -> None:
    ours = fitted(of_one_text=True)
    again = FittedBlocks.restored(ours.tensors())
    assert again == ours
    x = rows_of(TEXTS)
    assert torch.equal(again(x), ours(x))


def test_unknown_characters_count_with_their_bytes() -> None:
    blocks = fitted().blocks(rows_of(["ß語ß"]), torch.tensor([0]))
    assert blocks.n_bytes.sum() == len("ß語ß".encode())
    assert 1 in blocks.y
