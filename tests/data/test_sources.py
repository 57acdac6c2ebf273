from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn import datasets

from tunecli.data.sources import load_dataset
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings
from tunecli.study_file.settings.source_kinds import BUNDLED


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_set_is_what_scikit_learn_ships(name: str) -> None:
    dataset = load_dataset(DataSettings(source=name))
    options = {"scaled": False} if name == "diabetes" else {}
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True, **options)
    assert dataset.task == BUNDLED[name]
    assert dataset.x.dtype == torch.float32
    assert dataset.x.flatten(1).numpy() == pytest.approx(x, rel=1e-6)
    assert np.array_equal(dataset.y.numpy(), y)
    if dataset.task == "classification":
        assert dataset.y.dtype == torch.int64
        assert len(dataset.classes) == len(np.unique(y))
    else:
        assert dataset.y.dtype == torch.float64
        assert dataset.classes == []


def test_digits_are_pictures() -> None:
    digits = load_dataset(DataSettings(source="digits"))
    assert digits.shape == (1, 8, 8)
    assert torch.equal(digits.x[0, 0], torch.from_numpy(datasets.load_digits().images[0]).float())


def test_tables_keep_their_column_names() -> None:
    diabetes = load_dataset(DataSettings(source="diabetes"))
    assert diabetes.shape == (len(diabetes.columns),) == (10,)
    assert [column.name for column in diabetes.columns[:3]] == ["age", "sex", "bmi"]
    assert diabetes.x[:, 0].max() == 79  # years, not standardized


def test_an_unknown_set_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"unknown data set 'mnist'. Did you mean `MNIST`"):
        load_dataset(DataSettings(source="mnist"))
