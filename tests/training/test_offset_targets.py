"""Targets far from zero: what differs in a file differs in training, scores and predictions."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_cases import case

from tunecli.data.columns.named_columns import target
from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.scaling import TargetScale
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.user_code.import_user_code import permit
from tunecli.errors import DataError
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.settings.settings import DataSettings
from tunecli.study_file.study_file import StudyFile
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold_data import folds_of

NOISE = np.random.default_rng(0).normal(size=60)


def read(folder: Path, y: object) -> torch.Tensor:
    pd.DataFrame({"a": NOISE, "y": y}).to_csv(folder / "t.csv", index=False)
    settings = DataSettings(source="t.csv", target="y", task="regression")
    return load_dataset(settings, Workspace(folder)).y


@settings(max_examples=50, deadline=None)
@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e6))
def test_an_offset_changes_no_standardized_target(offset: float, unit: float) -> None:
    y, moved = (torch.from_numpy(NOISE * unit + c) for c in (0.0, offset))
    expected = TargetScale.of(y).standardized(y)
    found = TargetScale.of(moved).standardized(moved)
    assert found.dtype == torch.float32
    lost = abs(offset) * 2**-52 / unit  # by the numbers themselves, in 64 bits
    assert torch.allclose(found, expected, rtol=1e-6, atol=1e-6 + 4 * lost)


@pytest.mark.parametrize("unit", [1e-140, 1e-45, 1.0, 1e45, 1e74])
def test_numbers_that_32_bits_lack_are_used(unit: float, tmp_path: Path) -> None:
    y = read(tmp_path, NOISE * unit)
    assert y.dtype == torch.float64
    found = TargetScale.of(y).standardized(y)
    expected = (NOISE - NOISE.mean()) / NOISE.std()
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (
            np.where(np.arange(60) == 16, 1e80, NOISE),
            "'y' is 1e\\+80 in row 17 of t.csv, but must",
        ),
        (NOISE * 1e-160, "the target 'y' differ by at most .*e-160"),
        (["1", "1.0", "1.00"] * 20, "the target 'y' is 1 in all rows"),
        (np.full(60, 1e9 + 0.1), "the target 'y' is 1e\\+09 in all rows"),
    ],
)
def test_targets_that_cannot_be_standardized_are_refused(
    y: object, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, y)


def test_targets_that_differ_in_the_last_bit_are_not_constant() -> None:
    series = pd.Series(np.where(NOISE > 0, 1.0, np.nextafter(1.0, 2)), name="y")
    found = target(series, "regression", str)
    assert len(np.unique(found.values)) == 2


def test_equal_targets_have_no_deviation_of_rounding() -> None:
    y = torch.full((7,), 0.1, dtype=torch.float64)
    assert TargetScale.of(y) == TargetScale(0.1, 1.0)
    assert not TargetScale.of(y).standardized(y).any()


def test_folds_refits_and_stored_predictions_tell_rows_apart() -> None:
    made = case("offset")
    y = made.store.dataset.y
    training = CrossValidation(
        made.trial.config, folds_of(made.store, made.trial.config), torch.device("cpu")
    )
    for _ in training:
        pass
    result = training.result()
    assert result.value is not None
    assert 0.1 < result.value < 20
    assert result.predictions is not None
    stored = np.load(io.BytesIO(result.predictions))
    for number in range(len(training.folds)):
        values = stored[f"outputs_{number}"][:, 0]
        assert len(np.unique(values)) > 0.9 * len(values)
        errors = values - y.numpy()[stored[f"rows_{number}"]]
        assert np.sqrt((errors**2).mean()) == pytest.approx(result.fold_scores[number])
    predictions = made.refitted.predictions
    assert predictions is not None
    assert len(np.unique(predictions)) > 0.9 * len(predictions)


@pytest.mark.parametrize(("offset", "dtype"), [(0.0, "float32"), (1e9, "float64")])
def test_a_training_of_one_s_own_gets_64_bits_only_where_32_lose_something(
    offset: float, dtype: str, tmp_path: Path
) -> None:
    pd.DataFrame({"a": NOISE, "y": NOISE + offset}).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "mine.py").write_text(
        "def fit(config, fold):\n"
        "    assert {str(fold.y_train.dtype), str(fold.y_valid.dtype)} == {config['dtype']}\n"
        "    yield {'rmse': 1.0}, fold.y_valid\n"
    )
    allowed = AllowedCode.of(tmp_path, ["mine.py"])
    permit(allowed)
    text = (
        "data: {source: t.csv, target: y}\nobjective: {minimize: rmse}\n"
        f"train: {{'mine.py:fit': {{dtype: torch.{dtype}}}}}\n"
    )
    study = StudyFile.from_text(text, "own.yaml", (), tmp_path, allowed)
    dataset = load_dataset(study.data, Workspace(tmp_path))
    completed = study.completed(dataset.task, len(dataset.y), dataset.given)
    config = completed.resolve(lambda name, _: name)
    store = FoldStore(config.data, config.validation, Workspace(tmp_path), dataset=dataset)
    training = CrossValidation(config, folds_of(store, config), torch.device("cpu"))
    for _ in training:
        pass
    found = training.result().predictions
    assert found is not None
    with closing(training), np.load(io.BytesIO(found)) as stored:
        expected = dataset.y.numpy()[stored["rows_0"]]
        exact = expected if dtype == "float64" else expected.astype(np.float32)
        np.testing.assert_array_equal(stored["outputs_0"][:, 0], exact)
