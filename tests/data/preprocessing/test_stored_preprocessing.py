"""Fitted preprocessing as named tensors: the same bits before and after it was stored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.preprocessing.preparation import (
    Preprocessing,
    fit_preprocessing,
    prepared,
    restored_preprocessing,
)
from tunecli.data.preprocessing.scaling import FittedScale
from tunecli.data.rows.dataset import Column, Dataset
from tunecli.data.rows.features import as_features
from tunecli.study_file.settings.settings import Component, DataSettings

SCALES = {
    "none": None,
    "standard": Component(name="standard"),
    "standard without mean": Component(name="standard", arguments={"with_mean": False}),
    "minmax": Component(name="minmax", arguments={"clip": True, "feature_range": [-1, 1]}),
    "robust": Component(name="robust", arguments={"with_centering": False}),
    "robust with center": Component(name="robust"),
    "smooth clip": Component(name="smooth_clip", arguments={"limit": 2.0}),
    "quantile": Component(name="quantile"),
    "uniform": Component(name="quantile", arguments={"output_distribution": "uniform"}),
}
SETTINGS = DataSettings(source="table.csv", target="y", min_frequency=0.05)
TRAIN, OTHERS = torch.arange(150), torch.arange(150, 200)


def table(dtype: type[np.floating]) -> Dataset:
    """Numbers with and without holes, a rare and an unseen category, a missing one."""
    rng = np.random.default_rng(0)
    x = np.stack(
        [
            rng.normal(50, 7, 200),
            np.where(rng.random(200) < 0.2, np.nan, rng.exponential(3, 200)),
            rng.choice([0, 1, 2, 3], 200, p=[0.6, 0.36, 0.02, 0.02]),
            np.where(rng.random(200) < 0.1, np.nan, rng.integers(0, 3, 200)),
        ],
        axis=1,
    )
    x[150:153, 2] = 4  # which no training row has
    x[160, 0] = np.nan  # in a column without holes to train on
    columns = (
        Column("a"),
        Column("b"),
        Column("c", "categorical", tuple("uvwxy")),
        Column("d", "categorical", ("0", "1", "2")),
    )
    y = torch.from_numpy(rng.normal(size=200).astype(np.float32))
    return Dataset("table", "regression", torch.from_numpy(x.astype(dtype)), y, columns=columns)


def pictures(dtype: torch.dtype) -> Dataset:
    x = torch.randint(0, 256, (200, 3, 4, 5), generator=torch.Generator().manual_seed(0))
    return Dataset("pictures", "classification", x.to(dtype), torch.arange(200) % 2, ("a", "b"))


DATASETS = {
    "float64 table": table(np.float64),
    "float32 table": table(np.float32),
    "bytes": pictures(torch.uint8),
    "float pictures": pictures(torch.float32),
}


def stored_and_read(fitted: Preprocessing) -> Preprocessing:
    return restored_preprocessing(fitted.kind, fitted.tensors())


def rows_of(x: object) -> torch.Tensor:
    features = as_features(x)  # type: ignore[arg-type]
    return torch.cat(list(features.batches(None, [len(features)])))


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
@pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)
@pytest.mark.parametrize("embeds", [False, True], ids=["one-hot", "codes"])
def test_stored_tensors_prepare_rows_as_training_does(
    dataset: Dataset, scale: Component | None, embeds: bool
) -> None:
    expected = prepared(dataset, TRAIN, OTHERS, SETTINGS, FeatureForm(scale, embeds))
    fitted = fit_preprocessing(dataset, TRAIN, SETTINGS, FeatureForm(scale, embeds))
    for found in (fitted, stored_and_read(fitted)):
        assert found.cardinalities == expected.cat_cardinalities
        torch.testing.assert_close(
            found(dataset.x[OTHERS]), rows_of(expected.x_valid), rtol=0, atol=0
        )
        of_training = rows_of(found.features(dataset.x, TRAIN))
        torch.testing.assert_close(of_training, rows_of(expected.x_train), rtol=0, atol=0)


def test_rows_are_prepared_one_by_one_as_together() -> None:
    dataset = DATASETS["float64 table"]
    fitted = fit_preprocessing(dataset, TRAIN, SETTINGS, FeatureForm(SCALES["standard"]))
    alone = torch.cat([fitted(dataset.x[i : i + 1]) for i in range(200)])
    torch.testing.assert_close(alone, fitted(dataset.x), rtol=0, atol=0)


def test_an_unknown_operation_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown operation 'exec'"):
        FittedScale.restored({"scale.0.exec": torch.zeros(1)})
    with pytest.raises(ValueError, match="unknown preprocessing 'Pickle'"):
        restored_preprocessing("Pickle", {})


def test_stored_levels_hold_whatever_none_means_today() -> None:
    """Models of the version before were trained on levels from 0 to 255 with `scale: none`."""
    levels = torch.arange(256.0).expand(2, -1)
    x = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 2, 16, 16)
    assert torch.equal(restored_preprocessing("pixels", {"levels": levels})(x), x.float())
