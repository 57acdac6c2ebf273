"""The threshold of a rare class, from the search to the exported file."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from commands import call_in
from sklearn.metrics import f1_score, precision_score, recall_score

import tunecli

RARE = """
data: {source: rare.csv, target: bought}
validation: {folds: 5}
model: Linear
optimizer: {AdamW: {lr: {float: [0.001, 0.003], log: true}}}
training: {epochs: 30}
objective: {maximize: roc_auc}
metrics: [log_loss, {f1: {average: macro}}]
search: {trials: 2, baselines: false}
"""

WINE = """
data: wine
validation: {folds: 2}
model: Linear
optimizer: AdamW
training: {epochs: 2}
search: {trials: 1, baselines: false}
"""


def rare_rows(n: int = 3000) -> pd.DataFrame:
    """Rows of which 5 % have the class `yes`, which the features show fairly well."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    score = 1.6 * x[:, 0] - x[:, 1] + rng.logistic(size=n)
    bought = np.where(score > np.quantile(score, 0.95), "yes", "no")
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "bought": bought}).round(4)


@pytest.mark.parametrize("given", ["1.2", "0", "1", "-0.1", "nan", "inf", "half", ""])
def test_what_is_no_threshold_is_refused_first(tmp_path: Path, given: str) -> None:
    told = call_in(tmp_path, "refit", "nothing", "--threshold", given, code=2).stderr
    told = " ".join(told.replace("│", " ").split())
    assert "--threshold must be auto, none or a number above 0 and below 1, got" in told


@pytest.mark.slow
def test_a_rare_class_gets_a_threshold_that_predict_and_exports_use(tmp_path: Path) -> None:
    rows = rare_rows()
    assert (rows["bought"] == "yes").mean() == pytest.approx(0.05)
    rows.to_csv(tmp_path / "rare.csv", index=False)
    (tmp_path / "rare.yaml").write_text(RARE)
    call_in(tmp_path, "search", "rare.yaml", "--jobs", "1", "--quiet")
    told = call_in(tmp_path, "refit", "rare").stdout
    assert "threshold   'yes' if its probability is at least" in told
    folder = tmp_path / "runs" / "rare" / "model"
    found = json.loads((folder / "metrics.json").read_text())
    threshold = found["adjustment"]["threshold"]
    assert (threshold["metric"], threshold["how"], threshold["positive"]) == ("f1", "tuned", "yes")
    assert threshold["score"]["after"] > threshold["score"]["before"]
    assert found["test"]["roc_auc"]["score"] == found["test_unadjusted"]["roc_auc"]["score"]
    assert found["test"]["f1"]["score"] > found["test_unadjusted"]["f1"]["score"]

    model = tunecli.load(folder)
    predicted = pd.read_csv(
        StringIO(call_in(tmp_path, "predict", "rare", "rare.csv", "--proba").stdout)
    )
    is_reached = model.predict_proba(rows)[:, 1].astype(float) >= threshold["value"]
    expected = np.where(is_reached, "yes", "no")
    np.testing.assert_array_equal(predicted["prediction"], expected)
    np.testing.assert_array_equal(model.predict(rows), expected)
    at_half = np.where(predicted["probability_yes"] > 0.5, "yes", "no")
    assert f1_score(rows["bought"], expected, average="macro") > f1_score(
        rows["bought"], at_half, average="macro"
    )
    [point] = [p for p in found["adjustment"]["points"] if p["threshold"] == threshold["value"]]
    named = {"y_true": rows["bought"], "y_pred": expected, "pos_label": "yes"}
    assert point["recall"] == pytest.approx(recall_score(**named), abs=0.2)
    assert point["precision"] == pytest.approx(precision_score(**named), abs=0.2)

    call_in(tmp_path, "export", "rare", "--to", "onnx", "-o", "rare.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "rare.onnx")
    metadata = session.get_modelmeta().custom_metadata_map
    x = rows[["a", "b", "c"]].to_numpy()
    [kind] = session.get_inputs()
    x = x.astype(np.float32 if "float)" in kind.type else np.float64)
    [probabilities] = session.run(None, {"rows": x})
    of_file = probabilities[:, 1].astype(float) >= json.loads(metadata["threshold"])
    assert json.loads(metadata["positive"]) == "yes"
    assert (of_file == is_reached).mean() > 0.999

    for words in (("report", "rare"), ("report", "rare", "--trial", str(found_trial(found)))):
        shown = call_in(tmp_path, *words).stdout
        assert f"Model of trial {found_trial(found)}" in shown
        assert "(in use)" in shown
    stored = json.loads(call_in(tmp_path, "report", "rare", "--json").stdout)
    assert stored["adjustment"] == found["adjustment"]
    [look] = stored["test_looks"]
    assert look["score"] == found["test"]["roc_auc"]["score"]

    told = call_in(tmp_path, "refit", "rare", "--threshold", "0.9", "--as-searched").stdout
    assert "at least 0.9 (as given)" in told
    assert (tunecli.load(folder).predict(rows) == "yes").mean() < is_reached.mean()
    told = call_in(tmp_path, "refit", "rare", "--threshold", "none").stdout
    assert "threshold   none: the more probable class is predicted" in told
    assert tunecli.load(folder).facts.decision is None

    at_home = json.loads(call_in(tmp_path, "report", "rare", "--json").stdout)["adjustment"]
    call_in(tmp_path, "refit", "rare", "--threshold", "0.8", "-o", "elsewhere")
    still = json.loads(call_in(tmp_path, "report", "rare", "--json").stdout)["adjustment"]
    assert still == at_home  # the report tells of the study's own model


def found_trial(metrics: dict) -> int:
    return metrics["adjustment"]["trial"]


@pytest.mark.slow
def test_a_threshold_for_three_classes_is_refused_before_anything_is_said(tmp_path: Path) -> None:
    (tmp_path / "wine.yaml").write_text(WINE)
    call_in(tmp_path, "search", "wine.yaml", "--jobs", "1", "--quiet")
    told = call_in(tmp_path, "refit", "wine", "--threshold", "0.3", code=1).stderr
    assert " ".join(told.split()) == (
        "--threshold 0.3 requires two classes, but this study has 3 classes. Leave out "
        "--threshold."
    )
    assert "calibration" in call_in(tmp_path, "refit", "wine", "--threshold", "none").stdout
