"""Read files and folders of text as the documents of a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
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
from tunecli.study_file.settings.source_kinds import text_files

TEXT = "text"
"""The name of the only column of a file of text."""


def load_corpus(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> Dataset:
    """Read a text file or folder, and those of the test set and the validation rows, if any.

    A file is one text, of which the last share is held out; in a folder, each file is a document.
    With `documents: line`, each line of each file is one.

    Raises:
        DataError: a file cannot be used; with the place and a remedy.
    """
    named = {"data.source": settings.source, "data.test": settings.test}
    named["validation.file"] = validation.file
    paths = {
        setting: workspace.folder / name
        for setting, name in named.items()
        if isinstance(name, str)
    }
    files = {setting: _files_at(path, setting) for setting, path in paths.items()}
    if paths["data.source"].is_dir():
        files["data.source"] = _only_in(files, "data.source")
    are_whole = any(path.is_dir() for path in paths.values())
    asked = settings.documents, are_whole, [(one, len(files[one])) for one in files]
    every = [file for setting in files for file in files[setting]]

    def read() -> Dataset:
        return _read(settings, files, are_whole=are_whole)

    return kept_dataset("corpus", settings.source, every, asked, workspace, read)


def _only_in(files: Mapping[str, list[Path]], setting: str) -> list[Path]:
    """Return the files of a setting that no other setting names.

    Raises:
        DataError: there are none.
    """
    others = {path for other in files if other != setting for path in files[other]}
    own = [path for path in files[setting] if path not in others]
    if not own:
        message = "every text file in it is also used for the test or the validation"
        raise DataError(f"{message}. Use other files for those.", setting)
    return own


def _files_at(path: Path, setting: str) -> list[Path]:
    """Return a text file, or those in a folder and below it, sorted by name.

    Raises:
        DataError: there are none.
    """
    if path.is_file():
        return [path]
    files = sorted(text_files(path)) if path.is_dir() else []
    if not files:
        why = "contains no .txt files" if path.is_dir() else "does not exist"
        what = "file" if path.suffix else "folder"
        raise DataError(f"{what} {path.name!r} {why} (looked for at {path}).", setting)
    return files


def _read(settings: DataSettings, files: dict[str, list[Path]], *, are_whole: bool) -> Dataset:
    """Read the documents of all files.

    Args:
        files: those of each setting.
        are_whole: whether each file is a document, instead of one text.
    """
    of_lines = settings.documents == "line"
    is_one_text = not of_lines and not are_whole
    cut = text_parts if is_one_text else documents_of_lines if of_lines else _whole
    parts: dict[str, list[str]] = {}
    for setting, paths in files.items():
        texts_of_files = (cut(read_text(path, setting)) for path in paths)
        parts[setting] = list(chain.from_iterable(texts_of_files))
        if not parts[setting]:
            one = len(paths) == 1
            which = f"{paths[0].name} contains" if one else f"the {len(paths):,} files contain"
            raise DataError(f"{which} no text.", setting)
    texts = Texts.of(text for documents in parts.values() for text in documents)
    marks = np.repeat([*parts], [len(documents) for documents in parts.values()])
    n = len(texts)
    return Dataset(
        name=settings.source,
        task="language_modeling",
        x=TextRows(torch.empty(n, 0, dtype=torch.float64), (texts,)),
        y=torch.zeros(n, dtype=torch.float64),
        text_columns=(TEXT,),
        times=torch.arange(n, dtype=torch.float64) if is_one_text else None,
        copies=None if is_one_text else copies_of([*texts]),
        given_test=_rows(marks == "data.test"),
        given_folds=_folds(marks == "validation.file"),
        is_one_text=is_one_text,
    )


def _whole(text: str) -> list[str]:
    """Return a text as the only document, unless it is blank."""
    return [text] if text.strip() else []


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
