"""Train the tokenizers of a study file, always with the same result.

The library `tokenizers` trains them, except Unigram, whose pieces `sentencepiece` chooses.

Token 0 is padding and token 1 what the vocabulary lacks. Neither is a special token of the
library: a text that contains the characters `[PAD]` is a text like any other.

`tunecli/study_file/catalogue` reads the arguments of the functions here.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from tunecli.data.text.unigram_pieces import unigram_pieces
from tunecli.errors import DataError
from tunecli.study_file.catalogue.names import TOKENIZERS
from tunecli.study_file.settings.settings import Component

PAD, UNKNOWN = "[PAD]", "[UNK]"
_FIRST = [PAD, UNKNOWN]
_CONTINUES = "##"
"""What WordPiece writes before a piece that does not begin a word."""
_NEVER = -1e9
"""The score of a piece that is not looked for in texts."""

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # each worker has its own cores

Corpus = Sequence[str] | Iterable[str]


def trained(component: Component, texts: Sequence[str]) -> Tokenizer:
    """Train the tokenizer that a study file names.

    Args:
        texts: the texts of a training part.

    Raises:
        DataError: an argument does not fit the texts; with the place in the study file.
    """
    train: Callable[..., Tokenizer] = globals()[TOKENIZERS[component.name]]
    return train(texts, **component.arguments)


def single_characters(
    texts: Corpus, vocab_size: int | None = None, min_frequency: int = 1, lowercase: bool = False
) -> Tokenizer:
    """Make each character a token, the most frequent ones first.

    Args:
        vocab_size: largest number of tokens; None for all characters.
        min_frequency: a character that is rarer than this is unknown.
        lowercase: whether capital letters become small ones.
    """
    normalizer = _lower_case(lowercase)
    counts = Counter(chain.from_iterable(map(normalizer.normalize_str, texts)))
    made = Tokenizer(_of_characters(_vocabulary(counts, vocab_size, min_frequency)))
    made.normalizer = normalizer
    made.decoder = decoders.Fuse()
    return made


def whole_words(
    texts: Corpus, vocab_size: int | None = 30_000, min_frequency: int = 1, lowercase: bool = True
) -> Tokenizer:
    """Make each word, each punctuation mark and each Chinese character a token.

    Args:
        vocab_size: largest number of tokens; None for all words.
        min_frequency: a word that is rarer than this is unknown.
        lowercase: whether capital letters become small ones.
    """
    splitting = _split_into_words(lowercase)
    counts = _counted_words(splitting, texts)
    vocabulary = _vocabulary(counts, vocab_size, min_frequency)
    splitting.model = models.WordLevel(vocabulary, unk_token=UNKNOWN)
    return splitting


def byte_pairs(
    texts: Corpus, vocab_size: int = 8_000, min_frequency: int = 2, lowercase: bool = False
) -> Tokenizer:
    """Merge frequent pairs of bytes, as GPT-2 does; no text has an unknown token.

    Args:
        vocab_size: largest number of tokens, the 256 bytes included.
        min_frequency: a pair that is rarer than this is not merged.
        lowercase: whether capital letters become small ones.
    """
    made = Tokenizer(models.BPE())
    made.normalizer = _lower_case(lowercase)
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=_FIRST,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    return _without_special(made)


def unigram(texts: Corpus, vocab_size: int = 8_000, lowercase: bool = False) -> Tokenizer:
    """Choose the pieces that make the texts most probable, as SentencePiece does.

    Args:
        vocab_size: largest number of tokens; at least as many as there are characters.
        lowercase: whether capital letters become small ones.

    Raises:
        DataError: the texts have more characters than `vocab_size`.
    """
    splitting = Tokenizer(models.Unigram())
    splitting.normalizer = _lower_case(lowercase)
    splitting.pre_tokenizer = pre_tokenizers.Metaspace()
    splitting.decoder = decoders.Metaspace()
    counts = _counted_words(splitting, texts)
    _refuse_few("Unigram", len(set(chain.from_iterable(counts))), vocab_size)
    try:
        pieces = unigram_pieces(counts, vocab_size - len(_FIRST)) if counts else []
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        message = f"Unigram found no pieces in the texts ({reason}). Write tokenizer: words."
        raise DataError(message, "data.tokenizer") from None
    vocabulary = [*((name, _NEVER) for name in _FIRST), *pieces]
    splitting.model = models.Unigram(vocabulary, unk_id=_FIRST.index(UNKNOWN))
    return splitting


def word_pieces(
    texts: Corpus, vocab_size: int = 8_000, min_frequency: int = 2, lowercase: bool = True
) -> Tokenizer:
    """Merge the pieces of words, as BERT does; a word with an unknown character is unknown.

    Args:
        vocab_size: largest number of tokens.
        min_frequency: a pair that is rarer than this is not merged.
        lowercase: whether capital letters become small ones.

    Raises:
        DataError: the texts have more characters than `vocab_size`; each counts twice if words
            begin with it and also continue with it.
    """
    made = _split_into_words(lowercase)
    counts = _counted_words(made, texts)
    made.model = models.WordPiece(unk_token=UNKNOWN)
    made.decoder = decoders.WordPiece(prefix=_CONTINUES)
    # The trainer numbers continuing characters in a random order unless they are given.
    beginning = sorted({word[0] for word in counts})
    continuing = sorted({_CONTINUES + character for word in counts for character in word[1:]})
    _refuse_few("WordPiece", len(beginning) + len(continuing), vocab_size)
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=[*_FIRST, *continuing],
        initial_alphabet=beginning,
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    return _without_special(made)


def _lower_case(lowercase: bool) -> Any:
    return normalizers.Sequence([normalizers.Lowercase()] if lowercase else [])


def _split_into_words(lowercase: bool) -> Tokenizer:
    """Return a tokenizer without a model that splits as BERT does, but keeps accents."""
    made = Tokenizer(models.WordLevel({PAD: 0, UNKNOWN: 1}, unk_token=UNKNOWN))
    made.normalizer = normalizers.BertNormalizer(strip_accents=False, lowercase=lowercase)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return made


def _counted_words(splitting: Tokenizer, texts: Corpus) -> Counter[str]:
    normalize, split = splitting.normalizer.normalize_str, splitting.pre_tokenizer
    parts = (split.pre_tokenize_str(normalize(text)) for text in texts)
    return Counter(word for part in parts for word, _ in part)


def _vocabulary(
    counts: Counter[str], vocab_size: int | None, min_frequency: int
) -> dict[str, int]:
    """Return the numbers of the most frequent strings; equally frequent ones by the alphabet."""
    frequent = (string for string, n in counts.items() if n >= min_frequency)
    ranked = sorted(frequent, key=lambda string: (-counts[string], string))
    kept = ranked if vocab_size is None else ranked[: vocab_size - len(_FIRST)]
    return {string: number for number, string in enumerate([*_FIRST, *kept])}


def _of_characters(vocabulary: dict[str, int]) -> Any:
    """Return a model of single characters: byte-pair encoding without merges."""
    return models.BPE(vocabulary, [], unk_token=UNKNOWN, cache_capacity=0)


def _without_special(made: Tokenizer) -> Tokenizer:
    """Return the tokenizer without special tokens, which it would find in texts."""
    content = json.loads(made.to_str())
    return Tokenizer.from_str(json.dumps({**content, "added_tokens": []}))


def _refuse_few(name: str, n_pieces: int, vocab_size: int) -> None:
    """Refuse a vocabulary that has no room for the single characters of the texts."""
    needed = n_pieces + len(_FIRST)
    if needed > vocab_size:
        raise DataError(
            f"{name} needs at least {needed:,} tokens for the characters of the texts, but "
            f"vocab_size is {vocab_size:,}. Raise it, or write tokenizer: BPE.",
            "data.tokenizer",
        )
