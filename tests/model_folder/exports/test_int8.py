"""ONNX in 8 bits: what is written scores nearly the same, or nothing is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from model_cases import case

from tunecli.errors import ExportError
from tunecli.model_folder.exports.exporting import export_model
from tunecli.model_folder.exports.int8 import to_int8, words
from tunecli.model_folder.format.model import Model


def on_cpu(name: str) -> Model:
    found = case(name)
    given = found.refitted.model
    return Model(given.facts, given.members, torch.device("cpu"), found.workspace)


@pytest.mark.parametrize(
    ("name", "source"),
    [("digits", "digits"), pytest.param("numbers", "table.csv", marks=pytest.mark.slow)],
)
def test_it_computes_in_8_bits_and_scores_nearly_the_same(
    name: str, source: str, tmp_path: Path
) -> None:
    model, store, path = on_cpu(name), case(name).store, tmp_path / "m.onnx"
    export_model(model, "onnx", path, source)
    found = to_int8(model, store, path, tolerance=0.2)
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert found.after.seconds > 0
    assert found.after.score != found.before.score or found.after.score > 0
    assert len(words(found)) == 2
    x = store.dataset.x[:50]
    assert isinstance(x, torch.Tensor)
    told = onnxruntime.InferenceSession(path).run(None, {"rows": x.numpy()})[0]
    expected = model.of_rows(x)
    if expected.ndim == 2:
        assert (told.argmax(1) == expected.argmax(1)).mean() > 0.8
    else:
        np.testing.assert_allclose(told, expected, rtol=0.2, atol=np.abs(expected).max() * 0.05)
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]


def test_what_loses_too_much_is_not_written(tmp_path: Path) -> None:
    model, store, path = on_cpu("digits"), case("digits").store, tmp_path / "m.onnx"
    export_model(model, "onnx", path, "digits")
    before = path.read_bytes()
    with pytest.raises(ExportError, match="The file was not written"):
        to_int8(model, store, path, tolerance=-2.0)  # the score would have to be three times it
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["m.onnx"]
