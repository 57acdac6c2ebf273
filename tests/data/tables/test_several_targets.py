"""Several targets of a table: how they are read, what is refused, and how rows are split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.workspace import Workspace
from tunecli.data.tables.tables import load_table, table_column_facts
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import Component, DataSettings, ValidationSettings


def _frame(n: int = 120) -> pd.DataFrame:
    draws = np.random.default_rng(0)
    frame = pd.DataFrame(draws.normal(size=(n, 3)), columns=["x0", "x1", "x2"])
    frame["heat"] = 1000 + 3 * frame["x0"] + draws.normal(size=n)
    frame["cold"] = frame["x1"] / 10 + draws.normal(size=n)
    frame["wet"] = (frame["x2"] > 0.8).astype(int)
    frame["windy"] = draws.random(n) < 0.4
    return frame


def _load(folder: Path, frame: pd.DataFrame, **settings: Any) -> Dataset:
    frame.to_csv(folder / "t.csv", index=False)
    data = DataSettings(source="t.csv", **settings)
    return load_table(data, ValidationSettings(folds=4), Workspace(folder))


def test_numbers_are_values(tmp_path: Path) -> None:
    frame = _frame()
    dataset = _load(tmp_path, frame, targets=["heat", "cold"], drop=["wet", "windy"])
    assert (dataset.task, dataset.targets, dataset.classes) == ("regression", ("heat", "cold"), ())
    assert dataset.target == "`heat` and `cold`: 2 numbers"
    assert np.array_equal(dataset.y.numpy(), frame[["heat", "cold"]].to_numpy())
    assert [column.name for column in dataset.columns] == ["x0", "x1", "x2"]


@pytest.mark.parametrize(
    ("task", "how"), [(None, "all are 0 or 1"), ("multilabel", "set by task")]
)
def test_zeros_and_ones_are_labels(tmp_path: Path, task: Any, how: str) -> None:
    frame = _frame()
    dataset = _load(tmp_path, frame, targets=["windy", "wet"], drop=["heat", "cold"], task=task)
    assert (dataset.task, dataset.targets) == ("multilabel", ("windy", "wet"))
    assert dataset.target == f"`windy` and `wet`: 2 labels ({how})"
    assert np.array_equal(dataset.y.numpy(), frame[["windy", "wet"]].to_numpy(np.float64))


def test_labels_can_be_numbers_on_request(tmp_path: Path) -> None:
    settings = {"targets": ["windy", "wet"], "drop": ["heat", "cold"], "task": "regression"}
    assert _load(tmp_path, _frame(), **settings).task == "regression"


def test_another_order_is_other_content(tmp_path: Path) -> None:
    first = _load(tmp_path, _frame(), targets=["heat", "cold"])
    other = _load(tmp_path, _frame(), targets=["cold", "heat"])
    assert first.fingerprint != other.fingerprint


def test_a_leak_names_the_targets(tmp_path: Path) -> None:
    frame = _frame().assign(twin=lambda t: t["cold"] * 2)
    notes = _load(tmp_path, frame, targets=["heat", "cold"]).notes
    assert any("`twin` predicts one of the targets perfectly" in note for note in notes)


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({}, {"targets": ["heat", "wett"]}, "column 'wett' does not exist.*Did you mean `wet`?"),
        (
            {},
            {"targets": ["wet", "heat"], "task": "multilabel"},
            "a label must be 0 or 1, but 'heat' is .* in row 1 of t.csv.*task: regression",
        ),
        (
            {"cold": "warm"},
            {"targets": ["heat", "cold"]},
            "must be numbers, but 'cold' has 'warm' in row 1.*Write labels as 0 and 1",
        ),
        (
            {"cold": [f"{n},5" for n in range(120)]},
            {"targets": ["heat", "cold"]},
            "'cold' .*decimal: ','",
        ),
        (
            {"cold": [f"2026-01-{1 + n % 28:02}" for n in range(120)]},
            {"targets": ["heat", "cold"]},
            "must be numbers, but 'cold' has dates or times, such as '2026-01-01'.*Remove cold",
        ),
        (
            {"cold": [f"CHF {n}.50" for n in range(120)]},
            {"targets": ["heat", "cold"]},
            "'cold' .*remove cold from targets",
        ),
        ({"cold": None}, {"targets": ["heat", "cold"]}, "the target 'cold' is empty"),
        ({"cold": 3}, {"targets": ["heat", "cold"]}, "'cold' is 3 in all.*Remove cold from"),
        ({"wet": 0}, {"targets": ["wet", "windy"]}, "the label 'wet' is 0 in all rows"),
        ({}, {"targets": ["heat", "cold"], "drop": ["heat"]}, "already listed in data.targets"),
    ],
)
def test_mistakes_name_the_column(
    tmp_path: Path, change: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        _load(tmp_path, _frame().assign(**change), **settings)


def test_mistakes_are_at_the_setting_of_the_targets(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        _load(tmp_path, _frame().assign(cold=3), targets=["heat", "cold"])
    assert caught.value.setting == "data.targets"


def test_the_columns_are_described_as_targets(tmp_path: Path) -> None:
    _frame().to_csv(tmp_path / "t.csv", index=False)
    data = DataSettings(source="t.csv", targets=["heat", "cold"])
    facts = table_column_facts(data, ValidationSettings(folds=4), Workspace(tmp_path))
    assert {one.name for one in facts if one.use == "targets"} == {"heat", "cold"}


def _store(folder: Path, **settings: Any) -> FoldStore:
    _frame().to_csv(folder / "t.csv", index=False)
    data = DataSettings(source="t.csv", test=0.2, **settings)
    return FoldStore(data, ValidationSettings(folds=4), Workspace(folder))


def test_folds_have_each_label_at_its_share(tmp_path: Path) -> None:
    store = _store(tmp_path, targets=["wet", "windy"], drop=["heat", "cold"])
    y = store.dataset.y
    counts = torch.stack([y[valid].sum(0) for _, valid in store.split.folds])
    assert (counts.max(0).values - counts.min(0).values <= 1).all()
    share, of_test = y.mean(0), y[store.split.test_rows].mean(0)
    torch.testing.assert_close(of_test, share, rtol=0, atol=0.05)


def test_a_fold_standardizes_each_target_on_its_training_rows(tmp_path: Path) -> None:
    store = _store(tmp_path, targets=["heat", "cold"], drop=["wet", "windy"])
    for fold in store.folds(FeatureForm(Component(name="standard")), standardize_target=True):
        train = store.dataset.y[store.split.folds[fold.number][0]].numpy()
        assert fold.y_mean == pytest.approx(tuple(train.mean(0)))
        assert fold.y_std == pytest.approx(tuple(train.std(0)))
        assert fold.n_targets == 2
        torch.testing.assert_close(fold.y_train.mean(0), torch.zeros(2), rtol=0, atol=1e-6)
        assert torch.equal(fold.y_valid, store.dataset.y[fold.valid_rows])
