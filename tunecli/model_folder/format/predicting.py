"""Predict whole files, block by block, into a CSV or Parquet file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import pandas as pd

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
    frames = predictions(model, source, proba)
    if path is None:
        write_csv(frames, sys.stdout)
        return
    with output(path) as part:
        if path.suffix.lower() == ".parquet":
            _write_parquet(frames, part)
        else:
            with part.open("w", encoding="utf-8", newline="") as file:
                write_csv(frames, file)


def predictions(model: Model, source: str, proba: bool) -> Iterator[pd.DataFrame]:
    """Yield the predictions of each block of rows.

    The columns are `file` for pictures, `prediction`, and the probabilities.
    """
    for block in model.blocks(source):
        outputs = model.of_rows(block.x)
        columns: dict[str, object] = {"file": list(block.files)} if block.files else {}
        columns["prediction"] = model.named(outputs) if model.classes else outputs
        if proba:
            named = zip(model.classes, outputs.T, strict=True)
            columns |= {f"probability_{name}": of_class for name, of_class in named}
        yield pd.DataFrame(columns)


def write_csv(frames: Iterable[pd.DataFrame], file: TextIO) -> None:
    """Write frames of the same columns below each other."""
    for number, frame in enumerate(frames):
        texts = frame.select_dtypes(exclude="number")
        frame = frame.assign(**{name: texts[name].map(cell) for name in texts})
        frame = frame.rename(columns=cell)
        frame.to_csv(file, index=False, header=number == 0, lineterminator="\n")


def _write_parquet(frames: Iterable[pd.DataFrame], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        writer = None
        for frame in frames:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            writer = writer or stack.enter_context(pq.ParquetWriter(path, table.schema))
            writer.write_table(table)
