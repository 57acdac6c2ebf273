import math
from itertools import pairwise

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.data.text.text_parts import MOST_PARTS, text_parts
from tunecli.data.text.token_blocks import (
    NO_LOSS,
    PADDING,
    TokenBlocks,
    TokenRun,
    token_blocks,
    token_bytes,
)

BOUNDARY = 0


def run(ids: list[int], row: int = 0, n_given: int = 0, is_whole: bool = True) -> TokenRun:
    array = np.array(ids, np.int64)
    return TokenRun(array, np.ones_like(array), row, min(n_given, len(ids)), is_whole)


documents = st.lists(st.lists(st.integers(1, 9), max_size=12), max_size=5)


def pairs(blocks: TokenBlocks, row: int) -> list[tuple[int, int]]:
    """The pairs of a token and the next one that count, in order."""
    own = blocks.rows == row
    x, y = blocks.x[own].flatten(), blocks.y[own].flatten()
    counts = y != NO_LOSS
    return list(zip(x[counts].tolist(), y[counts].tolist(), strict=True))


@settings(deadline=None)
@given(documents, st.integers(1, 7))
def test_every_token_of_every_document_is_predicted_once(
    texts: list[list[int]], block_size: int
) -> None:
    runs = [run(ids, row) for row, ids in enumerate(texts)]
    blocks = token_blocks(runs, block_size, BOUNDARY)
    for row, ids in enumerate(texts):
        stream = [BOUNDARY, *ids, BOUNDARY] if ids else []
        assert pairs(blocks, row) == list(pairwise(stream))
    full = [ids for ids in texts if ids]
    assert len(blocks.x) == sum(math.ceil((len(ids) + 1) / block_size) for ids in full)
    assert blocks.n_bytes.sum() == sum(map(len, full))
    assert blocks.n_targets == sum(len(ids) + 1 for ids in full)
    assert blocks.x.shape == blocks.y.shape == (len(blocks.x), block_size)


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 12), st.integers(1, 7))
def test_a_prompt_has_no_loss(ids: list[int], n_given: int, block_size: int) -> None:
    n_given = min(n_given, len(ids))
    blocks = token_blocks([run(ids, n_given=n_given)], block_size, BOUNDARY)
    stream = [BOUNDARY, *ids, BOUNDARY]
    assert pairs(blocks, 0) == list(pairwise(stream))[n_given:]
    assert blocks.n_bytes.sum() == len(ids) - n_given
    assert (blocks.lengths > 0).all()


def test_a_part_of_a_text_has_no_boundaries() -> None:
    blocks = token_blocks([run([5, 6, 7, 8], is_whole=False)], 2, BOUNDARY)
    assert blocks.x.tolist() == [[5, 6], [7, PADDING]]
    assert blocks.y.tolist() == [[6, 7], [8, NO_LOSS]]
    assert blocks.lengths.tolist() == [2, 1]
    assert blocks.n_bytes.tolist() == [2, 1]


def test_there_may_be_no_document() -> None:
    blocks = token_blocks([], 3, BOUNDARY)
    assert blocks.x.shape == (0, 3)
    assert blocks.x.dtype == torch.int32


@given(st.text(max_size=20), st.data())
def test_the_bytes_of_the_tokens_are_those_of_the_text(text: str, data: st.DataObject) -> None:
    text = text.encode("utf-8", "ignore").decode()
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=6))
    ends = [*sorted(cuts), len(text)]
    expected = [len(text[a:b].encode()) for a, b in pairwise([0, *ends])]
    assert token_bytes(text, np.array(ends)).tolist() == expected


@given(st.text(alphabet="ab \n語é", max_size=300))
def test_parts_join_to_the_text_and_end_after_words(text: str) -> None:
    parts = text_parts(text)
    assert "".join(parts) == text
    assert all(parts)


def test_a_share_of_the_parts_is_that_of_the_characters() -> None:
    words = np.random.default_rng(0).integers(1, 12, 60_000)
    text = " ".join("x" * n for n in words)
    parts = text_parts(text)
    assert 0.9 * MOST_PARTS < len(parts) <= MOST_PARTS
    first = sum(map(len, parts[: round(0.9 * len(parts))]))
    assert abs(first / len(text) - 0.9) < 2e-3
    assert all(part[0] == " " for part in parts[1:])
