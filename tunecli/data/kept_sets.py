"""Data sets that were read from files once, kept for other processes and later searches.

They are known by the content of their files: each process maps them into memory, and one alone has
read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli import __version__
from tunecli.data.cache import SMALL, Entry, NewArray, file_hash, kept, key_of
from tunecli.data.dataset import Column, Dataset
from tunecli.data.workspace import Workspace

_TENSORS = ("x", "y", "groups", "times", "copies", "given_test", "given_folds")


def kept_dataset(
    kind: str,
    name: str,
    files: Sequence[Path],
    asked: object,
    workspace: Workspace,
    read: Callable[[], Dataset],
) -> Dataset:
    """The data set of these files, read now unless it was before.

    Args:
        kind: a word for people, in the name of the entry.
        name: of the data set.
        files: all that it is read from; they exist.
        asked: plain data; the settings that decide what is read from them.
        read: makes it.
    """
    hashes = [file_hash(path) for path in files]
    versions = [__version__, pd.__version__, np.__version__]
    key = key_of(kind, hashes, asked, versions)
    is_small = sum(path.stat().st_size for path in files) <= SMALL
    entry = kept(None if is_small else workspace.cache, key, lambda new: _fill(read(), new))
    return _dataset(name, entry)


def tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The arrays as tensors on the same memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _fill(dataset: Dataset, new: NewArray) -> Mapping[str, Any]:
    for name in _TENSORS:
        tensor: Tensor | None = getattr(dataset, name)
        if tensor is not None:
            array = tensor.numpy()
            new(name, array.shape, array.dtype)[...] = array
    return {
        "task": dataset.task,
        "classes": list(dataset.classes),
        "columns": [asdict(column) for column in dataset.columns],
        "target": dataset.target,
        "notes": list(dataset.notes),
        "fingerprint": dataset.fingerprint,
    }


def _dataset(name: str, entry: Entry) -> Dataset:
    facts = entry.facts
    columns = tuple(Column(c["name"], c["kind"], tuple(c["categories"])) for c in facts["columns"])
    return Dataset(
        name=name,
        task=facts["task"],
        classes=tuple(facts["classes"]),
        columns=columns,
        target=facts["target"],
        notes=tuple(facts["notes"]),
        known_fingerprint=facts["fingerprint"],
        **tensors(entry.arrays),
    )
