from __future__ import annotations

import pytest
import torch

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.preprocessing.preparation import prepared
from tunecli.study_file.settings.settings import Component, DataSettings, ValidationSettings

STANDARD = Component(name="standard")
MINMAX = Component(name="minmax")


def store(source: str = "wine", largest: int = 2**30) -> FoldStore:
    return FoldStore(DataSettings(source=source), ValidationSettings(folds=3), largest=largest)


@pytest.mark.parametrize("source", ["digits", "wine", "diabetes"])
def test_a_fold_holds_the_rows_of_the_split(source: str) -> None:
    made = store(source)
    folds = made.folds(FeatureForm(STANDARD), standardize_target=False)
    assert [fold.number for fold in folds] == [0, 1, 2]
    for fold, (train, valid) in zip(folds, made.split.folds, strict=True):
        expected = prepared(made.dataset, train, valid, made.settings, FeatureForm(STANDARD))
        assert torch.equal(fold.x_train, expected.x_train)
        assert torch.equal(fold.x_valid, expected.x_valid)
        assert torch.equal(fold.y_train, made.dataset.y[train])
        assert torch.equal(fold.y_valid, made.dataset.y[valid])
        assert fold.train_rows is not None
        assert torch.equal(fold.train_rows, train)
        assert torch.equal(fold.valid_rows, valid)
        assert fold.shape == made.dataset.shape
        assert fold.n_classes == len(made.dataset.classes)
        assert not set(made.split.test_rows.tolist()) & {*train.tolist(), *valid.tolist()}


def test_regression_targets_are_standardized_on_the_training_part_alone() -> None:
    made = store("diabetes")
    for fold, (train, valid) in zip(
        made.folds(FeatureForm(), True), made.split.folds, strict=True
    ):
        y = made.dataset.y
        assert fold.y_mean == pytest.approx(y[train].double().mean().item())
        assert fold.y_train.mean().item() == pytest.approx(0, abs=1e-5)
        assert fold.y_train.std(correction=0).item() == pytest.approx(1, abs=1e-5)
        assert fold.y_train.dtype == torch.float32
        original = fold.y_train.double() * fold.y_std + fold.y_mean
        assert torch.allclose(original, y[train], atol=1e-3)
        assert torch.equal(fold.y_valid, y[valid])


def test_class_indices_are_never_standardized() -> None:
    made = store()
    for one, other in zip(
        made.folds(FeatureForm(), True), made.folds(FeatureForm(), False), strict=True
    ):
        assert torch.equal(one.y_train, other.y_train)
        assert (one.y_mean, one.y_std) == (0.0, 1.0)


def test_features_are_scaled_once_for_all_trials() -> None:
    made = store("diabetes")
    first = made.folds(FeatureForm(STANDARD), True)
    made.folds(FeatureForm(MINMAX), True)
    again = made.folds(FeatureForm(STANDARD), False)
    assert all(a.x_train is b.x_train for a, b in zip(first, again, strict=True))


def test_the_store_forgets_what_was_unused_for_longest_and_makes_it_again_alike() -> None:
    n_bytes = 3 * 142 * 13 * 4  # folds, search rows, features, float32
    made = store(largest=2 * n_bytes)
    standard, minmax = (
        made.folds(FeatureForm(STANDARD), False)[0],
        made.folds(FeatureForm(MINMAX), False)[0],
    )
    made.folds(FeatureForm(STANDARD), False)  # now minmax was unused for longest
    made.folds(FeatureForm(), False)
    assert made.folds(FeatureForm(STANDARD), False)[0].x_train is standard.x_train
    again = made.folds(FeatureForm(MINMAX), False)[0]
    assert again.x_train is not minmax.x_train
    assert torch.equal(again.x_train, minmax.x_train)


def test_a_set_larger_than_the_store_still_has_folds() -> None:
    assert len(store(largest=1).folds(FeatureForm(STANDARD), False)) == 3
