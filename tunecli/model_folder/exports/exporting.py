"""A model as one file for other programs, held against the model before it is written."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.new_rows import blocks_of
from tunecli.errors import DataError, ExportError, MissingPackageError
from tunecli.files.output import output
from tunecli.model_folder.exports.graph import Graph, given_to_graph, why_not_whole
from tunecli.model_folder.format.model import Model
from tunecli.training.compression.packing import plain_file
from tunecli.training.step.losses import Predictions

Format = Literal["onnx", "pt2", "safetensors"]

TOLERANCE = 1e-4
"""Of probabilities; of values in standard deviations of the training targets, of rates in units
of the largest one among the rows."""
ROWS = 256
"""That are compared, at most."""

Run = Callable[[Tensor], NDArray[Any]]


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        left_out: preprocessing that is not in the file, in words; empty for none.
        n_networks: whose mean it gives; each takes features of its own where some is left out.
        n_rows: that were compared; 0 for weights alone.
        difference: the largest between the file's predictions and the model's.
    """

    path: Path
    left_out: str
    n_rows: int
    difference: float
    n_networks: int = 1


def export_model(model: Model, to: Format, path: Path, source: str) -> Exported:
    """Write a model as `to` says, if it gives what the model gives.

    Args:
        source: of rows to compare on.

    Raises:
        ExportError: the network cannot be exported, or the file gives something else.
        OutputError: it cannot be written.
        MissingPackageError: ONNX needs its packages.
        DataError: the rows cannot be read.
    """
    with output(path) as part:
        if to != "safetensors":
            return _graph(model, to, part, path, source)
        weights = {
            (name if len(model.members) == 1 else f"{i}/{name}"): value
            for i, member in enumerate(model.members)
            for name, value in member.network.state_dict().items()
        }
        part.write_bytes(plain_file(weights))
        return Exported(path, "all preprocessing", 0, 0.0)


def _graph(model: Model, to: Format, part: Path, path: Path, source: str) -> Exported:
    left_out = why_not_whole(model)
    rows = _some_rows(model, source)
    expected = model.of_rows(rows)
    rows = given_to_graph(model, rows)
    graph = Graph(model.members, with_preprocessing=not left_out)
    run = (_onnx if to == "onnx" else _pt2)(graph, rows, part)
    # One row alone shows whether the number of rows was taken for a constant.
    unit = _unit(model, expected)
    differences = [np.abs(run(rows[:n]) - expected[:n]).max() for n in (1, len(rows))]
    difference = float(max(differences)) / unit
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the {to} file gives other predictions than the model: they differ by "
            f"{difference:.2g}, and {TOLERANCE:g} is allowed. It was not written."
        )
    return Exported(path, left_out, len(rows), difference, len(model.members))


def _some_rows(model: Model, source: str) -> Tensor:
    try:
        blocks = blocks_of(source, model.row_kind, model.workspace, model.batch_rows)
        block = next(block for block in blocks if len(block.x))
    except DataError as error:
        raise DataError(f"rows to compare on: {error.message} Name others with --data.") from None
    except StopIteration:
        raise DataError(f"{source} has no rows to compare on. Name others with --data.") from None
    return block.x[:ROWS]


def _unit(model: Model, expected: Predictions) -> float:
    """Of a difference. The mean of the targets is no measure: it may be far from their spread."""
    meaning = model.members[0].facts.meaning
    if meaning.is_of_classes:
        return 1.0
    return meaning.std if meaning.kind == "value" else float(np.abs(expected).max()) or 1.0


def _pt2(graph: Graph, rows: Tensor, path: Path) -> Run:
    program = _traced(graph, rows)
    with _quietly("save"), path.open("wb") as file:
        torch.export.save(program, file)
    with path.open("rb") as written:
        module = torch.export.load(written).module()

    def run(x: Tensor) -> NDArray[Any]:
        with torch.no_grad():
            found: NDArray[Any] = module(x).numpy()
        return found

    return run


def _onnx(graph: Graph, rows: Tensor, path: Path) -> Run:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ModuleNotFoundError as error:
        raise MissingPackageError("onnx", error) from None
    program = _traced(graph, rows)
    with _quietly("onnx"):
        written = torch.onnx.export(
            program, input_names=["rows"], output_names=["predictions"], dynamo=True, verbose=False
        )
    assert written is not None
    written.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(x: Tensor) -> NDArray[Any]:
        found: NDArray[Any] = session.run(None, {"rows": x.numpy()})[0]
        return found

    return run


def _traced(graph: Graph, rows: Tensor) -> Any:
    """The graph for any number of rows."""
    example = rows[:2].clone()  # a file keeps the whole storage behind its example
    with _quietly("export"), torch.no_grad():
        return torch.export.export(
            graph, (example,), dynamic_shapes=({0: torch.export.Dim("n_rows")},)
        )


@contextmanager
def _quietly(what: str) -> Iterator[None]:
    """Without torch's own remarks; what it cannot do becomes a sentence."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # torch raises its own internal kinds
        reason = " ".join(str(error).split())[:300]
        raise ExportError(f"torch cannot {what} this network: {reason}") from None
    finally:
        logger.setLevel(level)
