from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    OneHotEncoder,
    OrdinalEncoder,
)

from tunecli.data.preprocessing.fitted_table import FittedTable
from tunecli.data.preprocessing.scaling import scaler_of
from tunecli.data.rows.dataset import Column
from tunecli.study_file.settings.settings import Component, DataSettings

COLUMNS = (
    Column("age"),
    Column("town", "categorical", tuple("abcdefgh")),
    Column("income"),
    Column("sex", "categorical", ("f", "m")),
)
SCALES = [
    None,
    *(Component(name=name) for name in ("standard", "minmax", "robust", "quantile")),
]


def table(n: int, seed: int = 0, holes: float = 0.2) -> NDArray[np.float64]:
    """(n, 4): numbers and codes, with missing cells."""
    random = np.random.default_rng(seed)
    x = np.stack(
        [
            random.normal(40, 10, n),
            np.minimum(random.geometric(0.4, n) - 1, 7),
            np.exp(random.normal(8, 1, n)),
            random.integers(0, 2, n),
        ],
        axis=1,
    )
    x[random.random(x.shape) < holes] = np.nan
    return x


def data(impute: str = "median", min_frequency: float = 0.05) -> DataSettings:
    return DataSettings(source="t.csv", impute=impute, min_frequency=min_frequency)


def encoded(table: FittedTable, x: NDArray[np.float64]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = table(torch.from_numpy(x)).numpy()
    assert found.shape == (len(x), table.n_features)
    return found


def pipeline(
    x: NDArray[np.float64], settings: DataSettings, scale: Component | None, embeds: bool
) -> ColumnTransformer:
    """What scikit-learn makes of the same settings, fitted to `x`."""
    rare = settings.min_frequency or None
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=rare, sparse_output=False
    )
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=-1,
        encoded_missing_value=-2,
        min_frequency=rare,
    )
    scaler = "passthrough" if scale is None else scaler_of(scale, len(x), settings.split_seed)
    imputer = SimpleImputer(strategy=settings.impute, keep_empty_features=True)
    with_holes = [i for i in (0, 2) if np.isnan(x[:, i]).any()]
    parts = [
        ("numbers", make_pipeline(imputer, scaler), [0, 2]),
        ("missing", MissingIndicator(features="all"), with_holes),
        ("categories", codes if embeds else one_hot, [1, 3]),
    ]
    return ColumnTransformer(parts, sparse_threshold=0).fit(x)


@pytest.mark.parametrize("scale", SCALES, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("embeds", [False, True], ids=["one-hot", "codes"])
def test_the_bits_are_those_of_scikit_learn(
    scale: Component | None, dtype: type[np.floating], embeds: bool
) -> None:
    train, others = table(300).astype(dtype), table(60, seed=1, holes=0.3).astype(dtype)
    fitted = FittedTable.fit(COLUMNS, train, data(), scale, embeds)
    oracle = pipeline(train, data(), scale, embeds)
    for x in (train, others):
        expected = oracle.transform(x)
        expected[:, -2:] += 2 if embeds else 0
        assert np.array_equal(encoded(fitted, x), expected.astype(np.float32))


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(SCALES),
    st.sampled_from(["median", "mean", "most_frequent"]),
    st.sampled_from([0.0, 0.05, 0.3]),
    st.booleans(),
    st.integers(20, 60),
    st.integers(0, 2**31),
)
def test_whatever_is_missing_or_new_features_are_finite_and_rows_are_encoded_alike(
    scale: Component | None,
    impute: str,
    min_frequency: float,
    embeds: bool,
    n: int,
    seed: int,
) -> None:
    train = table(n, seed)
    fitted = FittedTable.fit(COLUMNS, train, data(impute, min_frequency), scale, embeds)
    both = encoded(fitted, np.concatenate([train, table(9, seed + 1, holes=0.5)]))
    assert np.isfinite(both).all()
    assert np.array_equal(both[3:7], encoded(fitted, train[3:7]))
    assert len(fitted.cardinalities) == (2 if embeds else 0)
    for column, n_codes in enumerate(fitted.cardinalities, start=-len(fitted.cardinalities)):
        codes = both[:, column]
        assert set(codes) <= set(range(n_codes))
        in_training = set(both[:n, column])
        assert 1 not in in_training
        assert set(range(2, n_codes)) <= in_training


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    x = table(100)
    fitted = FittedTable.fit(COLUMNS, x, data(), SCALES[1], embeds=False)
    whole = encoded(fitted, x)
    monkeypatch.setattr("tunecli.data.preprocessing.fitted_table.BLOCK_ROWS", 7)
    in_blocks = fitted.features(torch.from_numpy(x), torch.arange(100))
    assert np.array_equal(whole, in_blocks.numpy())


