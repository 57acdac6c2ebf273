"""Read rows to predict from any source that can be trained on, in blocks that fit into memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.arrays.arrays import features_in
from tunecli.data.columns.column_cells import Reading
from tunecli.data.pictures.class_folders import PICTURES, TEXT_FILES, as_text, walked
from tunecli.data.pictures.text_folders import texts_to_predict
from tunecli.data.rows.array_forms import feature_array, tensor_array
from tunecli.data.rows.dataset import Column
from tunecli.data.rows.decoding import Depth, UnreadableError, decode_picture
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.data.rows.texts import TextRows, Texts
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.tables.table_files import tidied
from tunecli.data.tables.table_rows import kept_table_blocks, model_cells, model_texts
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings
from tunecli.study_file.settings.source_kinds import kind_of, unknown_source
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.suggestions import listed

BLOCK_BYTES = 32 * 2**20
"""Bytes of rows to read at once."""


TEXT_BYTES = 4096
"""Assumed bytes of a text, which only reading it shows."""


@dataclass(frozen=True)
class RowKind:
    """The form of a model's input rows, before preprocessing.

    Attributes:
        columns: the columns of a table; empty for pictures.
        shape: the shape of a row: (n_columns,) or (channels, height, width).
        dtype: the type of a tensor of rows.
        data: the settings that the model's data was read with; `missing`, `size` and others apply
            to new rows, too.
        depth: how pictures of more than 8 bits become bytes; None if training had no such ones.
        texts: the columns of text; `shape` counts them, too.
    """

    columns: tuple[Column, ...]
    shape: tuple[int, ...]
    dtype: Literal["float64", "float32", "uint8", "int64"]
    data: DataSettings
    depth: Depth | None = None
    texts: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [*(column.name for column in self.columns), *self.texts]

    def rows(self, values: NDArray[Any], texts: tuple[Texts, ...]) -> Tensor | TextRows:
        """Return rows of a table, (n, n_columns), with their texts if the model takes any."""
        table = self.tensor(values)
        return TextRows(table, texts) if self.texts else table

    def tensor(self, values: NDArray[Any]) -> Tensor:
        """Return rows, (n, *shape), as a tensor of `dtype`.

        Raises:
            DataError: the model takes whole numbers, and a cell is not a whole number.
        """
        if self.dtype == "int64" and values.dtype.kind == "f":
            is_other = (np.mod(values, 1) != 0) | (np.abs(values) > 2**53)  # NaN is, too
            if is_other.any():
                row = int(is_other.reshape(len(values), -1).any(axis=1).argmax())
                message = f"row {row} of the rows to predict has a cell that is not a whole number"
                raise DataError(f"{message}, but the model takes only whole numbers.")
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.dtype(self.dtype)))

    def texts_alone(self, texts: Texts) -> TextRows:
        """Return rows for a model that takes only one column of text."""
        return TextRows(self.tensor(np.empty((len(texts), 0))), (texts,))

    def block_rows(self, batch: int) -> int:
        """Return the number of rows to read at once: a multiple of the prediction batch."""
        row_bytes = 8 * int(np.prod(self.shape)) + TEXT_BYTES * len(self.texts)
        return batch * max(1, BLOCK_BYTES // (row_bytes * batch))


@dataclass(frozen=True)
class Block:
    """Consecutive rows, (n, *shape).

    Attributes:
        files: the file of each picture; empty for other rows.
        kept: columns of a table that go along with the predictions; None without any.
    """

    x: Tensor | TextRows
    files: tuple[str, ...] = ()
    kept: pd.DataFrame | None = None


def rows_of(given: object, kind: RowKind) -> Tensor | TextRows:
    """Convert a DataFrame, an array, a tensor or a list of texts to rows of that kind.

    Raises:
        DataError: columns are missing or of another type, or the shape differs.
    """
    if isinstance(given, pd.DataFrame):
        if not kind.names:
            raise DataError("the rows to predict are a table, but the model takes pictures.")
        if not kind.texts and _is_numbered(given, kind):
            return _of_array(given.to_numpy(), kind, "the table")
        frame, _ = tidied(given, kind.data.missing, every_column=True)
        cells = model_cells(frame, kind.columns, "the table", Reading.of(kind.data))
        return kind.rows(cells, model_texts(frame, kind.texts, "the table"))
    if kind.texts:
        return _of_strings(given, kind)
    try:
        array = tensor_array(given) if isinstance(given, Tensor) else np.asarray(given)
    except ValueError as error:
        raise DataError(f"the rows to predict: {error}") from None
    return _of_array(array, kind, "the array")


def _of_strings(given: object, kind: RowKind) -> TextRows:
    """Return a sequence of strings as rows of a model that takes nothing else."""
    if len(kind.names) > 1:
        message = f"the model takes the columns {listed(kind.names, most=10)}"
        raise DataError(f"{message}. Pass a DataFrame with these.")
    is_sequence = isinstance(given, Sequence | pd.Series | np.ndarray)
    strings = list(given) if isinstance(given, Sequence | pd.Series | np.ndarray) else []
    if not is_sequence or not all(isinstance(one, str) for one in strings):
        raise DataError(
            "the rows to predict must be texts, since the model takes text. Pass a list of "
            f"strings, or a DataFrame with the column {kind.names[0]!r}."
        )
    return kind.texts_alone(Texts.of(strings))


def blocks_of(
    source: str, kind: RowKind, workspace: Workspace, batch: int, keep: Sequence[str] = ()
) -> Iterator[Block]:
    """Read the rows of a file, folder or named set, block by block.

    Args:
        batch: rows to predict at once; block sizes are multiples of it.
        keep: columns of a table file that go along.

    Raises:
        DataError: the source cannot be read, or differs in kind from the training data.
    """
    source_kind = kind_of(source)
    path = workspace.folder / source
    if kind.texts and (path.is_dir() or TEXT_FILES.has(source)):
        return _texts(path, source, kind, kind.block_rows(batch), keep)
    if keep and (source_kind != "table" or path.is_dir()):
        raise DataError(
            f"--keep copies columns of a table file, but {source} is not a table file. Leave out "
            "--keep."
        )
    if path.is_dir() or (path.is_file() and PICTURES.has(path.name)):
        return _pictures(path, kind, kind.block_rows(batch))
    if source_kind in ("table", "arrays") and not path.is_file():
        raise DataError(f"file {source!r} does not exist (looked for at {path.absolute()}).")
    if source_kind == "table":
        if not kind.names:
            raise DataError(f"{source} is a table, but the model takes pictures.")
        n_rows = kind.block_rows(batch)
        read = kept_table_blocks(path, kind.columns, kind.data, n_rows, keep, kind.texts)
        return (
            Block(kind.rows(block.cells, block.texts), kept=block.kept if keep else None)
            for block in read
        )
    if source_kind == "arrays":
        return _split(_of_array(features_in(path), kind, source), kind.block_rows(batch))
    if source_kind in ("bundled", "torchvision", "code"):
        return _named_set(source, kind, workspace, kind.block_rows(batch))
    if source_kind == "pictures":
        raise DataError(f"folder or picture {source!r} does not exist ({path.absolute()}).")
    raise DataError(unknown_source(source, workspace.folder))


def _split(x: Tensor | TextRows, n_rows: int) -> Iterator[Block]:
    return (Block(part) for part in x.split(n_rows))


def _all_rows(x: Tensor | TextRows, kind: RowKind) -> Tensor | TextRows:
    return x if isinstance(x, TextRows) else kind.tensor(x.numpy())


def _of_array(array: NDArray[Any], kind: RowKind, name: str) -> Tensor:
    x = feature_array(name, array)
    if kind.columns:
        x = _wanted_columns(x, kind, name)
    elif x.dtype != np.uint8 and kind.dtype == "uint8":
        raise DataError(f"{name} has pictures as {x.dtype}, but the model takes bytes (uint8).")
    if x.shape[1:] != kind.shape:
        ours, theirs = (" × ".join(map(str, shape)) for shape in (kind.shape, x.shape[1:]))
        raise DataError(f"{name} has rows of shape {theirs}, but the model takes {ours}.")
    return kind.tensor(x)


def _is_numbered(frame: pd.DataFrame, kind: RowKind) -> bool:
    """Return whether a frame's columns are numbered instead of named, as those of an array.

    Raises:
        DataError: the model's columns have these numbers as names, but in another order.
    """
    if not isinstance(frame.columns, pd.RangeIndex):
        return False
    numbers, names = list(map(str, frame.columns)), kind.names
    if not set(names) <= set(numbers):
        return True
    if numbers == names or len(numbers) != len(names):
        return False
    raise DataError(
        f"the table has columns 0 to {len(numbers) - 1} without names, but the model expects "
        f"{listed(names, most=10)}. Name them (frame.columns = […]), or pass an array with the "
        "columns in the model's order."
    )


def _wanted_columns(x: NDArray[Any], kind: RowKind, name: str) -> NDArray[Any]:
    """Return the columns of an array that the model uses, by their positions.

    Models of earlier versions left out constant columns of arrays.
    """
    if x.ndim != 2:
        raise DataError(f"{name} must have the shape (rows, features), but has {x.shape}.")
    numbers = [name.removeprefix("x[").removesuffix("]") for name in kind.names]
    are_numbered = [f"x[{number}]" for number in numbers] == kind.names
    if kind_of(kind.data.source) not in ("arrays", "code") or not are_numbered:
        if any(column.categories or column.date or column.unit for column in kind.columns):
            raise DataError(f"{name} has no column names. Pass a DataFrame or a table file.")
        return x
    wanted = [int(number) for number in numbers]
    if x.shape[1] <= max(wanted):
        need = f"the model takes at least {max(wanted) + 1}"
        raise DataError(f"{name} has {count(x.shape[1], 'feature')}, but {need}.")
    return x[:, wanted]


def _named_set(source: str, kind: RowKind, workspace: Workspace, n_rows: int) -> Iterator[Block]:
    """Read all rows of a bundled or torchvision set, or of the user's own function."""
    data = kind.data
    is_same = source == data.source
    settings = data if is_same else DataSettings(source=source)
    if not is_same and kind_of(source) == kind_of(data.source) == "torchvision":
        shared = data.model_dump(include={"root", "size", "channels", "download"})
        settings = DataSettings(source=source, **shared)
    whole = settings.model_copy(update={"test": None})
    dataset = load_dataset(whole, workspace)
    if dataset.shape != kind.shape or [column.name for column in dataset.columns] != kind.names:
        message = f"{source} has different features from {data.source}"
        raise DataError(f"{message}, which the model was trained on.")
    if isinstance(dataset.x, LoadedRows):
        yield from map(Block, dataset.blocks(torch.arange(len(dataset.y)), n_rows))
    else:
        yield from _split(_all_rows(dataset.x, kind), n_rows)


