"""Exports of what the user's own training made, by the network that `load_network` returns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from own_studies import CODE, STUDY, VALUES, own_study

from tunecli.errors import ExportError, UserCodeError
from tunecli.model_folder.exports.exporting import (
    TOLERANCE,
    Format,
    export_model,
    refuse_user_code,
)
from tunecli.model_folder.format.folder import write_model
from tunecli.model_folder.format.loading import load_with
from tunecli.model_folder.format.model import Model
from tunecli.model_folder.refitting import refit_seeds

REGRESSION = STUDY.replace("iris", "diabetes") + "objective: {minimize: rmse}\n"
GRAPHS = ("onnx", "pt2")


def own_model(folder: Path, text: str = STUDY, code: str = CODE) -> Model:
    """A model as it is read from its folder, `model`."""
    own = own_study(folder, text, code, best_step=0)
    [refitted] = refit_seeds(own.trial, own.store)
    write_model(folder / "model", refitted.model, {})
    return load_with(folder / "model", own.workspace, "cpu")


def computed(file: Path, rows: torch.Tensor) -> np.ndarray:
    if file.suffix == ".pt2":
        predicted: np.ndarray = torch.export.load(file).module()(rows).numpy()
        return predicted
    return np.asarray(onnxruntime.InferenceSession(file).run(None, {"rows": rows.numpy()})[0])


@pytest.mark.parametrize("to", GRAPHS)
@pytest.mark.parametrize(
    ("source", "text", "code"), [("iris", STUDY, CODE), ("diabetes", REGRESSION, VALUES)]
)
def test_the_file_predicts_from_rows_as_read_what_predict_does(
    tmp_path: Path,
    to: Format,
    source: str,
    text: str,
    code: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = own_model(tmp_path, text, code)
    file = tmp_path / f"m.{to}"
    refuse_user_code(tmp_path / "model", to)
    exported = export_model(model, to, file, source)
    assert (exported.left_out, exported.n_rows) == ("", 150 if source == "iris" else 256)
    assert 0 <= exported.difference <= TOLERANCE
    assert capsys.readouterr().out == ""
    rows = next(iter(model.blocks(source))).x
    assert isinstance(rows, torch.Tensor)
    expected = model.of_rows(rows)
    for n in (1, 7, len(rows)):
        found = computed(file, rows[:n])
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected[:n], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("to", ["safetensors", "transformers"])
def test_weights_are_those_that_the_code_saved(tmp_path: Path, to: str) -> None:
    own_model(tmp_path)
    ways = r"Write --to onnx or pt2, or use the files that your code saved in .*own-0\."
    with pytest.raises(ExportError, match=rf"cannot be written as {to}\. {ways}"):
        refuse_user_code(tmp_path / "model", to)


@pytest.mark.parametrize("to", GRAPHS)
@pytest.mark.parametrize(
    ("before", "after", "kind", "message"),
    [
        (
            "def load_network(",
            "def network(",
            UserCodeError,
            r"own\.py has no function load_network\(folder\), which the export of a model of own",
        ),
        (
            "def load_network(folder)",
            "def load_network(folder, x)",
            UserCodeError,
            r"calls it as load_network\(folder\), which it does not accept: missing",
        ),
        (
            "return torch.nn.Sequential(linear, torch.nn.Softmax(1))",
            "return coef",
            UserCodeError,
            r"own\.py:load_network must return a torch\.nn\.Module, got ndarray",
        ),
        (
            'print("loading")',
            "1 / 0",
            UserCodeError,
            r"own\.py:load_network: ZeroDivisionError: division by zero \(own\.py, line",
        ),
        ("(linear, torch.nn.Softmax(1))", "(linear)", ExportError, "differ from those of predict"),
        (
            "torch.nn.Softmax(1))",
            "torch.nn.Softmax(1), torch.nn.Flatten(0), torch.nn.Unflatten(0, (-1, 1)))",
            ExportError,
            r"have the shape \(450, 1\), those of predict \(150, 3\)",
        ),
        ("torch.nn.Softmax(1))", "torch.nn.Linear(7, 3))", ExportError, "torch cannot run this"),
        (
            "torch.tensor(coef)",
            "torch.tensor(coef * np.nan)",
            ExportError,
            "those of predict by nan",
        ),
    ],
)
def test_a_network_that_is_not_that_of_predict_is_refused_and_no_file_is_left(
    tmp_path: Path, to: Format, before: str, after: str, kind: type[Exception], message: str
) -> None:
    assert before in CODE
    model = own_model(tmp_path, code=CODE.replace(before, after))
    with pytest.raises(kind, match=message):
        export_model(model, to, tmp_path / "file", "iris")
    assert not (tmp_path / "file").exists()
