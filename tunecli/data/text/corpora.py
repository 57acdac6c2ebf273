"""Read files of text as the documents of a language model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.cache.cached_datasets import kept_dataset
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.texts import TextRows, Texts
from tunecli.data.rows.workspace import Workspace
from tunecli.data.text.text_parts import text_parts
from tunecli.errors import DataError
from tunecli.files.small import read_small
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings

TEXT = "text"
"""The name of the only column of a file of text."""


def load_corpus(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> Dataset:
    """Read a text file, and those of the test set and the validation rows if there are any.

    Each file is either one text, whose last share is held out, or has one document per line.

    Raises:
        DataError: a file cannot be used; with the place and a remedy.
    """
    named = {"data.source": settings.source, "data.test": settings.test}
    named["validation.file"] = validation.file
    files = {
        setting: workspace.folder / name
        for setting, name in named.items()
        if isinstance(name, str)
    }
    for setting, path in files.items():
        if not path.is_file():
            missing = f"file {named[setting]!r} does not exist (looked for at {path})."
            raise DataError(missing, setting)
    asked = settings.documents, sorted(files)

    def read() -> Dataset:
        return _read(settings, files)

    return kept_dataset("corpus", settings.source, [*files.values()], asked, workspace, read)


def _read(settings: DataSettings, files: dict[str, Path]) -> Dataset:
    of_lines = settings.documents == "line"
    cut = documents_of_lines if of_lines else text_parts
    parts = {setting: cut(read_text(path, setting)) for setting, path in files.items()}
    for setting, documents in parts.items():
        if not documents:
            raise DataError(f"{files[setting].name} contains no text.", setting)
    texts = Texts.of(text for documents in parts.values() for text in documents)
    marks = np.repeat([*parts], [len(documents) for documents in parts.values()])
    n = len(texts)
    return Dataset(
        name=settings.source,
        task="language_modeling",
        x=TextRows(torch.empty(n, 0, dtype=torch.float64), (texts,)),
        y=torch.zeros(n, dtype=torch.float64),
        text_columns=(TEXT,),
        times=None if of_lines else torch.arange(n, dtype=torch.float64),
        copies=copies_of([*texts]) if of_lines else None,
        given_test=_rows(marks == "data.test"),
        given_folds=_folds(marks == "validation.file"),
        is_one_text=not of_lines,
    )


LARGEST_TEXT = 2**32
"""Largest size of a text file in bytes."""


def read_text(path: Path, setting: str = "") -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    try:
        return read_small(path, LARGEST_TEXT).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"byte {error.start:,} is not"
        raise DataError(
            f"{path.name} must be UTF-8, but {where}. Save it as UTF-8.", setting
        ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path.name} cannot be read: {reason}.", setting) from None


def documents_of_lines(text: str) -> list[str]:
    """Return the lines of a text that are not blank, without their ends."""
    return [line.rstrip("\r") for line in text.split("\n") if line.strip()]


def copies_of(documents: Sequence[str]) -> Tensor | None:
    """Return for each document the first one that is equal; None if all differ."""
    firsts: dict[str, int] = {}
    rows = [firsts.setdefault(document, row) for row, document in enumerate(documents)]
    return torch.tensor(rows) if len(firsts) < len(documents) else None


def _rows(marks: NDArray[np.bool_]) -> Tensor | None:
    return torch.from_numpy(np.flatnonzero(marks)) if marks.any() else None


def _folds(marks: NDArray[np.bool_]) -> Tensor | None:
    return torch.from_numpy(np.where(marks, 0, -1)) if marks.any() else None
