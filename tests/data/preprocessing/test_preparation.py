from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.data.cache import cached_datasets
from tunecli.data.cache.cached_datasets import kept_split
from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing import preparation
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.preprocessing.fitted_table import FittedTable
from tunecli.data.preprocessing.preparation import Prepared, prepared
from tunecli.data.rows.dataset import Column, Dataset
from tunecli.data.rows.workspace import Workspace
from tunecli.data.splits.split import split
from tunecli.study_file.settings.settings import Component, DataSettings, ValidationSettings

SCALES = [
    None,
    *(
        Component(name=name)
        for name in ("standard", "minmax", "robust", "smooth_clip", "quantile")
    ),
]
DATA = DataSettings(source="t.csv", min_frequency=0.1)


def table(n: int = 60, seed: int = 0) -> Dataset:
    """Numbers and categories with holes."""
    random = np.random.default_rng(seed)
    x = np.stack([random.normal(5, 3, n), random.geometric(0.4, n) % 6, random.normal(0, 1, n)], 1)
    x[random.random(x.shape) < 0.2] = np.nan
    columns = (Column("a"), Column("b", "categorical", tuple("012345")), Column("c"))
    y = torch.from_numpy(random.normal(size=n)).float()
    return Dataset("t", "regression", torch.from_numpy(x), y, columns=columns)


def equal(one: Prepared, other: Prepared) -> bool:
    assert isinstance(one.x_train, torch.Tensor)
    assert isinstance(other.x_train, torch.Tensor)
    assert isinstance(one.x_valid, torch.Tensor)
    assert isinstance(other.x_valid, torch.Tensor)
    return (
        torch.equal(one.x_train, other.x_train)
        and torch.equal(one.x_valid, other.x_valid)
        and one.cat_cardinalities == other.cat_cardinalities
    )


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(SCALES),
    st.sampled_from(["median", "mean", "most_frequent"]),
    st.booleans(),
    st.integers(0, 2**31),
)
def test_validation_rows_change_no_training_tensor(
    scale: Component | None, impute: str, embeds: bool, seed: int
) -> None:
    """Whatever they hold: other numbers, other categories, holes where none were."""
    dataset = table(seed=seed)
    train, valid = torch.arange(40), torch.arange(40, 60)
    random = np.random.default_rng(seed + 1)
    x = dataset.x.clone()
    x[valid] = torch.from_numpy(
        np.stack([random.normal(0, 1e9, 20), random.integers(0, 6, 20), np.full(20, np.nan)], 1)
    )
    changed = replace(dataset, x=x)
    data = DATA.model_copy(update={"impute": impute})
    one, other = (
        prepared(d, train, valid, data, FeatureForm(scale, embeds)) for d in (dataset, changed)
    )
    assert torch.equal(one.x_train, other.x_train)  # type: ignore[arg-type]
    assert one.cat_cardinalities == other.cat_cardinalities
    assert not torch.equal(one.x_valid, other.x_valid)  # type: ignore[arg-type]


def test_numbers_come_first_and_codes_last() -> None:
    dataset = table()
    train, valid = torch.arange(40), torch.arange(40, 60)
    made = prepared(dataset, train, valid, DATA, FeatureForm(embeds=True))
    assert isinstance(made.x_train, torch.Tensor)
    assert made.x_train.shape == (40, 5)  # two numbers, two marks, one code
    assert made.x_train.dtype == torch.float32
    known = ~dataset.x[train, 0].isnan()
    assert torch.equal(made.x_train[known, 0], dataset.x[train][known, 0].float())
    missing = dataset.x[train, 1].isnan()
    assert torch.equal(made.x_train[:, 4] == 0, missing)
    assert made.x_train[:, 4].max() == made.cat_cardinalities[0] - 1


def test_cold_warm_and_no_cache_give_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "SMALL", 0)
    dataset = table()
    rows = torch.arange(40), torch.arange(40, 60)
    for scale in SCALES:
        for embeds in (False, True):
            plain = prepared(dataset, *rows, DATA, FeatureForm(scale, embeds))
            cold = prepared(dataset, *rows, DATA, FeatureForm(scale, embeds), tmp_path)
            warm = prepared(dataset, *rows, DATA, FeatureForm(scale, embeds), tmp_path)
            assert equal(plain, cold)
            assert equal(plain, warm)
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2 * len(SCALES)


def test_what_decides_the_features_decides_the_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "SMALL", 0)
    dataset = table()
    rows = torch.arange(40), torch.arange(40, 60)
    standard = FeatureForm(SCALES[1])

    def n_entries() -> int:
        return len([path for path in tmp_path.iterdir() if path.is_dir()])

    prepared(dataset, *rows, DATA, standard, tmp_path)
    prepared(dataset, *rows, DATA.model_copy(update={"test": 0.5}), standard, tmp_path)
    assert n_entries() == 1
    x = dataset.x.clone()
    x[0, 0] = 7
    others = [
        (replace(dataset, x=x), *rows, DATA),
        (dataset, torch.arange(39), rows[1], DATA),
        (dataset, rows[0], torch.arange(41, 60), DATA),
        (dataset, *rows, DATA.model_copy(update={"impute": "mean"})),
        (dataset, *rows, DATA.model_copy(update={"min_frequency": 0.0})),
    ]
    for n, (data, train, valid, changed) in enumerate(others, start=2):
        prepared(data, train, valid, changed, standard, tmp_path)
        assert n_entries() == n


def test_a_store_prepares_each_fold_and_setting_once_for_all_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "SMALL", 0)
    calls: list[int] = []
    fit = FittedTable.fit

    def counted(*args: object) -> object:
        calls.append(1)
        return fit(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(FittedTable, "fit", counted)
    workspace = Workspace(tmp_path, tmp_path / "cache")
    stores = [
        FoldStore(DATA, ValidationSettings(folds=3), workspace, dataset=table()) for _ in range(2)
    ]
    folds = [
        store.folds(FeatureForm(SCALES[1], embeds), True)
        for store in stores
        for embeds in (False, True)
    ]
    assert len(calls) == 3 * 2
    assert torch.equal(folds[0][2].x_train, folds[2][2].x_train)  # type: ignore[arg-type]
    assert folds[1][0].cat_cardinalities == folds[3][0].cat_cardinalities != ()
    assert folds[0][0].cat_cardinalities == ()


def test_a_split_from_the_cache_is_the_one_that_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached_datasets, "SMALL", 0)
    dataset = table()
    for validation in (ValidationSettings(folds=3, repeats=2), ValidationSettings(holdout=0.2)):
        for data in (DATA, DATA.model_copy(update={"test": 0.0})):
            plain = split(dataset, data, validation)
            for _ in ("cold", "warm"):
                kept = kept_split(dataset, data, validation, tmp_path)
                assert torch.equal(kept.search_rows, plain.search_rows)
                assert torch.equal(kept.test_rows, plain.test_rows)
                for one, other in zip(kept.folds, plain.folds, strict=True):
                    assert torch.equal(one[0], other[0])
                    assert torch.equal(one[1], other[1])
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 4
