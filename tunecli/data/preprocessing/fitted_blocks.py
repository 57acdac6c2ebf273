"""Preprocess documents for a language model: blocks of tokens and their next tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tunecli.data.rows.dataset import TokenForm
from tunecli.data.rows.texts import TextRows
from tunecli.data.text.token_blocks import Ints, TokenBlocks, TokenRun, token_blocks, token_bytes
from tunecli.data.text.tokens import FittedTokenizer

AT_ONCE = 1024
"""Texts that the library encodes at a time."""

_BOUNDARIES = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "[PAD]")
"""Names of the token between documents, in pretrained tokenizers and in tunecli's own."""

PROMPT_END = "\n"
"""What stands between a prompt and its completion."""


@dataclass(frozen=True)
class FittedBlocks:
    """A map from documents to blocks of tokens, with a tokenizer fitted on training documents.

    Attributes:
        tokenizer: the tokenizer of all documents.
        block_size: tokens of a block.
        of_one_text: whether the rows are consecutive parts of one text: those that follow each
            other are joined, and have no boundaries.
        has_prompts: whether documents are prompts with completions, in two columns.
    """

    tokenizer: FittedTokenizer
    block_size: int
    of_one_text: bool = False
    has_prompts: bool = False
    kind = "blocks"
    cardinalities = ()

    @property
    def boundary(self) -> int:
        """The token before and after each document."""
        found = map(self.tokenizer.library.token_to_id, _BOUNDARIES)
        return next((token for token in found if token is not None), 0)

    @property
    def tokens(self) -> TokenForm:
        """The form of the rows that a model gets."""
        return self.tokenizer.form()

    def blocks(self, x: TextRows, rows: Tensor) -> TokenBlocks:
        """Return the blocks of some documents, (n,) int64.

        Args:
            x: documents; the texts of several columns are joined by line ends.
        """
        runs = self._runs(x, rows)
        joined = _joined(runs) if self.of_one_text else runs
        return token_blocks(joined, self.block_size, self.boundary)

    def separate_blocks(self, x: TextRows) -> TokenBlocks:
        """Return the blocks of new documents, each of which stands alone."""
        runs = self._runs(x, torch.arange(len(x)))
        return token_blocks(runs, self.block_size, self.boundary)

    def __call__(self, x: Tensor | TextRows) -> Tensor:
        """Return the blocks of new documents as a model gets them, (n, block_size)."""
        assert isinstance(x, TextRows)
        return self.separate_blocks(x).x.long()

    def start_of(self, text: str) -> list[int]:
        """Return the tokens after which a model continues a text, or completes a prompt."""
        given = text + PROMPT_END if self.has_prompts else text
        ids: list[int] = self.tokenizer.library.encode(given, add_special_tokens=False).ids
        begins = not (self.of_one_text and ids)
        return [self.boundary, *ids] if begins else ids

    def _runs(self, x: TextRows, rows: Tensor) -> Iterator[TokenRun]:
        """Yield the tokens of each document."""
        for some in torch.split(rows, AT_ONCE):
            columns = map(self._encoded, self._texts(x[some]))
            for row, *parts in zip(some.tolist(), *columns, strict=True):
                ids, n_bytes = (np.concatenate(one) for one in zip(*parts, strict=True))
                n_given = sum(len(given) for given, _ in parts[:-1])
                yield TokenRun(ids, n_bytes, row, n_given, is_whole=not self.of_one_text)

    def _texts(self, x: TextRows) -> Iterator[Sequence[str]]:
        """Yield the texts of documents: all of them; or the prompts, then the completions."""
        if not self.has_prompts:
            yield [*x.joined()]
            return
        prompts, completions = x.texts
        yield [prompt + PROMPT_END for prompt in prompts]
        yield [*completions]

    def _encoded(self, texts: Sequence[str]) -> list[tuple[Ints, Ints]]:
        """Return the tokens of each text, and the bytes of each token."""
        encodings = self.tokenizer.library.encode_batch(list(texts), add_special_tokens=False)
        pairs = []
        for text, encoding in zip(texts, encodings, strict=True):
            ends = np.array([end for _, end in encoding.offsets], np.int64)
            ends[-1:] = len(text)  # with what the tokenizer skips behind its last token
            pairs.append((np.array(encoding.ids, np.int64), token_bytes(text, ends)))
        return pairs

    def tensors(self) -> dict[str, Tensor]:
        """Return everything for storage, by names that `restored` reads."""
        text = np.frombuffer(self.tokenizer.text.encode(), np.uint8)
        return {
            "tokenizer": torch.from_numpy(text.copy()),
            "block_size": torch.tensor([self.block_size]),
            "of_one_text": torch.tensor([self.of_one_text]),
            "has_prompts": torch.tensor([self.has_prompts]),
        }

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor]) -> FittedBlocks:
        """Restore preprocessing from what `tensors` returned.

        Raises:
            KeyError, ValueError: a tensor is missing or does not fit.
        """
        names = ("block_size", "of_one_text", "has_prompts")
        (block_size,), (of_one_text,), (has_prompts,) = (tensors[n].tolist() for n in names)
        text = tensors["tokenizer"].numpy().tobytes().decode()
        return cls(FittedTokenizer(text), block_size, of_one_text, has_prompts)


def _joined(runs: Iterator[TokenRun]) -> Iterator[TokenRun]:
    """Join the tokens of consecutive rows of one text."""
    waiting: list[TokenRun] = []
    for run in runs:
        if waiting and run.row != waiting[-1].row + 1:
            yield _join(waiting)
            waiting = []
        waiting.append(run)
    if waiting:
        yield _join(waiting)


def _join(runs: Sequence[TokenRun]) -> TokenRun:
    ids = np.concatenate([run.ids for run in runs])
    n_bytes = np.concatenate([run.n_bytes for run in runs])
    return TokenRun(ids, n_bytes, runs[0].row, is_whole=False)
