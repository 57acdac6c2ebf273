"""What is loaded batch by batch is what would be in memory, whatever loads it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from loaded_cases import KINDS, N, Noisy, Rows, loaded_rows, x_of
from torch import Tensor

from tunecli.data.arrays.arrays import from_arrays, with_targets
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.preprocessing.preparation import Prepared, prepared
from tunecli.data.preprocessing.scaled_features import ScaledFeatures
from tunecli.data.rows.array_forms import feature_array
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.features import Features, as_features
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.errors import DataError, UserCodeError
from tunecli.study_file.settings.settings import Component, DataSettings

DATA = DataSettings(source="own.py:load")
Y = np.arange(N) % 2
TRAIN, VALID = torch.arange(0, 30), torch.arange(30, N)
SCALES = [
    None,
    *(Component(name=n) for n in ("standard", "minmax", "robust", "smooth_clip", "quantile")),
]


def in_memory(kind: str) -> Dataset:
    return from_arrays("own.py:load", x_of(kind), Y, DATA)


def loaded(kind: str, n_loaders: int = 0) -> Dataset:
    return of_rows(loaded_rows(Rows(x_of(kind)), n_loaders))


def of_rows(rows: LoadedRows) -> Dataset:
    return replace(with_targets("own.py:load", rows, Y, DATA), known_fingerprint="f")


def both(kind: str, scale: Component | None) -> tuple[Prepared, Prepared]:
    found = [
        prepared(d, TRAIN, VALID, DATA, FeatureForm(scale))
        for d in (in_memory(kind), loaded(kind))
    ]
    return found[0], found[1]


def parts(x: Tensor | Features, rows: Tensor | None, sizes: list[int]) -> Tensor:
    found = list(as_features(x).batches(rows, sizes))
    assert [len(part) for part in found] == sizes
    return torch.cat(found)


def exactness(kind: str, scale: Component | None) -> dict[str, float]:
    """Same bits, but for means and variances of numbers, whose sums are rounded."""
    near = kind != "bytes" and scale is not None and scale.name == "standard"
    return {"rtol": 1e-6, "atol": 1e-6} if near else {"rtol": 0, "atol": 0}


@pytest.mark.parametrize("scale", SCALES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_those_of_memory(kind: str, scale: Component | None) -> None:
    if (
        kind != "bytes"
        and scale is not None
        and scale.name in ("robust", "smooth_clip", "quantile")
    ):
        with pytest.raises(DataError, match=rf"data.scale: {scale.name} needs all rows at once"):
            both(kind, scale)
        return
    whole, there = both(kind, scale)
    order = torch.randperm(30)
    for rows, sizes in ((order, [8, 8, 14]), (None, [11, 7]), (order[:5], [5])):
        one, other = (parts(p.x_train, rows, sizes) for p in (whole, there))
        torch.testing.assert_close(other, one, **exactness(kind, scale))
    one, other = (parts(p.x_valid, None, [10]) for p in (whole, there))
    torch.testing.assert_close(other, one, **exactness(kind, scale))
    assert as_features(there.x_train).shape == as_features(whole.x_train).shape


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_loaders_gives_the_same_bits(kind: str) -> None:
    found = [
        prepared(
            loaded(kind, n), TRAIN, VALID, DATA, FeatureForm(Component(name="standard"))
        ).x_train
        for n in (0, 1, 2)
    ]
    walks = [parts(x, torch.arange(29, -1, -1), [7, 7, 7, 9]) for x in found]
    assert torch.equal(walks[0], walks[1])
    assert torch.equal(walks[0], walks[2])


@pytest.mark.parametrize("scale", SCALES[:3], ids=str)
@pytest.mark.parametrize("kind", ["bytes", "numbers"])
def test_the_ends_of_pixels_are_those_of_memory(kind: str, scale: Component | None) -> None:
    whole, there = both(kind, scale)
    ends = [as_features(p.x_train).ends() for p in (whole, there)]
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(other, one, **exactness(kind, scale))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["standard", "minmax"])
def test_no_validation_row_changes_a_training_number(kind: str, name: str) -> None:
    x = x_of(kind)
    x[VALID.numpy()] = (x[VALID.numpy()] * 0.5 + 1).astype(x.dtype)
    other = of_rows(loaded_rows(Rows(x)))
    scale = Component(name=name)
    found = [prepared(d, TRAIN, VALID, DATA, FeatureForm(scale)) for d in (loaded(kind), other)]
    assert torch.equal(*(parts(p.x_train, None, [30]) for p in found))
    assert not torch.equal(*(parts(p.x_valid, None, [10]) for p in found))


def test_what_the_pass_finds_is_kept_for_other_processes(tmp_path: Path) -> None:
    for kind, entries in (("numbers", "moments-*"), ("bytes", "levels-*")):
        made = [
            prepared(d, TRAIN, VALID, DATA, FeatureForm(Component(name="standard")), tmp_path)
            for d in (loaded(kind), loaded(kind))
        ]
        assert torch.equal(*(parts(p.x_train, None, [30]) for p in made))
        assert len(list(tmp_path.glob(entries))) == (kind == "numbers")


def test_draws_are_new_with_each_seed_and_the_same_again() -> None:
    rows = loaded_rows(Noisy(np.zeros((N, 3))), 2)
    x = prepared(of_rows(rows), TRAIN, VALID, DATA, FeatureForm()).x_train
    assert isinstance(x, ScaledFeatures)
    order, sizes = torch.randperm(30), [8, 8, 14]
    first, other, again = (torch.cat(list(x.batches(order, sizes, s))) for s in (1, 2, 1))
    assert torch.equal(first, again)
    assert (first != other).all()
    one_by_one = torch.cat(list(x.batches(order, [1] * 30, 1)))
    assert torch.equal(first, one_by_one)


def test_the_first_rows_alone() -> None:
    x = prepared(loaded("bytes"), TRAIN, VALID, DATA, FeatureForm()).x_valid
    assert isinstance(x, ScaledFeatures)
    assert len(x.first(4)) == 4
    assert torch.equal(parts(x.first(4), None, [4]), parts(x, None, [4]))
    assert len(x.to(torch.device("cpu"))) == 10
    assert x.row_bytes == 4 * 3 * 8 * 9


def test_numbers_must_be_finite() -> None:
    x = x_of("table")
    x[33, 1] = np.nan
    rows = loaded_rows(Rows(x))
    with pytest.raises(UserCodeError, match="item 33: features loaded batch by batch must be fin"):
        list(rows.batches(torch.arange(N), [20, 20]))


def test_the_size_is_that_of_memory() -> None:
    for kind in KINDS:
        x = feature_array("x", x_of(kind))
        rows = loaded_rows(Rows(x_of(kind)))
        assert (rows.shape, rows.nbytes) == (x.shape, x.nbytes)
        assert rows.dtype == torch.from_numpy(x).dtype
