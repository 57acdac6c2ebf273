"""An ONNX file in whole numbers of 8 bits, accepted only if it scores nearly what it scored.

By onnxruntime's static quantization: weights per output channel, activations by the ranges that a
few rows show. Unlike `compression: quantize`, which makes a file smaller, it computes in 8 bits.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from tunecli.files.output import output
from tunecli.files.whole import whole_file
from tunecli.model_folder.exporting import Exported, export
from tunecli.model_folder.graph import given_to_graph
from tunecli.model_folder.model import Model
from tunecli.study_file.counts import count
from tunecli.study_file.metrics import label
from tunecli.training.metrics import measure

CALIBRATION_ROWS = 256
SCORED_ROWS = 2048
_CALLS = 50
_OPERATORS = ["Conv", "Gemm", "MatMul"]


@dataclass(frozen=True)
class Int8:
    """What 8 bits changed, on rows of the search that are in neither the calibration nor the test.

    Attributes:
        metric: of the objective.
        score, score_before: of the file, and of the one in 32 bits.
        seconds, seconds_before: of one row, median.
        n_rows: that were scored.
    """

    metric: str
    score: float
    score_before: float
    seconds: float
    seconds_before: float
    n_rows: int


def export_int8(
    model: Model, store: FoldStore, path: Path, source: str, tolerance: float
) -> tuple[Exported, Int8]:
    """Write a model as an ONNX file in 8 bits, by way of one in 32 bits that is compared with it.

    Args:
        store: of the data that the model was trained on.
        source: of rows to compare on.
        tolerance: see `to_int8`.

    Raises:
        ExportError, OutputError, MissingPackageError, DataError: see `to_int8` and
            `exporting.export`.
    """
    with output(path) as part:
        found = export(model, "onnx", part, source)
        changed = to_int8(model, store, part, tolerance)
    return replace(found, path=path, n_rows=0), changed


def to_int8(model: Model, store: FoldStore, path: Path, tolerance: float) -> Int8:
    """Replace an ONNX file of the model by one in 8 bits.

    Args:
        store: of the data that the model was trained on.
        path: of the file in 32 bits.
        tolerance: what the score may get worse by, as a share of it.

    Raises:
        ExportError: it cannot be made, or its score is worse than that.
        MissingPackageError: the packages of ONNX are not there.
    """
    try:
        import onnxruntime
        from onnxruntime import quantization
    except ModuleNotFoundError as error:
        raise MissingPackageError("onnx", error) from None
    calibration, scored = _rows(store)
    if not len(scored):
        raise ExportError("--int8 needs more rows than there are, to calibrate on and to score.")
    with whole_file(path) as small:
        with _quietly():
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
        sessions = [
            onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
            for file in (path, small)
        ]
        before, after = (_score(session, model, store, scored) for session in sessions)
        found = Int8(
            label(model.facts.config.objective.metric),
            after[0],
            before[0],
            after[1],
            before[1],
            len(scored),
        )
        _refuse_worse(found, model, tolerance)
        return found


def _rows(store: FoldStore) -> tuple[Tensor, Tensor]:
    """Rows to calibrate on and rows to score, drawn from those of the search."""
    rows = store.split.search_rows
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(rows)))
    n_calibration = min(CALIBRATION_ROWS, len(rows) // 2)
    drawn = rows[order[: n_calibration + SCORED_ROWS]]
    return drawn[:n_calibration], drawn[n_calibration:]


def _fed(model: Model, store: FoldStore, rows: Tensor) -> NDArray[Any]:
    """Rows as the file takes them."""
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


def _score(session: Any, model: Model, store: FoldStore, rows: Tensor) -> tuple[float, float]:
    """Score of the objective, and median seconds of one row."""
    fed = _fed(model, store, rows)
    objective = model.facts.config.objective.metric
    predictions = session.run(None, {"rows": fed})[0]
    values = measure(
        [objective],
        store.dataset.task,
        store.dataset.y[rows].numpy(),
        predictions.astype(np.float64),
        len(store.dataset.classes),
        store.dataset.weights_of(rows),
    )
    times = []
    for _ in range(_CALLS):
        start = perf_counter()
        session.run(None, {"rows": fed[:1]})
        times.append(perf_counter() - start)
    return values[label(objective)], median(times)


def _refuse_worse(found: Int8, model: Model, tolerance: float) -> None:
    maximize = model.facts.config.objective.direction == "maximize"
    loss = found.score_before - found.score if maximize else found.score - found.score_before
    if not loss <= tolerance * abs(found.score_before):
        raise ExportError(
            f"in 8 bits the {found.metric} is {found.score:.4g} instead of "
            f"{found.score_before:.4g} on {count(found.n_rows, 'row')}, more than a share of "
            f"{tolerance:g} worse. It was not written; --tolerance allows more."
        )


@contextmanager
def _quietly() -> Iterator[None]:
    """Without onnxruntime's advice; what it cannot do becomes a sentence."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # onnxruntime raises whatever it likes
        reason = " ".join(str(error).split())[:300]
        raise ExportError(f"onnxruntime cannot make this network 8 bits: {reason}") from None
    finally:
        logging.disable(logging.NOTSET)


def words(found: Int8) -> Sequence[str]:
    """What it changed, in lines."""
    before, after = (
        f"{found.metric} {score:.4f}, {seconds * 1e6:.0f} µs for one row"
        for score, seconds in (
            (found.score_before, found.seconds_before),
            (found.score, found.seconds),
        )
    )
    rows = f"on {count(found.n_rows, 'row')} of the search"
    return [f"32 bits: {before}", f"8 bits:  {after} ({rows})"]
