"""Load a folder of class folders whose files are texts, and texts to predict."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tunecli.data.cache.cached_datasets import kept_dataset
from tunecli.data.columns.cleaning import duplicate_rows
from tunecli.data.pictures.class_folders import TEXT_FILES, ClassFolders, as_text, walked
from tunecli.data.pictures.pictures import list_files
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.texts import TextRows, Texts
from tunecli.data.rows.workspace import Workspace
from tunecli.data.text.corpora import LARGEST_TEXT
from tunecli.errors import DataError
from tunecli.files.small import read_small
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings

_NEW_LINE = re.compile("\r\n|\n|\r")
COLUMN = "text"
"""The name of the only column of a data set of texts."""


def load_text_folders(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> Dataset:
    """Read all texts; each file is one row, and its folder is its class; see `load_pictures`.

    Raises:
        DataError: there is nothing to learn, a text is not UTF-8, or a setting is for pictures.
    """
    for name in ("size", "channels"):
        if getattr(settings, name) is not None:
            message = f"applies only to pictures, but {settings.source} contains texts. Remove it."
            raise DataError(message, f"data.{name}")
    listing = list_files(settings, validation, workspace.folder, TEXT_FILES)
    asked = [(file.name, file.class_name, file.part) for file in listing.files], listing.notes
    paths = [file.path for file in listing.files]
    name = settings.source
    return kept_dataset("texts", name, paths, asked, workspace, lambda: _read(name, listing))


def _read(name: str, listing: ClassFolders) -> Dataset:
    strings = [text_in(file.path, file.named).strip() for file in listing.files]
    y = np.array([listing.classes.index(file.class_name) for file in listing.files])
    codes = np.unique(strings, return_inverse=True)[1]
    copies, on_copies = duplicate_rows([codes], y)
    parts = np.array([file.part for file in listing.files])
    test, valid = np.flatnonzero(parts == "test"), parts == "valid"
    return Dataset(
        name=name,
        task="classification",
        x=TextRows(_no_columns(len(strings)), (Texts.of(strings),)),
        y=torch.from_numpy(y),
        classes=listing.classes,
        text_columns=(COLUMN,),
        copies=None if copies is None else torch.from_numpy(copies),
        given_test=torch.from_numpy(test) if len(test) else None,
        given_folds=torch.from_numpy(np.where(valid, 0, -1)) if valid.any() else None,
        notes=(*listing.notes, *on_copies),
    )


def text_in(path: Path, name: str) -> str:
    """Return the text of a file.

    Raises:
        DataError: it cannot be read, or is not UTF-8; with its name.
    """
    try:
        return read_small(path, LARGEST_TEXT).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        message = f"{name} must be UTF-8, but byte 0x{byte:02x} at {error.start:,} is not"
        raise DataError(f"{message}. Save it as UTF-8.", "data.source") from None
    except OSError as error:
        message = f"{name} cannot be read ({error.strerror}). Remove or repair it."
        raise DataError(message, "data.source") from None


def texts_to_predict(
    path: Path, are_lines: bool, n_rows: int
) -> Iterator[tuple[TextRows, tuple[str, ...]]]:
    """Read the texts of a .txt file, or of all .txt files below a folder, block by block.

    Args:
        are_lines: whether each line of a single file is a text; else the whole file is one.
        n_rows: number of texts to read at once.

    Yields:
        the texts, and the files of a folder that they are from.

    Raises:
        DataError: there are none, or one cannot be read.
    """
    if path.is_file():
        content = text_in(path, as_text(path.name))
        lines = _NEW_LINE.split(_NEW_LINE.sub("\n", content).removesuffix("\n"))
        texts = [text.strip() for text in (lines if are_lines else [content])]
        for start in range(0, len(texts), n_rows):
            yield _rows(texts[start : start + n_rows]), ()
        return
    files = {file: as_text(name) for file, name in walked(path) if TEXT_FILES.has(name)}
    if not files:
        raise DataError(f"{path} contains no texts. Text files end in .txt.")
    paths = [*files]
    for start in range(0, len(paths), n_rows):
        some = paths[start : start + n_rows]
        names = tuple(files[file] for file in some)
        yield _rows([text_in(file, files[file]).strip() for file in some]), names


def _rows(strings: list[str]) -> TextRows:
    return TextRows(_no_columns(len(strings)), (Texts.of(strings),))


def _no_columns(n_rows: int) -> Tensor:
    return torch.empty(n_rows, 0, dtype=torch.float64)
