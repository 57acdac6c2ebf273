"""Predict whole files, block by block, into a CSV or Parquet file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
import pandas as pd

from tunecli.data.new_rows import Block, blocks_of
from tunecli.errors import DataError
from tunecli.files.whole import output
from tunecli.model_folder.format.model import Model
from tunecli.report.phrases.wording import cell


def write_predictions(model: Model, source: str, path: Path | None, proba: bool) -> None:
    """Predict all rows of a source, in their order.

    Args:
        path: a .csv or .parquet file, written as a whole or not at all; None for CSV to stdout.
        proba: whether to add one column of probabilities per class.

    Raises:
        DataError: the source does not fit the model.
        OutputError: the file cannot be written.
    """
    if proba and not model.classes:
        raise DataError("a regression model has no probabilities. Leave out --proba.")
    with _writer(path) as writer:
        for frame in predictions(model, source, proba):
            writer.write(frame)


def predictions(model: Model, source: str, proba: bool) -> Iterator[pd.DataFrame]:
    """Yield the predictions of each block of rows.

    The columns are `file` for pictures, `prediction`, and the probabilities.
    """
    blocks = blocks_of(source, model.row_kind, model.workspace, model.batch_rows)
    for block in blocks:
        yield _frame(model, block, proba)


def _frame(model: Model, block: Block, proba: bool) -> pd.DataFrame:
    outputs = model.of_rows(block.x)
    columns: dict[str, object] = {"file": list(block.files)} if block.files else {}
    if not model.classes:
        return pd.DataFrame({**columns, "prediction": outputs})
    columns["prediction"] = np.array(model.classes)[outputs.argmax(1)]
    if proba:
        columns |= {f"probability_{name}": outputs[:, i] for i, name in enumerate(model.classes)}
    return pd.DataFrame(columns)


class _Writer(Protocol):
    def write(self, frame: pd.DataFrame) -> None:
        """Append rows."""


class _Csv:
    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._has_header = False

    def write(self, frame: pd.DataFrame) -> None:
        texts = frame.select_dtypes(exclude="number")
        frame = frame.assign(**{name: texts[name].map(cell) for name in texts})
        frame = frame.rename(columns=cell)
        frame.to_csv(self._file, index=False, header=not self._has_header, lineterminator="\n")
        self._has_header = True


class _Parquet:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def write(self, frame: pd.DataFrame) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(frame, preserve_index=False)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


@contextmanager
def _writer(path: Path | None) -> Iterator[_Writer]:
    """Write to a temporary file next to `path`, and rename it at the end."""
    if path is None:
        yield _Csv(sys.stdout)
        return
    with output(path) as part:
        if path.suffix.lower() == ".parquet":
            parquet = _Parquet(part)
            yield parquet
            parquet.close()
        else:
            with part.open("w", encoding="utf-8", newline="") as file:
                yield _Csv(file)