def test_a_column_with_holes_gets_a_feature_that_marks_them_unscaled() -> None:
    train = table(50)
    train[:, 2] = np.arange(50)
    valid = table(20, seed=1)
    valid[:, 2] = np.nan  # but never in training: no mark
    fitted = FittedTable.fit(COLUMNS, train, data(), SCALES[1], embeds=True)
    assert fitted.n_features == 2 + 1 + 2
    assert np.array_equal(encoded(fitted, valid)[:, 2], np.isnan(valid[:, 0]))


def test_quantile_gives_a_normal_distribution_unless_told() -> None:
    x = np.exp(np.random.default_rng(0).normal(size=(2000, 1)))
    columns = (Column("x"),)
    normal = encoded(FittedTable.fit(columns, x, data(), SCALES[4], False), x)
    assert abs(normal.mean()) < 0.05
    assert normal.std() == pytest.approx(1, abs=0.05)
    uniform = Component(name="quantile", arguments={"output_distribution": "uniform"})
    assert encoded(FittedTable.fit(columns, x, data(), uniform, False), x).max() <= 1


def test_rare_categories_share_a_feature_and_unknown_ones_join_them() -> None:
    columns = (Column("town", "categorical", tuple("abcd")),)
    train = np.array([[0.0]] * 50 + [[1.0]] * 46 + [[2.0]] * 3 + [[np.nan]])
    fitted = FittedTable.fit(columns, train, data(min_frequency=0.04), None, embeds=False)
    assert fitted.n_features == 3
    rare, unknown = encoded(fitted, np.array([[2.0], [3.0]]))
    assert rare.tolist() == unknown.tolist() == [0, 0, 1]
    every = FittedTable.fit(columns, train, data(min_frequency=0.0), None, embeds=False)
    assert every.n_features == 4


def test_codes_count_what_training_has() -> None:
    columns = (Column("town", "categorical", tuple("abcd")),)
    rows = np.array([[np.nan], [1.0], [0.0], [2.0]])
    train = np.array([[0.0]] * 50 + [[2.0]] * 50)
    fitted = FittedTable.fit(columns, train, data(), None, embeds=True)
    assert encoded(fitted, rows)[:, 0].tolist() == [1, 1, 2, 3]
    assert fitted.cardinalities == (4,)
    fitted = FittedTable.fit(columns, np.append(train, [[np.nan]], 0), data(), None, embeds=True)
    assert encoded(fitted, rows)[:, 0].tolist() == [0, 1, 2, 3]
    assert fitted.cardinalities == (4,)


def test_a_column_without_any_number_in_training_is_zero() -> None:
    train = np.array([[np.nan, 1.0], [np.nan, 2.0]])
    columns = (Column("a"), Column("b"))
    fitted = FittedTable.fit(columns, train, data(), None, embeds=False)
    assert encoded(fitted, np.array([[5.0, 1.0]]))[0, 1] == 1
    assert np.isfinite(encoded(fitted, train)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("how", ["median", "mean", "most_frequent"])
@pytest.mark.parametrize("n_rows", [40, 41])
def test_missing_numbers_get_the_values_of_scikit_learn(
    n_rows: int, how: str, dtype: type[np.floating]
) -> None:
    random = np.random.default_rng(n_rows)
    x = random.normal(size=(n_rows, 6)).astype(dtype)
    x[random.random(n_rows) < 0.3, 1] = np.nan
    x[1:, 3] = np.nan
    x[:, 4] = np.nan
    scale = Component(name="standard")
    for kept in (range(6), (0, 2, 5), (1, 3)):  # some columns, none or all have missing cells
        columns, cells = [Column(f"x{i}") for i in kept], x[:, list(kept)]
        own = FittedTable.fit(columns, cells, data(how), scale, embeds=False)
        numbers = cells[:, [*range(len(columns))]]  # sums depend on the order in memory
        imputer = SimpleImputer(strategy=how, keep_empty_features=True)
        scaler = scaler_of(scale, n_rows, 0).fit(imputer.fit_transform(numbers))
        assert own.fill.numpy().tobytes() == imputer.statistics_.tobytes()
        steps = own.scale.tensors()
        for name, values in (("0.subtract", scaler.mean_), ("1.divide", scaler.scale_)):
            assert steps[f"scale.{name}"].numpy().tobytes() == values.astype(dtype).tobytes()