def _pictures(path: Path, kind: RowKind, n_rows: int) -> Iterator[Block]:
    if kind.columns:
        raise DataError(f"{path} contains pictures, but the model takes a table.")
    if kind.dtype != "uint8":
        raise DataError(f"{path} contains pictures, but the model was trained on arrays.")
    files = {path: as_text(path.name)} if path.is_file() else _picture_files(path)
    if not files:
        raise DataError(f"{path} contains no pictures. Picture files end in .jpg, .png, …")
    paths = [*files]
    for start in range(0, len(paths), n_rows):
        some = paths[start : start + n_rows]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of odd headers of pictures that are fine
            x = np.stack([_pixels(file, files[file], kind) for file in some])
        yield Block(kind.tensor(x), tuple(files[file] for file in some))


def _texts(
    path: Path, source: str, kind: RowKind, n_rows: int, keep: Sequence[str]
) -> Iterator[Block]:
    """Read texts of files; for a model of texts of tables, each line of a file is one."""
    if keep:
        raise DataError(f"--keep copies columns of a table, but {source} is not a table.")
    if not path.exists():
        raise DataError(f"file {source!r} does not exist (looked for at {path.absolute()}).")
    if len(kind.names) > 1:
        needed = listed(kind.names, most=10)
        raise DataError(f"the model takes the columns {needed}. Pass a table with these.")
    are_lines = kind_of(kind.data.source) == "table"
    for x, files in texts_to_predict(path, are_lines, n_rows):
        yield Block(x, files)


def _picture_files(folder: Path) -> dict[Path, str]:
    """Return all pictures below a folder by path, sorted, with their names relative to it."""
    return {path: as_text(name) for path, name in walked(folder) if PICTURES.has(name)}


def _pixels(file: Path, name: str, kind: RowKind) -> NDArray[np.uint8]:
    channels, height, width = kind.shape
    fits = None if kind.data.size is None else (height, width)
    try:
        picture = decode_picture(file, channels, fits, kind.depth)
    except UnreadableError as error:
        raise DataError(f"{name} cannot be read: {error}. Remove or repair it.") from None
    if picture.shape != kind.shape:
        theirs = f"{picture.shape[1]} × {picture.shape[2]} pixels"
        raise DataError(f"{name} has {theirs}, but the model takes {height} × {width}.")
    return picture
