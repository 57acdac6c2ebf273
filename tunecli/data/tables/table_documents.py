"""Turn the rows of a table into the documents of a language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from tunecli.data.columns.text_cells import texts_of
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.texts import TextRows
from tunecli.data.tables.table_files import Frame
from tunecli.data.text.corpora import copies_of
from tunecli.errors import DataError


def documents_in(frame: Frame, splits: Mapping[str, Any], notes: list[str]) -> Dataset:
    """Return a document per row: its texts, or a prompt and its completion.

    Args:
        splits: the arrays that decide the splits, by their name in a data set.
        notes: sentences on the splits.

    Raises:
        DataError: all documents are empty.
    """
    settings = frame.settings
    names = settings.text or [name for name in (settings.prompt, settings.completion) if name]
    texts = tuple(texts_of(frame.rows[name]) for name in names)
    if not texts[-1].content.size:
        setting = "data.text" if settings.text else "data.completion"
        raise DataError(f"column {names[-1]!r} of {settings.source} contains no text.", setting)
    n = len(frame.rows)
    x = TextRows(torch.empty(n, 0, dtype=torch.float64), texts)
    return Dataset(
        name=settings.source,
        task="language_modeling",
        x=x,
        y=torch.zeros(n, dtype=torch.float64),
        text_columns=tuple(names),
        copies=copies_of([*x.joined()]),
        notes=tuple(notes),
        **splits,
    )
