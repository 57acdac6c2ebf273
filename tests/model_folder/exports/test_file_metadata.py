"""An exported file says what it takes and gives, and can be served from that alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from model_cases import case
from safetensors import safe_open

from tunecli import __version__
from tunecli.data.rows.dataset import Column, DateForm, DatePart
from tunecli.model_folder.exports.exporting import export_model
from tunecli.model_folder.exports.file_metadata import IN_PT2, as_json, file_metadata
from tunecli.model_folder.exports.int8 import to_int8
from tunecli.model_folder.format.manifest import ThresholdManifest
from tunecli.model_folder.format.model import Model

KEYS = ("study", "trial", "version", "task", "target", "classes", "columns")
KEYS += ("row_shape", "row_dtype", "left_out")


def on_cpu(name: str) -> Model:
    found = case(name)
    given = found.refitted.model
    return Model(given.facts, given.members, torch.device("cpu"), found.workspace)


def read(path: Path) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(path)
    found = session.get_modelmeta().custom_metadata_map
    return {key: json.loads(found[key]) for key in KEYS}  # onnxruntime adds one of its own


@pytest.mark.slow
def test_a_table_is_served_from_the_file_alone(tmp_path: Path) -> None:
    """Encode raw rows by the metadata; the file then predicts what the model predicts."""
    model, path = on_cpu("table"), tmp_path / "m.onnx"
    export_model(model, "onnx", path, "table.csv")
    facts = read(path)
    assert (facts["study"], facts["trial"], facts["version"]) == ("table", 3, __version__)
    assert (facts["task"], facts["target"], facts["left_out"]) == ("classification", "y", "")
    assert facts["classes"] == ["large", "small"]
    assert facts["columns"][2] == {
        "name": "kind",
        "kind": "categorical",
        "categories": ["a", "b", "c", "rare"],
    }
    frame = pd.read_csv(case("table").folder / "table.csv", na_values=["?"]).head(40)
    frame["kind"] = frame["kind"].replace("b", "never seen")
    columns = [_encoded(frame[column["name"]], column) for column in facts["columns"]]
    rows = np.stack(columns, axis=1).astype(facts["row_dtype"])
    assert rows.shape[1:] == (*facts["row_shape"],)
    found = onnxruntime.InferenceSession(path).run(["predictions"], {"rows": rows})[0]
    np.testing.assert_allclose(found, model.predict_proba(frame), atol=1e-6)


def _encoded(cells: pd.Series, column: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    if column["kind"] == "numeric":
        return cells.to_numpy(np.float64)
    code = {name: i for i, name in enumerate(column["categories"])}
    codes = [np.nan if pd.isna(c) else code.get(str(c), len(code)) for c in cells]
    return np.array(codes, dtype=np.float64)


def test_every_format_has_the_same_metadata(tmp_path: Path) -> None:
    model, store = on_cpu("digits"), case("digits").store
    for name in ("m.onnx", "m.pt2", "m.safetensors"):
        to: Any = name.partition(".")[2]
        export_model(model, to, tmp_path / name, "digits")
    facts = read(tmp_path / "m.onnx")
    assert facts["columns"] == []
    assert facts["target"] is None
    assert facts["row_shape"] == [1, 8, 8]
    extra = {IN_PT2: ""}
    torch.export.load(tmp_path / "m.pt2", extra_files=extra)
    assert json.loads(extra[IN_PT2]) == facts
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        weights = {key: json.loads(text) for key, text in file.metadata().items()}
    assert weights == facts | {"left_out": "all preprocessing"}
    to_int8(model, store, tmp_path / "m.onnx", tolerance=0.5)
    assert read(tmp_path / "m.onnx") == facts


def test_dates_and_units_are_described() -> None:
    model = on_cpu("arrays")
    day = DatePart("day", "weekday, sin", DateForm("date", "day-first"))
    columns = (Column("size", unit="m²"), Column("day (weekday, sin)", date=day))
    facts = model.facts.model_copy(update={"columns": columns})
    found = json.loads(as_json(file_metadata(replace_facts(model, facts), "")))
    assert found["columns"] == [
        {"name": "size", "kind": "numeric", "unit": "m²"},
        {
            "name": "day (weekday, sin)",
            "kind": "date",
            "date": {
                "column": "day",
                "part": "weekday, sin",
                "form": {"kind": "date", "order": "day-first", "is_aware": False},
            },
        },
    ]


def test_a_model_without_threshold_and_temperature_has_no_such_values() -> None:
    plain = on_cpu("arrays")
    assert not {"threshold", "temperature"} & file_metadata(plain, "").keys()
    decision = ThresholdManifest(positive="1", threshold=0.25)
    facts = plain.facts.model_copy(update={"decision": decision, "temperature": 2.0})
    found = file_metadata(replace_facts(plain, facts), "")
    values = {key: json.loads(found[key]) for key in ("positive", "threshold", "temperature")}
    assert values == {"positive": "1", "threshold": 0.25, "temperature": 2.0}


def replace_facts(model: Model, facts: Any) -> Model:
    return Model(facts, [replace(member) for member in model.members], model.device)
