"""Say what becomes of text before a model reads it."""

from __future__ import annotations

from tunecli.data.rows.summary import BlockSummary, TokenSummary
from tunecli.study_file.text.counts import count


def tokens_text(tokens: TokenSummary | BlockSummary) -> str:
    """Return the vocabulary, the lengths of rows, and what is cut, padding or unknown."""
    if isinstance(tokens, BlockSummary):
        return blocks_text(tokens)
    most = f"at most {tokens.longest:,}" if not tokens.cut else f"up to {tokens.longest:,}"
    cut = f", cut to {tokens.max_length:,} in {_share(tokens.cut)} of the rows"
    parts = [
        f"vocabulary of {tokens.vocab_size:,}",
        f"{tokens.median:,} per row (median), {most}{cut if tokens.cut else ''}",
        f"{_share(tokens.padding)} padding",
    ]
    if tokens.unknown:
        parts.append(f"{_share(tokens.unknown)} unknown in validation rows")
    return ", ".join(parts)


def blocks_text(blocks: BlockSummary) -> str:
    """Return the vocabulary, the tokens and blocks of a language model, and what is unknown."""
    parts = [
        f"vocabulary of {blocks.vocab_size:,}",
        f"{blocks.n_tokens:,} for training in {count(blocks.n_blocks, 'block')} of "
        f"{blocks.block_size:,}",
        f"{_share(blocks.padding)} padding",
    ]
    if blocks.unknown:
        parts.append(f"{_share(blocks.unknown)} unknown in the validation part")
    return ", ".join(parts)


def _share(share: float) -> str:
    """Return a share with one digit below 10 %: `0.4 %`, `12 %`."""
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
