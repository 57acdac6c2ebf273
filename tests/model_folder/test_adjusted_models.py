"""Models with a temperature and a threshold: trained, stored, loaded, scored, exported."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from model_cases import Case, case
from safetensors import safe_open
from sklearn.metrics import confusion_matrix
from study_makers import SUMMARY

from tunecli.cli.refit import results_lines
from tunecli.errors import ModelFolderError, RefitError
from tunecli.model_folder.adjust.adjusting import adjusted_to, refuse_threshold, unadjusted
from tunecli.model_folder.adjust.held_out import stored_outputs
from tunecli.model_folder.card import card
from tunecli.model_folder.exports.exporting import TOLERANCE, export_model
from tunecli.model_folder.exports.file_metadata import IN_PT2
from tunecli.model_folder.fold_models import as_searched, out_of_fold
from tunecli.model_folder.format.folder import FACTS, write_model
from tunecli.model_folder.format.loading import load_with
from tunecli.model_folder.format.model import Model
from tunecli.model_folder.format.predicted_rows import PredictedRows
from tunecli.model_folder.format.predicting import predictions
from tunecli.model_folder.refitting import Refitted, adjusted
from tunecli.model_folder.results import results_of
from tunecli.model_folder.score_interval import ScoreInterval
from tunecli.study_file.settings.settings import Component
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold_data import folds_of
from tunecli.training.outcome.adjustment import (
    Adjustment,
    BeforeAfter,
    Calibration,
    Threshold,
)
from tunecli.training.outcome.temperature import calibrated
from tunecli.training.saved_models import keep_models
from tunecli.training.step.precision import choose_device
from tunecli.training.trial_end import conclude

SHARPER = Calibration(0.5, True, BeforeAfter(0.5, 0.4), BeforeAfter(0.1, 0.02))
SOURCES = {"table": "table.csv", "arrays": "arrays.npz", "digits": "digits"}


def by_hand(name: str) -> Adjustment:
    """A temperature, and for two classes a threshold of the second one."""
    classes = case(name).store.dataset.classes
    threshold = Threshold(classes[1], 0.3, "given") if len(classes) == 2 else None
    return Adjustment(3, 100, 5, SHARPER, threshold)


@cache
def made(name: str) -> Refitted:
    found = case(name)
    return adjusted(found.refitted, by_hand(name), found.store)


@cache
def searched(name: str) -> tuple[bytes, list[Any]]:
    """What a search stores of a trial: its predictions and its models."""
    found = case(name)
    config = found.trial.config
    training = CrossValidation(config, folds_of(found.store, config), choose_device("cpu"))
    for _ in training:
        pass
    end = conclude(training)
    assert end.result.predictions is not None
    return end.result.predictions, list(end.models())


@pytest.mark.parametrize("name", ["table", "arrays", "digits"])
def test_a_stored_model_predicts_the_bits_of_the_refit(name: str, tmp_path: Path) -> None:
    found, refitted = case(name), made(name)
    write_model(tmp_path / "model", refitted.model, {})
    model = load_with(tmp_path / "model", found.workspace)
    rows = found.store.dataset.x[found.store.split.test_rows]
    np.testing.assert_array_equal(model.of_rows(rows), refitted.predictions)
    np.testing.assert_array_equal(refitted.unadjusted, found.refitted.predictions)
    assert found.refitted.predictions is not None
    expected = calibrated(found.refitted.predictions, 0.5)
    np.testing.assert_allclose(refitted.predictions, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["table", "digits"])
def test_a_model_of_an_earlier_version_predicts_the_bits_that_it_did(
    name: str, tmp_path: Path
) -> None:
    found = case(name)
    write_model(tmp_path / "model", found.refitted.model, {})
    facts = json.loads((tmp_path / "model" / FACTS).read_text())
    assert facts.pop("temperature") is None
    assert facts.pop("decision") is None
    (tmp_path / "model" / FACTS).write_text(json.dumps(facts))
    model = load_with(tmp_path / "model", found.workspace)
    rows = found.store.dataset.x[found.store.split.test_rows]
    np.testing.assert_array_equal(model.of_rows(rows), found.refitted.predictions)
    names = np.array(model.classes)
    assert found.refitted.predictions is not None
    expected = names[found.refitted.predictions.argmax(1)]
    np.testing.assert_array_equal(model.decided(found.refitted.predictions), expected)


def test_the_class_is_predicted_by_the_threshold_everywhere() -> None:
    found = case("table")
    model = Model(made("table").model.facts, made("table").model.members, torch.device("cpu"))
    frame = pd.read_csv(found.folder / "table.csv", na_values=["?"])
    of_second = model.predict_proba(frame)[:, 1]
    expected = np.where(of_second >= 0.3, model.classes[1], model.classes[0])
    assert (expected != np.array(model.classes)[(of_second > 0.5).astype(int)]).any()
    np.testing.assert_array_equal(model.predict(frame), expected)
    seen = PredictedRows(model.facts.columns)
    blocks = pd.concat(predictions(model, str(found.folder / "table.csv"), True, (), seen))
    np.testing.assert_array_equal(blocks["prediction"], expected)
    np.testing.assert_array_equal(blocks[f"probability_{model.classes[1]}"], of_second)


def test_test_scores_are_those_of_what_is_predicted() -> None:
    found, refitted = case("table"), made("table")
    results = results_of(found.trial, found.store, [refitted], 1, by_hand("table"))
    y = found.store.dataset.y[found.store.split.test_rows].numpy()
    assert refitted.predictions is not None
    decided = (refitted.predictions[:, 1] >= 0.3).astype(int)
    np.testing.assert_array_equal(results.confusion, confusion_matrix(y, decided, labels=[0, 1]))
    assert results.test["accuracy"].score == pytest.approx(np.mean(decided == y))
    assert results.seeds[0].scores["accuracy"] == results.test["accuracy"].score
    assert found.refitted.predictions is not None
    as_before = np.mean(found.refitted.predictions.argmax(1) == y)
    assert results.of_test_as_searched == results.test_unadjusted["accuracy"]
    assert results.test_unadjusted["accuracy"].score == pytest.approx(as_before)
    lines = "\n".join(results_lines(results))
    assert "calibration temperature 0.5: log_loss 0.5000 → 0.4000, calibration error" in lines
    assert f"threshold   {refitted.model.classes[1]!r} if its probability is at least 0.3" in lines
    if results.test["accuracy"] != results.test_unadjusted["accuracy"]:
        assert "without calibration and threshold, as in the search" in lines
    text = card(refitted.model.facts, results, SUMMARY, 1)
    assert "| on the test rows | score | 95 % interval | as in the search |" in text
    assert "## Calibration and threshold" in text
    assert "15 bins with equally many rows each" in text


def test_an_ensemble_without_adjustments_does_not_score_as_in_the_search() -> None:
    """The score in the search is that of single networks."""
    found, refitted = case("table"), made("table")
    results = results_of(found.trial, found.store, [refitted], 1, by_hand("table"))
    other = ScoreInterval(0.0, 0.0, 0.0)
    several = replace(
        results,
        n_networks=3,
        n_parts=3,
        one_by_one={"accuracy": 0.5},
        titles={"accuracy": "accuracy of all"},
        test_unadjusted=dict.fromkeys(results.test, other),
    )
    lines = results_lines(several)
    assert "            accuracy of all 0.0000 without calibration and threshold" in lines
    assert ["single networks" in line for line in lines if "as in the search" in line] == [True]
    text = card(refitted.model.facts, several, SUMMARY, 1)
    assert "| on the test rows | score | 95 % interval | without them |" in text
    assert "as in the search" not in text


def test_a_model_without_adjustments_has_one_test_score() -> None:
    found = case("table")
    nothing = Adjustment(3, 10, 5, replace(SHARPER, is_kept=False))
    assert adjusted(found.refitted, nothing, found.store) is found.refitted
    results = results_of(found.trial, found.store, [found.refitted], 1, nothing)
    assert results.test_unadjusted == {}
    assert results.of_test_as_searched == results.of_test
    text = card(found.refitted.model.facts, results, SUMMARY, 1)
    assert "as in the search" not in text
    assert "does not reliably lower" in text


def test_a_regression_has_no_section_on_calibration() -> None:
    found = case("numbers")
    results = results_of(found.trial, found.store, [found.refitted], 1)
    assert "Calibration" not in card(found.refitted.model.facts, results, SUMMARY, 1)


@pytest.mark.parametrize(
    "name", ["arrays", pytest.param("table", marks=pytest.mark.slow), "digits"]
)
def test_an_onnx_file_predicts_the_calibrated_probabilities(name: str, tmp_path: Path) -> None:
    model = on_cpu(made(name).model, case(name))
    assert export_model(model, "onnx", tmp_path / "m.onnx", SOURCES[name]).difference <= TOLERANCE
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    x = case(name).store.dataset.x[:30]
    told = session.run(None, {"rows": x.numpy()})[0]
    np.testing.assert_allclose(told, model.of_rows(x), atol=1e-5)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["temperature"]) == 0.5
    if name == "digits":
        assert "threshold" not in metadata
    else:
        assert json.loads(metadata["positive"]) == model.classes[1]
        assert json.loads(metadata["threshold"]) == 0.3


def test_other_files_carry_the_temperature_and_the_threshold(tmp_path: Path) -> None:
    model = on_cpu(made("arrays").model, case("arrays"))
    export_model(model, "pt2", tmp_path / "m.pt2", "arrays.npz")
    extra = {IN_PT2: ""}
    program = torch.export.load(tmp_path / "m.pt2", extra_files=extra)
    adjusted_by = {"temperature": 0.5, "positive": "1", "threshold": 0.3}
    assert json.loads(extra[IN_PT2]).items() >= adjusted_by.items()
    x = case("arrays").store.dataset.x[:30]
    told = program.module()(x).detach().numpy()
    np.testing.assert_allclose(told, model.of_rows(x), atol=1e-6)
    export_model(model, "safetensors", tmp_path / "m.safetensors", "nowhere.csv")
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        told_of = {key: json.loads(text) for key, text in file.metadata().items()}
    assert told_of.items() >= adjusted_by.items()


def test_a_mean_of_networks_is_calibrated_as_a_whole(tmp_path: Path) -> None:
    found = case("arrays")
    keep_models(tmp_path / "3", found.trial.config, searched("arrays")[1])
    mean = as_searched(found.trial, found.store, tmp_path / "3")
    warmer = adjusted(mean, by_hand("arrays"), found.store)
    assert mean.predictions is not None
    assert warmer.predictions is not None
    expected = calibrated(mean.predictions, 0.5)
    np.testing.assert_allclose(warmer.predictions, expected, rtol=1e-6)
    np.testing.assert_array_equal(mean.predictions.argmax(1), warmer.predictions.argmax(1))
    model = on_cpu(warmer.model, found)
    exported = export_model(model, "onnx", tmp_path / "m.onnx", "arrays.npz")
    assert (exported.n_networks, exported.difference <= TOLERANCE) == (
        len(mean.model.members),
        True,
    )


@pytest.mark.parametrize("name", ["arrays", "table", "digits"])
def test_kept_models_give_the_predictions_that_were_stored(name: str, tmp_path: Path) -> None:
    found = case(name)
    archive, models = searched(name)
    stored = out_of_fold(found.trial, found.store, archive, tmp_path)
    assert stored is not None
    arrays = np.load(io.BytesIO(archive))
    for number, outputs in enumerate(stored):
        np.testing.assert_array_equal(outputs, arrays[f"outputs_{number}"])
    assert out_of_fold(found.trial, found.store, None, tmp_path) is None
    keep_models(tmp_path, found.trial.config, models)
    again = out_of_fold(found.trial, found.store, None, tmp_path)
    assert again is not None
    for outputs, expected in zip(again, stored, strict=True):
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def test_only_losses_that_fit_probabilities_are_calibrated() -> None:
    found = case("table")
    outputs = stored_outputs(found.store, searched("table")[0])
    assert outputs is not None
    config = found.trial.config
    assert adjusted_to(3, config, found.store, outputs, "auto").calibration is not None
    margin = config.model_copy(update={"loss": Component(name="MultiMarginLoss")})
    known = adjusted_to(3, margin, found.store, outputs, "auto")
    assert known.calibration is None
    assert known.threshold is not None  # which only needs an order


def test_a_given_threshold_is_used_and_none_is_not_tuned() -> None:
    found = case("table")
    outputs = stored_outputs(found.store, searched("table")[0])
    assert outputs is not None
    given = adjusted_to(3, found.trial.config, found.store, outputs, 0.2)
    positive = found.store.positive_name
    assert given.rule == (positive, 0.2)
    assert given.threshold is not None
    assert given.threshold.score is not None
    assert 0.2 in {point.threshold for point in given.points}
    assert adjusted_to(3, found.trial.config, found.store, outputs, "none").rule is None
    assert unadjusted(3, found.store, 0.2, "why").rule == (positive, 0.2)
    assert unadjusted(3, found.store, "auto", "why") == Adjustment(3, why_not="why")


@pytest.mark.parametrize(("name", "kind"), [("digits", "has 10 classes"), ("numbers", "predicts")])
def test_a_threshold_needs_two_classes(name: str, kind: str) -> None:
    store = case(name).store
    refuse_threshold("auto", store)
    refuse_threshold("none", store)
    refuse_threshold(0.3, case("table").store)
    told = f"--threshold 0.3 requires two classes, but this study {kind}.* Leave out --threshold"
    with pytest.raises(RefitError, match=told):
        refuse_threshold(0.3, store)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("table", {"temperature": 0}, "temperature: Input should be greater than 0"),
        ("numbers", {"temperature": 2.0}, "a temperature for regression"),
        ("table", {"decision": {"positive": "large", "threshold": 1.0}}, "should be less than 1"),
        ("table", {"decision": {"positive": "huge", "threshold": 0.5}}, "threshold of 'huge'"),
        ("digits", {"decision": {"positive": "1", "threshold": 0.5}}, "for 10 classes"),
    ],
)
def test_damaged_adjustments_are_refused(
    name: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write_model(tmp_path / "model", case(name).refitted.model, {})
    path = tmp_path / "model" / FACTS
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ModelFolderError, match=message):
        load_with(tmp_path / "model", case(name).workspace)


def on_cpu(model: Model, found: Case) -> Model:
    return Model(model.facts, model.members, torch.device("cpu"), found.workspace)
