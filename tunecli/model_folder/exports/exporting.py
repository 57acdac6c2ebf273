"""Export a model as one file for other programs, after comparing the two."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad

from tunecli.data.rows.texts import TextRows
from tunecli.errors import DataError, ExportError, MissingPackageError
from tunecli.files.whole import output
from tunecli.model_folder.exports.file_metadata import IN_PT2, as_json, file_metadata
from tunecli.model_folder.exports.graph import Graph, given_to_graph, why_not_whole
from tunecli.model_folder.exports.tokenizer_file import text_preprocessing, write_tokenizer
from tunecli.model_folder.format.folder import nested, read_folder, user_folder
from tunecli.model_folder.format.model import Model
from tunecli.training.compression.packing import plain_file
from tunecli.training.step.losses import Predictions

Format = Literal["onnx", "pt2", "safetensors"]

TOLERANCE = 1e-4
"""Largest difference between file and model: of probabilities; of values in standard deviations of
the training targets (of the predictions, if user code trained the model); of rates in units of the
largest one among the rows."""
ROWS = 256
"""Largest number of rows that are compared."""

CPU = ["CPUExecutionProvider"]
"""Where onnxruntime computes."""

_NAMES: dict[str, Any] = {"input_names": ["rows"], "output_names": ["predictions"]}
"""The input and the output of an ONNX file."""

_GRAPHS = ("onnx", "pt2")
"""The formats of files that compute."""

Run = Callable[[Tensor], NDArray[Any]]
Unit = float | NDArray[np.float64]


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes:
        left_out: preprocessing that is not in the file, in words; empty for none.
        n_rows: number of rows that were compared; 0 for weights alone.
        difference: largest difference between the predictions of the file and of the model.
        n_networks: number of networks whose mean the file predicts; if preprocessing is left out,
            each takes its own features.
        tokenizer: the file that makes the tokens that the file takes; None for models without
            text.
    """

    path: Path
    left_out: str
    n_rows: int
    difference: float
    n_networks: int = 1
    tokenizer: Path | None = None


_LANGUAGE = (
    "a language model cannot be written as {}. Write --to safetensors, or --to transformers if it "
    "is AutoModelForCausalLM."
)


def refuse_user_code(folder: Path, to: str) -> None:
    """Refuse the formats for weights of a model that user code trained and saved.

    Raises:
        ExportError: the model is one, and `to` is not a graph.
        ModelFolderError: the folder is damaged or not from tunecli.
    """
    facts, _, _ = read_folder(folder)
    if facts.config.train is not None and to not in _GRAPHS:
        raise ExportError(
            f"the model of {folder} was trained by {facts.config.train.name}, your own code, so "
            f"it cannot be written as {to}. Write --to onnx or pt2, or use the files that your "
            f"code saved in {folder / user_folder(0)}."
        )


def export_model(model: Model, to: Format, path: Path, source: str) -> Exported:
    """Write a model in the format `to`, if the file predicts what the model predicts.

    Args:
        source: source of the rows to compare on.

    Raises:
        ExportError: the network cannot be exported, or the file predicts something else.
        OutputError: the file cannot be written.
        MissingPackageError: the packages of ONNX are not installed.
        DataError: the rows cannot be read.
    """
    text = text_preprocessing(model)
    with output(path) as part:
        exported = _written(model, to, part, path, source)
        if text is None:
            return exported
        return replace(exported, tokenizer=write_tokenizer(text.tokenizer, path))


def _written(model: Model, to: Format, part: Path, path: Path, source: str) -> Exported:
    if to != "safetensors":
        return _graph(model, to, part, path, source)
    states = {i: member.network.state_dict() for i, member in enumerate(model.members)}
    weights = states[0] if len(states) == 1 else nested(states)
    left_out = "all preprocessing"
    part.write_bytes(plain_file(weights, file_metadata(model, left_out)))
    return Exported(path, left_out, 0, 0.0)


