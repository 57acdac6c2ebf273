"""Data sets that were read from files once, and their splits, cached for other processes.

They are keyed by the content of the files: each process maps them into memory, and only one has
read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import sklearn
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from tunecli import __version__
from tunecli.data.cache.entries import (
    SMALL,
    CacheEntry,
    Make,
    NewArray,
    content_sha256,
    kept,
    key_of,
)
from tunecli.data.rows.dataset import Column, Dataset
from tunecli.data.rows.decoding import Depth
from tunecli.data.rows.texts import TextRows, Texts
from tunecli.data.rows.workspace import Workspace
from tunecli.data.splits.split import Split, split
from tunecli.numerics import NUMERICS
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Facts = TypeVar("Facts", bound="DataclassInstance")

_COLUMNS = TypeAdapter(tuple[Column, ...])
_TENSORS = ("x", "y", "groups", "times", "weights", "copies", "given_test", "given_folds")


def kept_dataset(
    kind: str,
    name: str,
    files: Sequence[Path],
    asked: object,
    workspace: Workspace,
    read: Callable[[], Dataset],
) -> Dataset:
    """Return the data set of these files from the cache, or read it.

    Args:
        kind: a word for people, part of the entry's name.
        name: the name of the data set.
        files: all files that it is read from; they exist.
        asked: the settings that decide what is read from them, as plain data.
        read: reads the data set.
    """
    entry = _kept(kind, files, (asked, Column), workspace, lambda new: _fill(read(), new))
    return dataset_of(name, entry)


def kept_facts(
    kind: str,
    files: Sequence[Path],
    asked: object,
    workspace: Workspace,
    type_: type[Facts],
    find: Callable[[], Sequence[Facts]],
) -> list[Facts]:
    """Return facts on these files from the cache, or find them.

    Args:
        kind, files, asked: see `kept_dataset`.
        type_: a dataclass of plain data.
        find: reads the files and returns the facts.
    """
    form = TypeAdapter(list[type_])  # type: ignore[valid-type]

    def found(_: NewArray) -> dict[str, Any]:
        return {"facts": form.dump_python(list(find()), mode="json")}

    entry = _kept(kind, files, (asked, type_), workspace, found)
    return form.validate_python(entry.facts["facts"])


def _kept(
    kind: str,
    files: Sequence[Path],
    decides: tuple[object, type[Any]],
    workspace: Workspace,
    make: Make,
) -> CacheEntry:
    """Return the entry of these files from the cache, or make it.

    Args:
        decides: the settings that decide its content, and the dataclass that it stores.
    """
    asked, stored = decides
    hashes = [content_sha256(path) for path in files]
    known = [field.name for field in fields(stored)]  # else old entries would lack some
    versions = [__version__, NUMERICS, pd.__version__, np.__version__, known]
    is_small = sum(path.stat().st_size for path in files) <= SMALL
    key = key_of(kind, hashes, asked, versions)
    return kept(None if is_small else workspace.cache, key, make)


def kept_split(
    dataset: Dataset, data: DataSettings, validation: ValidationSettings, cache: Path | None
) -> Split:
    """Return the split of the data set from the cache, or decide it.

    Raises:
        DataError: see `split`.
    """

    def make(new: NewArray) -> Mapping[str, Any]:
        made = split(dataset, data, validation)
        parts = {"search": made.search_rows, "test": made.test_rows}
        for number, (train, valid) in enumerate(made.folds):
            parts |= {f"train_{number}": train, f"valid_{number}": valid}
        for name, rows in parts.items():
            new(name, tuple(rows.shape), np.int64)[...] = rows.numpy()
        return {"n_folds": len(made.folds)}

    chosen = data.model_dump(include={"test", "split_seed"})
    versions = [__version__, np.__version__, sklearn.__version__]
    key = key_of("split", dataset.fingerprint, chosen, validation.model_dump(), versions)
    entry = kept(None if dataset.x_bytes <= SMALL else cache, key, make)
    rows = tensors(entry.arrays)
    folds = ((rows[f"train_{n}"], rows[f"valid_{n}"]) for n in range(entry.facts["n_folds"]))
    return Split(rows["search"], rows["test"], tuple(folds))


def tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return the arrays as tensors on the same memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _fill(dataset: Dataset, new: NewArray) -> Mapping[str, Any]:
    x = dataset.x
    texts = x.texts if isinstance(x, TextRows) else ()
    parts = {name: getattr(dataset, name) for name in _TENSORS}
    parts["x"] = x.table if isinstance(x, TextRows) else x
    arrays = {name: tensor.numpy() for name, tensor in parts.items() if tensor is not None}
    for number, one in enumerate(texts):
        arrays |= {f"text_{number}": one.content, f"text_ends_{number}": one.ends}
    for name, array in arrays.items():
        new(name, array.shape, array.dtype)[...] = array
    return {
        "text_columns": list(dataset.text_columns),
        "task": dataset.task,
        "classes": list(dataset.classes),
        "columns": _COLUMNS.dump_python(tuple(dataset.columns), mode="json"),
        "target": dataset.target,
        "targets": list(dataset.targets),
        "is_one_text": dataset.is_one_text,
        "notes": list(dataset.notes),
        "fingerprint": dataset.fingerprint,
        "first_fingerprint": dataset.first_fingerprint,
    }


def dataset_of(name: str, entry: CacheEntry) -> Dataset:
    """Return the data set that an entry holds, on its memory."""
    facts, arrays = entry.facts, dict(entry.arrays)
    names = facts.get("text_columns", ())
    texts = [
        Texts(arrays.pop(f"text_{i}"), arrays.pop(f"text_ends_{i}")) for i in range(len(names))
    ]
    parts = tensors(arrays)
    if texts:
        parts["x"] = TextRows(parts["x"], tuple(texts))
    return Dataset(
        name=name,
        task=facts["task"],
        classes=tuple(facts["classes"]),
        columns=_COLUMNS.validate_python(facts["columns"]),
        target=facts["target"],
        targets=tuple(facts.get("targets", ())),
        is_one_text=facts.get("is_one_text", False),
        notes=tuple(facts["notes"]),
        known_fingerprint=facts["fingerprint"],
        known_first=facts.get("first_fingerprint", ""),
        depth=None if facts.get("depth") is None else Depth(**facts["depth"]),
        text_columns=tuple(names),
        **parts,
    )
