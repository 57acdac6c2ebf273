"""Quantize an ONNX file to 8 bits, and accept it only if its score stays nearly the same.

This uses onnxruntime's static quantization: weights per output channel, activations by the ranges
of a few rows. Unlike `compression: quantize`, which only makes a file smaller, the result computes
in 8 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.fold_store import FoldStore
from tunecli.errors import ExportError, MissingPackageError
from tunecli.files.whole import output, whole_file
from tunecli.model_folder.exports.exporting import CPU, Exported, export_model, quietly
from tunecli.model_folder.exports.graph import given_to_graph
from tunecli.model_folder.format.model import Model
from tunecli.study_file.settings.metric_names import label, title
from tunecli.study_file.text.counts import count
from tunecli.training.outcome.decision import measure_decided

CALIBRATION_ROWS = 256
SCORED_ROWS = 2048
_CALLS = 50
_OPERATORS = ["Conv", "Gemm", "MatMul"]


@dataclass(frozen=True)
class Scored:
    """A file on rows of the search: the score of the objective, and median seconds for one row."""

    score: float
    seconds: float


@dataclass(frozen=True)
class Int8:
    """The change by 8 bits, on rows of the search that are not used for calibration.

    Attributes:
        metric: name of the objective's metric.
        before, after: the 32-bit file and the 8-bit file.
        n_rows: number of rows that were scored.
    """

    metric: str
    before: Scored
    after: Scored
    n_rows: int


def export_int8(
    model: Model, store: FoldStore, path: Path, source: str, tolerance: float
) -> tuple[Exported, Int8]:
    """Write a model as an 8-bit ONNX file, made from a 32-bit file that is compared with it.

    Args:
        store: store of the data that the model was trained on.
        source: source of the rows to compare on.
        tolerance: see `to_int8`.

    Raises:
        ExportError, OutputError, MissingPackageError, DataError: see `to_int8` and
            `exporting.export_model`.
    """
    with output(path) as part:
        exported = export_model(model, "onnx", part, source)
        changed = to_int8(model, store, part, tolerance)
    return replace(exported, path=path, n_rows=0), changed


def to_int8(model: Model, store: FoldStore, path: Path, tolerance: float) -> Int8:
    """Replace an ONNX file of the model by one in 8 bits.

    Args:
        store: store of the data that the model was trained on.
        path: the 32-bit file.
        tolerance: largest loss of the score, as a share of it.

    Raises:
        ExportError: the file cannot be made, or its score is worse than that.
        MissingPackageError: the packages of ONNX are not installed.
    """
    try:
        import onnxruntime
        from onnxruntime import quantization
    except ModuleNotFoundError as error:
        raise MissingPackageError("onnx", error) from None
    calibration, scored = _rows(store)
    if not len(scored):
        raise ExportError("--int8 needs more rows for calibration and scoring than the data has.")
    with whole_file(path) as small:
        with quietly("onnxruntime", "quantize"):
            quantization.quantize_static(
                path,
                small,
                _reader(quantization, _fed(model, store, calibration)),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=_OPERATORS,
                per_channel=True,
                activation_type=quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        sessions = [onnxruntime.InferenceSession(file, providers=CPU) for file in (path, small)]
        before, after = (_scored(session, model, store, scored) for session in sessions)
        config = model.facts.config
        metric = title(config.objective.metric, config.data.positive)
        change = Int8(metric, before, after, len(scored))
        _refuse_worse(change, model, tolerance)
        return change


def _rows(store: FoldStore) -> tuple[Tensor, Tensor]:
    """Draw rows for calibration and rows for scoring from those of the search."""
    rows = store.split.search_rows
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(rows)))
    n_calibration = min(CALIBRATION_ROWS, len(rows) // 2)
    drawn = rows[order[: n_calibration + SCORED_ROWS]]
    return drawn[:n_calibration], drawn[n_calibration:]


def _fed(model: Model, store: FoldStore, rows: Tensor) -> NDArray[Any]:
    """Return rows as the file takes them."""
    read = next(store.dataset.blocks(rows, len(rows)))
    fed: NDArray[Any] = given_to_graph(model, read).numpy()
    return fed


def _reader(quantization: Any, rows: NDArray[Any]) -> Any:
    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._rows = iter(np.array_split(rows, max(len(rows) // 32, 1)))

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            block = next(self._rows, None)
            return None if block is None else {"rows": block}

    return Reader()


def _scored(session: Any, model: Model, store: FoldStore, rows: Tensor) -> Scored:
    fed = _fed(model, store, rows)
    objective = model.facts.config.objective.metric
    predictions = session.run(None, {"rows": fed})[0]
    values = measure_decided(
        [objective],
        store.dataset.task,
        store.dataset.y[rows].numpy(),
        predictions.astype(np.float64),
        len(store.dataset.classes),
        store.dataset.weights_of(rows),
        store.positive,
        model.decision,
    )
    times = []
    for _ in range(_CALLS):
        start = perf_counter()
        session.run(None, {"rows": fed[:1]})
        times.append(perf_counter() - start)
    return Scored(values[label(objective)], median(times))


def _refuse_worse(change: Int8, model: Model, tolerance: float) -> None:
    maximize = model.facts.config.objective.direction == "maximize"
    before, after = change.before.score, change.after.score
    loss = before - after if maximize else after - before
    if not loss <= tolerance * abs(before):
        raise ExportError(
            f"in 8 bits, {change.metric} is {after:.4g} instead of {before:.4g} on "
            f"{count(change.n_rows, 'row')}: worse by more than {100 * tolerance:g} % of "
            f"{abs(before):.4g}. The file was not written. To allow more, raise --tolerance."
        )


def words(change: Int8) -> Sequence[str]:
    """Return the lines that compare the 32-bit and the 8-bit file."""
    before, after = (
        f"{change.metric} {one.score:.4f}, {one.seconds * 1e6:.0f} µs for one row"
        for one in (change.before, change.after)
    )
    rows = f"on {count(change.n_rows, 'row')} of the search"
    return [f"32 bits: {before}", f"8 bits:  {after} ({rows})"]
