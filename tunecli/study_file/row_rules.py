"""Rules between a model and the rows of its data: numbers, pictures or texts.

What is known before any data is read decides: the name of the source, `data.text`, and the files
in a folder of class folders. Only reading shows whether the rows of a file of arrays are pictures,
and what a function of the user returns.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from tunecli.study_file.catalogue.names import LANGUAGE_MODELS, TEXT_MODELS
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.setting_types import SourceKind
from tunecli.study_file.settings.settings import DataSettings, TrialConfig
from tunecli.study_file.settings.source_kinds import PICTURE_FILES, TEXT_FILES, kind_of
from tunecli.study_file.text.problems import Conflict
from tunecli.study_file.text.suggestions import listed

Rows = Literal["numbers", "pictures", "text"]

_NUMBERS, _PICTURES, _TEXT = (frozenset[Rows]({one}) for one in ("numbers", "pictures", "text"))
_ANY = _NUMBERS | _PICTURES | _TEXT
_OF_KIND: dict[SourceKind | None, frozenset[Rows]] = {
    "table": _NUMBERS,
    "bundled": _NUMBERS,
    "torchvision": _PICTURES,
    "arrays": _NUMBERS | _PICTURES,
}
_TAKES: dict[str, frozenset[Rows]] = {
    **dict.fromkeys(("Linear", "MLP", "ResNet", "TabM", "RealMLP"), _NUMBERS | _PICTURES),
    **dict.fromkeys((*TEXT_MODELS, "AutoModelForSequenceClassification"), _TEXT),
}
"""What models take; all others are classifiers of pictures."""


def row_conflicts(
    config: TrialConfig, in_folder: Callable[[str], frozenset[Rows]]
) -> Iterator[Conflict]:
    """Yield a model that cannot take what the rows of the data are.

    Args:
        in_folder: returns what the files of a folder of class folders may be.
    """
    name, data = config.model.name, config.data
    if is_code(name) or config.train is not None or name in LANGUAGE_MODELS:
        return
    takes, rows = _TAKES.get(name, _PICTURES), _possible_rows(data, in_folder)
    if not takes & rows:
        of = "text" if kind_of(data.source) == "table" else "source"
        yield Conflict(("model",), f"{name} {_mismatch(data, takes, rows)}", (("data", of),))


def folder_rows(source: str, study_folder: Path | None) -> frozenset[Rows]:
    """Return what the files of a folder of class folders are: pictures if there is one.

    Hidden files are left out. Links are not followed: behind one could be either.

    Args:
        study_folder: the folder of the study file; None if it is unknown.
    """
    either, found = _PICTURES | _TEXT, _PICTURES | _TEXT
    if study_folder is None:
        return either
    for folder, folders, files in os.walk(study_folder / source):
        folders[:] = [name for name in folders if not name.startswith(".")]
        names = [name.lower() for name in files if not name.startswith(".")]
        if any(name.endswith(PICTURE_FILES) for name in names):
            return _PICTURES
        if any(os.path.islink(os.path.join(folder, name)) for name in folders):
            return either
        found = _TEXT if any(name.endswith(TEXT_FILES) for name in names) else found
    return found


def _possible_rows(
    data: DataSettings, in_folder: Callable[[str], frozenset[Rows]]
) -> frozenset[Rows]:
    kind = kind_of(data.source)
    if data.task == "language_modeling":
        return _ANY
    if kind == "pictures":
        return in_folder(data.source)
    if kind == "table" and data.text:
        return _TEXT
    return _PICTURES if data.source == "digits" else _OF_KIND.get(kind, _ANY)


def _mismatch(data: DataSettings, takes: frozenset[Rows], rows: frozenset[Rows]) -> str:
    """Return what a model takes and what the data has instead, with models that take it."""
    if rows == _TEXT:
        where = "data.text names columns" if data.text else f"{data.source} contains texts"
        return f"takes no text, but {where}. Use {listed(TEXT_MODELS, last='or')}."
    others = "CNN or MLP" if rows == _PICTURES else "MLP or Linear"
    if takes == _TEXT and kind_of(data.source) == "table":
        way = f"Write data: {{text: COLUMN}}, or use {others}."
        return f"takes text, but data.text names no column. {way}"
    return f"takes {next(iter(takes))}, but {data.source} has none. Use {others}."
