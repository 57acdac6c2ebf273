"""Choose the pieces of Unigram with the library `sentencepiece`, always with the same result.

The trainer of `tokenizers` adds probabilities in the order of a hash table that differs between
processes, so that rounding errors choose between pieces of equal worth.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import chain

_UNKNOWN = "\U0010fffd"
"""Name of the library's own piece for the unknown, which no piece of the texts may have."""
_RESERVED = f"\0\t\n\r\x1f \u2585\ufffd{_UNKNOWN}"
"""Characters that separate or mark something in the library, for which others stand in."""
_STAND_INS = range(0xF0000, 0xFFFFE)
"""Characters without a meaning, to which the library applies no rule."""
_LONGEST = 2**30
"""Bytes of a word; the library leaves out longer ones."""


def unigram_pieces(counts: Mapping[str, int], n_pieces: int) -> list[tuple[str, float]]:
    """Return the pieces that make words most probable, and their log-probabilities.

    Kudo (2018), "Subword Regularization", section 3.2, https://arxiv.org/abs/1804.10959. Each
    character of the words is a piece.

    Args:
        counts: how often each word occurs; at least one word. Words begin with `▁`, and have no
            other one.
        n_pieces: largest number of pieces; at least the number of characters.

    Raises:
        RuntimeError: the library finds no pieces.
    """
    from sentencepiece import SentencePieceProcessor, SentencePieceTrainer  # rarely needed

    characters = set(chain.from_iterable(counts))
    free = (chr(code) for code in _STAND_INS if chr(code) not in characters)
    stand_ins = dict(zip(_RESERVED, free, strict=False))
    there, back = str.maketrans(stand_ins), {ord(new): old for old, new in stand_ins.items()}
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=(f"{word.translate(there)}\t{counts[word]}" for word in sorted(counts)),
        model_writer=model,
        input_format="tsv",
        model_type="unigram",
        vocab_size=n_pieces + 1,  # with the piece for the unknown, which is number 0
        unk_piece=_UNKNOWN,
        bos_id=-1,
        eos_id=-1,
        hard_vocab_limit=False,
        character_coverage=1.0,
        max_sentence_length=_LONGEST,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        split_by_unicode_script=False,
        split_by_number=False,
        num_threads=1,  # the sums depend on the number
        minloglevel=2,
    )
    made = SentencePieceProcessor(model_proto=model.getvalue())
    numbers = range(1, made.get_piece_size())
    return [(made.id_to_piece(n).translate(back), made.get_score(n)) for n in numbers]
