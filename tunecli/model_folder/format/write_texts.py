"""Score or continue the texts of whole files, block by block, into a CSV or Parquet file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch

from tunecli.data.new_rows import Block
from tunecli.data.rows.texts import TextRows, Texts
from tunecli.data.text.corpora import documents_of_lines, read_text
from tunecli.errors import DataError
from tunecli.model_folder.format.model import Model
from tunecli.model_folder.format.predicted_rows import PredictedRows
from tunecli.model_folder.format.predicting import NEITHER, write_frames
from tunecli.model_folder.language.continuations import GREEDY, Sampling
from tunecli.model_folder.language.language_model import LanguageModel


@dataclass(frozen=True)
class Wanted:
    """What is wanted of each text.

    Attributes:
        score: its loss, perplexity, bits per byte and number of tokens.
        n_tokens: this many tokens that follow it; 0 for none.
        sampling: how they are chosen.
    """

    score: bool = False
    n_tokens: int = 0
    sampling: Sampling = GREEDY

    @property
    def is_nothing(self) -> bool:
        """Whether nothing of the kind is wanted."""
        return not self.score and not self.n_tokens


def write_texts(
    model: Model, source: str | None, text: str | None, path: Path | None, wanted: Wanted,
    keep: Sequence[str] = (),
) -> PredictedRows:  # fmt: skip
    """Score or continue the texts of a source, in their order.

    Args:
        source: a file; None for `text`.
        path: a .csv or .parquet file, written as a whole or not at all; None for CSV to stdout.
        keep: columns of the source that become the first columns.

    Raises:
        DataError: the source does not fit the model.
        OutputError: the file cannot be written.
    """
    language_model = model.language
    if wanted.is_nothing:
        raise DataError(NEITHER)
    blocks = (
        iter([Block(_rows([text]))]) if text is not None else _blocks(model, source or "", keep)
    )
    seen = PredictedRows(())
    write_frames(_frames(language_model, blocks, wanted, seen), path, seen)
    return seen


def _frames(
    model: LanguageModel, blocks: Iterator[Block], wanted: Wanted, seen: PredictedRows
) -> Iterator[pd.DataFrame]:
    """Yield the columns of each block of texts."""
    for block in blocks:
        assert isinstance(block.x, TextRows)
        columns: dict[str, object] = {}
        if wanted.n_tokens:
            texts = block.x.texts[0] if model.fitted.has_prompts else [*block.x.joined()]
            continued = model.continued([*texts], wanted.n_tokens, wanted.sampling, seen.n_rows)
            columns["continuation"] = continued
        if wanted.score:
            scores = pd.DataFrame([asdict(score) for score in model.scores(block.x)])
            columns |= {name: scores[name] for name in scores}
        seen.n_rows += len(block.x)
        yield pd.DataFrame(columns) if block.kept is None else block.kept.assign(**columns)


def _blocks(model: Model, source: str, keep: Sequence[str]) -> Iterator[Block]:
    """Read documents as the model's data was read."""
    if not source.lower().endswith(".txt"):
        return model.blocks(source, keep)
    if keep:
        raise DataError(
            f"--keep copies columns of a table file, but {source} is not a table file. Leave out "
            "--keep."
        )
    text = read_text(model.workspace.folder / source)
    of_lines = model.facts.config.data.documents == "line"
    return iter([Block(_rows(documents_of_lines(text) if of_lines else [text]))])


def _rows(texts: Sequence[str]) -> TextRows:
    return TextRows(torch.empty(len(texts), 0, dtype=torch.float64), (Texts.of(texts),))