def _graph(model: Model, to: Format, part: Path, path: Path, source: str) -> Exported:
    if model.facts.config.data.task == "language_modeling":
        raise ExportError(_LANGUAGE.format(to))
    left_out = why_not_whole(model)
    graph = Graph(model.members, not left_out, model.facts.temperature)
    rows = some_rows(model, source)
    expected = model.of_rows(rows)
    metadata = file_metadata(model, left_out)
    _refuse_all_positions(graph, model, to)
    # A single row shows whether the export fixed the number of rows, or the length of a text.
    given = {n: given_to_graph(model, rows.split(n)[0]) for n in (1, len(rows))}
    unit = _unit(model, expected)
    if model.user_networks:
        _refuse_other_network(graph, given.values(), expected, unit)
    run = (_onnx if to == "onnx" else _pt2)(graph, given[len(rows)], part, metadata)
    difference = _difference(map(run, given.values()), expected, unit)
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the predictions of the {to} file differ from the model's by {difference:.2g}, and "
            f"at most {TOLERANCE:g} is allowed. The file was not written."
        )
    return Exported(path, left_out, len(rows), difference, len(model.members))


def _difference(predicted: Iterable[Predictions], expected: Predictions, unit: Unit) -> float:
    """Return the largest difference in `unit` of predictions for the first rows; NaN with NaN."""
    each = [np.abs(one - expected[: len(one)]) / unit for one in predicted]
    return float(np.max([one.max() for one in each]))


def _refuse_other_network(
    graph: Graph, given: Iterable[Tensor], expected: Predictions, unit: Unit
) -> None:
    """Refuse a network of user code that predicts something else than its `predict`.

    Raises:
        ExportError: it does, or fails.
    """
    with quietly("torch", "run"), torch.no_grad():
        predicted = [graph(rows).numpy() for rows in given]
    found = predicted[-1].shape
    if found != expected.shape:
        raise ExportError(
            f"load_network: the predictions of the network have the shape {found}, those of "
            f"predict {expected.shape}. Return a network with the outputs of predict."
        )
    difference = _difference(predicted, expected, unit)
    if not difference <= TOLERANCE:
        raise ExportError(
            f"load_network: the predictions of the network differ from those of predict by "
            f"{difference:.2g}, and at most {TOLERANCE:g} is allowed. Return a network with the "
            "outputs of predict: probabilities, or values in the original unit."
        )


def _refuse_all_positions(graph: Graph, model: Model, to: Format) -> None:
    """Refuse a model whose tokenizer makes longer texts than an exported graph takes.

    Raises:
        ExportError: it is one.
    """
    text = text_preprocessing(model)
    if text is None or graph.longest is None or text.tokenizer.max_length <= graph.longest:
        return
    raise ExportError(
        f"max_length is {text.tokenizer.max_length}, but the {to} file would take at most "
        f"{graph.longest} tokens per text, since torch exports this model with one token of "
        f"padding. Search with max_length: {graph.longest} or less, or write --to transformers."
    )


def some_rows(model: Model, source: str) -> Tensor | TextRows:
    """Return at most `ROWS` rows of a source as they are read.

    Raises:
        DataError: the source cannot be read, or has no rows.
    """
    try:
        block = next(block for block in model.blocks(source) if len(block.x))
    except DataError as error:
        raise DataError(
            f"rows to compare on: {error.message} Choose other rows with --data."
        ) from None
    except StopIteration:
        raise DataError(
            f"{source} has no rows to compare on. Choose other rows with --data."
        ) from None
    return block.x.split(ROWS)[0]


