"""Read word vectors from a file: those of the tokens of a vocabulary, and only these.

.txt          one word per line, then the numbers of its vector, separated by spaces (GloVe);
a first line of two numbers, as in fastText and word2vec, is skipped
.safetensors  one tensor (n_words, size); its metadata has `words`, a JSON list of the words
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tunecli.errors import ArgumentError
from tunecli.study_file.text.counts import count

MOST_VOCABULARIES = 32
"""Vocabularies whose vectors are kept: those of a trial's folds, for the next trial."""


class KnownVectors(NamedTuple):
    """The vectors (n, size) of the tokens that a file knows, and their ids (n,)."""

    ids: Tensor
    vectors: Tensor


def known_vectors(file: Path, vocabulary: tuple[str, ...]) -> KnownVectors:
    """Return the vectors that a file has for the tokens of a vocabulary.

    A token that the file lacks gets the vector of its lower-case form, if the file has that.

    Args:
        vocabulary: the token of each id.

    Raises:
        ArgumentError: the file cannot be read, is invalid, or has none of the tokens.
    """
    read = _READERS.get(file.suffix)
    if read is None:
        kinds = " or ".join(_READERS)
        raise ArgumentError(f"must be a {kinds} file, but got {str(file)!r}.", "vectors")
    try:
        known = _known(read, file, file.stat().st_mtime_ns, vocabulary)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ArgumentError(f"{file} cannot be read: {reason}.", "vectors") from None
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ArgumentError(f"the vectors {file} are invalid: {reason}.", "vectors") from None
    if not len(known.ids):
        raise ArgumentError(
            f"{file} has a vector for none of the {count(len(vocabulary), 'token')} of the "
            "training part. Use vectors of this language, and data: {tokenizer: words}.",
            "vectors",
        )
    return known


_Reader = Callable[[Path, Collection[str]], Iterator[tuple[str, Tensor]]]
"""Yields the words of a file that are wanted, and their vectors."""


@lru_cache(MOST_VOCABULARIES)
def _known(read: _Reader, file: Path, modified: int, vocabulary: tuple[str, ...]) -> KnownVectors:
    """Return the known vectors of a file that was `modified` at this time."""
    vectors = dict(read(file, {form for token in vocabulary for form in _forms(token)}))
    chosen = {
        index: vectors[form]
        for index, token in enumerate(vocabulary)
        for form in reversed(_forms(token))  # the last one counts
        if form in vectors
    }
    return KnownVectors(
        torch.tensor([*chosen], dtype=torch.int64),
        torch.stack([*chosen.values()]) if chosen else torch.empty(0, 0),
    )


def _forms(token: str) -> tuple[str, str]:
    """Return the words whose vector a token may get, the best first."""
    return token, token.lower()


def _from_text(file: Path, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
    size: int | None = None
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            word, _, numbers = line.rstrip().partition(" ")
            if number == 1 and len(numbers.split()) == 1:  # how many words, how many numbers
                continue
            size = size or len(numbers.split())
            if word in wanted:
                yield word, _vector(numbers, size, number)


def _vector(numbers: str, size: int | None, line: int) -> Tensor:
    try:
        vector = torch.tensor([float(number) for number in numbers.split()])
    except ValueError:
        raise ValueError(f"line {line} is not a word followed by numbers") from None
    if size != len(vector) or not vector.isfinite().all():
        raise ValueError(f"line {line} does not have {size} finite numbers after the word")
    return vector


def _from_safetensors(file: Path, wanted: Collection[str]) -> Iterator[tuple[str, Tensor]]:
    with safe_open(file, framework="pt") as content:
        words = _words(content.metadata() or {})
        names = list(content.keys())
        shape = content.get_slice(names[0]).get_shape() if len(names) == 1 else None
        if shape is None or len(shape) != 2 or shape[0] != len(words):
            raise ValueError(f"it must hold one tensor of shape ({len(words)}, size)")
        table = content.get_tensor(names[0]).float()
    if not table.isfinite().all():
        raise ValueError("not all of its numbers are finite")
    yield from ((word, table[row]) for row, word in enumerate(words) if word in wanted)


def _words(metadata: Mapping[str, str]) -> list[str]:
    words = json.loads(metadata.get("words", "null"))
    if not isinstance(words, list):
        raise ValueError("its metadata must have `words`, a JSON list of one word per row")
    return words


_READERS: Mapping[str, _Reader] = {".txt": _from_text, ".safetensors": _from_safetensors}
