"""Predict whole files, block by block, into a CSV or Parquet file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import pandas as pd

from tunecli.errors import DataError
from tunecli.files.whole import output
from tunecli.model_folder.format.model import Model
from tunecli.model_folder.format.predicted_rows import PredictedRows
from tunecli.report.phrases.foreign_text import cell

NEITHER = "a language model scores or continues texts. Add --score or --generate N."


def write_predictions(
    model: Model, source: str, path: Path | None, proba: bool, keep: Sequence[str] = ()
) -> PredictedRows:
    """Predict all rows of a source, in their order.

    Args:
        path: a .csv or .parquet file, written as a whole or not at all; None for CSV to stdout.
        proba: whether to add one column of probabilities per class or label.
        keep: columns of the source that become the first columns.

    Returns:
        what was seen of the rows.

    Raises:
        DataError: the source does not fit the model, or lacks a column to keep.
        OutputError: the file cannot be written.
    """
    if model.facts.task == "language_modeling":
        raise DataError(NEITHER)
    if proba and not model.has_probabilities:
        raise DataError("a regression model has no probabilities. Leave out --proba.")
    keep = [*dict.fromkeys(keep)]
    seen = PredictedRows(model.facts.columns)
    write_frames(predictions(model, source, proba, keep, seen), path, seen)
    return seen


def write_frames(frames: Iterable[pd.DataFrame], path: Path | None, seen: PredictedRows) -> None:
    """Write frames of the same columns into one file, and note their columns in `seen`.

    Args:
        path: see `write_predictions`.
    """
    _write(_counted(frames, seen), path)


def _counted(frames: Iterable[pd.DataFrame], seen: PredictedRows) -> Iterator[pd.DataFrame]:
    for frame in frames:
        seen.names = [str(name) for name in frame.columns]
        yield frame


def _write(frames: Iterable[pd.DataFrame], path: Path | None) -> None:
    if path is None:
        write_csv(frames, sys.stdout)
        return
    with output(path) as part:
        if path.suffix.lower() == ".parquet":
            _write_parquet(frames, part)
        else:
            with part.open("w", encoding="utf-8", newline="") as file:
                write_csv(frames, file)


def predictions(
    model: Model, source: str, proba: bool, keep: Sequence[str], seen: PredictedRows
) -> Iterator[pd.DataFrame]:
    """Yield the predictions of each block of rows, and count the rows in `seen`.

    The columns are those to keep, `file` for pictures, `prediction`, and the probabilities. Each
    of several targets has a column of its name instead of `prediction`.

    Raises:
        DataError: a column to keep has the name of one of these.
    """
    predicted = model.targets or ("prediction",)
    names = model.classes or model.targets
    probabilities = [f"probability_{name}" for name in names] if proba else []
    if taken := {*predicted} & {*probabilities}:
        raise DataError(
            f"--proba: {min(taken)!r} is a target, and the probabilities have a column of this "
            "name. Leave out --proba, or rename the target and search again."
        )
    if taken := {*keep} & {*predicted, *probabilities}:
        name = min(taken)
        raise DataError(f"--keep: the predictions have a column {name!r}, too. Rename yours.")
    for block in model.blocks(source, keep):
        outputs = model.of_rows(block.x)
        seen.add(block.x)
        columns: dict[str, object] = {"file": list(block.files)} if block.files else {}
        decided = model.decided(outputs)
        columns |= dict(zip(predicted, decided.T if model.targets else [decided], strict=True))
        columns |= {name: outputs[:, i] for i, name in enumerate(probabilities)}
        yield pd.DataFrame(columns) if block.kept is None else block.kept.assign(**columns)


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