def _unit(model: Model, expected: Predictions) -> Unit:
    """Return the unit of a difference: 1 for probabilities, else the scale of each target.

    The mean of the targets cannot serve, since it may be far from their spread. What user code
    trained does not know that spread; that of its predictions takes its place.
    """
    meaning = model.members[0].facts.meaning
    if meaning.gives_probabilities:
        return 1.0
    if model.user_networks and (spread := expected.std()):
        return float(spread)
    if meaning.kind == "value":
        return np.array(meaning.std)
    largest = np.abs(expected).max(axis=0)
    return np.where(largest > 0, largest, 1.0)


def _pt2(graph: Graph, rows: Tensor, path: Path, metadata: dict[str, str]) -> Run:
    if _is_recurrent_text(graph):
        raise ExportError(
            "torch cannot write recurrent layers as a pt2 file for texts of varying length. "
            "Use --to onnx."
        )
    program = _traced(graph, rows)
    with quietly("torch", "save"), path.open("wb") as file:
        torch.export.save(program, file, extra_files={IN_PT2: as_json(metadata)})
    with path.open("rb") as written:
        module = torch.export.load(written).module()

    def run(x: Tensor) -> NDArray[Any]:
        with torch.no_grad():
            predictions: NDArray[Any] = module(x).numpy()
        return predictions

    return run


def _onnx(graph: Graph, rows: Tensor, path: Path, metadata: dict[str, str]) -> Run:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ModuleNotFoundError as error:
        raise MissingPackageError("onnx", error) from None
    write = _recurrent_onnx if _is_recurrent_text(graph) else _traced_onnx
    write(graph, rows, path, metadata)
    session = onnxruntime.InferenceSession(path, providers=CPU)

    def run(x: Tensor) -> NDArray[Any]:
        predictions: NDArray[Any] = session.run(None, {"rows": x.numpy()})[0]
        return predictions

    return run


def _traced_onnx(graph: Graph, rows: Tensor, path: Path, metadata: dict[str, str]) -> None:
    program = _traced(graph, rows)
    with quietly("torch", "onnx"):
        written = torch.onnx.export(program, **_NAMES, dynamo=True, verbose=False)
    assert written is not None
    written.model.metadata_props.update(metadata)
    written.save(path)


def _recurrent_onnx(graph: Graph, rows: Tensor, path: Path, metadata: dict[str, str]) -> None:
    """Write recurrent layers for texts of any length, which `torch.export` cannot."""
    import onnx

    axes = {"rows": {0: "n_rows", 1: "length"}, "predictions": {0: "n_rows"}}
    with quietly("torch", "export"), torch.no_grad():
        torch.onnx.export(graph, (rows,), path, **_NAMES, dynamic_axes=axes, dynamo=False)
        written = onnx.load(path)
        onnx.helper.set_model_props(written, metadata)
        onnx.save(written, path)


def _is_recurrent_text(graph: Graph) -> bool:
    return graph.tokens is not None and any(isinstance(m, nn.RNNBase) for m in graph.modules())


def _traced(graph: Graph, rows: Tensor) -> Any:
    """Return the graph as a torch program for any number of rows, and texts of any length."""
    example = rows[:2].clone()  # a file stores the whole storage of its example
    sizes = {0: torch.export.Dim("n_rows")}
    if graph.tokens is not None:
        n_features, longest = graph.tokens.n_features, graph.longest
        most = None if longest is None else n_features + longest
        sizes[1] = torch.export.Dim("length", min=n_features + 1, max=most)
        example = pad(example, (0, 1), value=graph.tokens.pad)  # a length of 1 would stay fixed
    with quietly("torch", "export"), torch.no_grad():
        return torch.export.export(graph, (example,), dynamic_shapes=(sizes,))


@contextmanager
def quietly(library: str, what: str) -> Iterator[None]:
    """Silence a library's own remarks, and turn its errors into one sentence.

    Args:
        what: what it does with the network: export, quantize.

    Raises:
        ExportError: whatever the library raised; these are many kinds of errors.
    """
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ExportError(f"{library} cannot {what} this network: {reason}") from None
    finally:
        logging.disable(logging.NOTSET)
