from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3))
Y = RANDOM.integers(0, 2, 40)
PICTURES = RANDOM.integers(0, 256, (40, 1, 8, 8), np.uint8)


def read(folder: Path, source: str, **settings: Any) -> Dataset:
    return load_dataset(DataSettings(source=source, **settings), Workspace(folder))


def test_an_archive_of_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", X=X, y=Y)
    dataset = read(tmp_path, "d.npz")
    assert np.array_equal(dataset.x.numpy(), X)
    assert np.array_equal(dataset.y.numpy(), Y)
    assert (dataset.task, dataset.classes) == ("classification", ("0", "1"))
    assert [column.name for column in dataset.columns] == ["x[0]", "x[1]", "x[2]"]
    assert dataset.given == ()


@pytest.mark.parametrize("source", ["d.npz", "x.npy", "train_x.npy", "d.pt", "pair.pt"])
def test_every_form_holds_the_same(tmp_path: Path, source: str) -> None:
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    np.save(tmp_path / "train_x.npy", X)
    np.save(tmp_path / "train_y.npy", Y)
    torch.save({"x": torch.tensor(X), "y": torch.tensor(Y)}, tmp_path / "d.pt")
    torch.save((torch.tensor(X), torch.tensor(Y)), tmp_path / "pair.pt")
    assert read(tmp_path, source).fingerprint == read(tmp_path, "d.npz").fingerprint


def test_a_test_of_its_own_is_put_away_unless_a_share_is_given(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=X, y=Y, x_test=X[:5] + 1, y_test=Y[:5])
    dataset = read(tmp_path, "d.npz")
    assert dataset.given == ("test",)
    assert dataset.given_test is not None
    assert dataset.given_test.tolist() == [40, 41, 42, 43, 44]
    assert np.array_equal(dataset.x[40:].numpy(), X[:5] + 1)
    assert len(read(tmp_path, "d.npz", test=0.3).y) == 40


def test_a_test_of_another_number_type_means_the_same(tmp_path: Path) -> None:
    whole = (X * 10).round()
    for x, x_test in ((X, X.astype(np.float32)), (whole, whole.astype(np.int8))):
        np.savez(tmp_path / "d.npz", x=x, y=Y, x_test=x_test, y_test=Y)
        assert torch.equal(read(tmp_path, "d.npz").x[40:], torch.tensor(x_test).double())


def test_pairs_find_their_test_beside_them_or_where_it_is_named(tmp_path: Path) -> None:
    for name in ("x", "x_test", "other_x"):
        np.save(tmp_path / f"{name}.npy", X[:20])
        np.save(tmp_path / f"{name.replace('x', 'y')}.npy", Y[:20])
    assert read(tmp_path, "x.npy").given == ("test",)
    assert read(tmp_path, "other_x.npy").given == ()
    assert read(tmp_path, "other_x.npy", test="x_test.npy").given == ("test",)
    assert len(read(tmp_path, "x.npy", target="other_y.npy", test=0.0).y) == 20


@pytest.mark.parametrize("names", ["X.NPY Y.NPY", "X.NPY y.NPY", "X_a.npy Y_a.npy", "d.NPZ"])
def test_names_may_be_in_capitals(tmp_path: Path, names: str) -> None:
    first, *second = names.split()
    with (tmp_path / first).open("wb") as file:
        np.save(file, X) if second else np.savez(file, x=X, y=Y)
    for name in second:
        with (tmp_path / name).open("wb") as file:
            np.save(file, Y)
    assert np.array_equal(read(tmp_path, first).y.numpy(), Y)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((20, 8, 8), np.uint8, torch.uint8),
        ((20, 3, 8, 8), np.float64, torch.float32),
        ((20, 1, 8, 8), np.int64, torch.int64),
    ],
)
def test_pictures_keep_their_shape(
    tmp_path: Path, shape: tuple[int, ...], dtype: Any, expected: torch.dtype
) -> None:
    x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(20) % 2)
    dataset = read(tmp_path, "d.npz")
    assert dataset.x.dtype == expected
    assert dataset.x.ndim == 4
    assert dataset.columns == ()


def test_numbers_may_be_missing_and_all_columns_stay(tmp_path: Path) -> None:
    x = np.column_stack([np.ones(40), X, X[:, 0], np.full(40, np.nan)])
    x[3, 2] = np.nan
    np.savez(tmp_path / "d.npz", x=x, y=RANDOM.normal(size=40))
    dataset = read(tmp_path, "d.npz")
    assert dataset.task == "regression"
    assert np.array_equal(dataset.x.numpy(), x, equal_nan=True)
    assert [column.name for column in dataset.columns] == [f"x[{i}]" for i in range(6)]
    assert not dataset.notes


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64, np.int64])
def test_whole_numbers_stay_whole_to_the_last_digit(tmp_path: Path, dtype: Any) -> None:
    x = RANDOM.integers(0, 100, (40, 3)).astype(dtype)
    x[:4, 1] = np.iinfo(dtype).max // 2 - np.arange(4)
    x[:, 0] = 1
    np.savez(tmp_path / "d.npz", x=x, y=Y)
    found = read(tmp_path, "d.npz").x
    assert found.dtype == torch.int64
    assert np.array_equal(found.numpy(), x.astype(np.int64))


def test_whole_numbers_beyond_64_bits_are_refused(tmp_path: Path) -> None:
    x = np.zeros((40, 2), np.uint64)
    x[7, 1] = 2**63
    np.savez(tmp_path / "d.npz", x=x, y=Y)
    with pytest.raises(DataError, match="beyond 9,223,372,036,854,775,807 in row 7"):
        read(tmp_path, "d.npz")


def test_pictures_in_64_bits_keep_what_32_would_lose(tmp_path: Path) -> None:
    for pictures, expected in ((PICTURES / 4, torch.float32), (PICTURES + 1e9, torch.float64)):
        np.savez(tmp_path / "d.npz", x=pictures, y=Y)
        found = read(tmp_path, "d.npz").x
        assert found.dtype == expected
        assert np.array_equal(found.numpy(), pictures)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "d.npz has no array 'y'; it contains `x`."),
        ({"x": X, "y": Y[:9]}, "d.npz has 40 rows of features, but 9 targets."),
        ({"x": X[0], "y": Y}, "must be (rows, features) or (rows, channels, height, width), but"),
        ({"x": X.astype(str), "y": Y}, "the features of d.npz must be numbers, but are <U"),
        (
            {"x": X, "y": X},
            "the targets of d.npz must be one number or text per row, but are 40 × 3",
        ),
        ({"x": X, "y": Y * 0}, "data.target: the target 'y' is '0' in all rows"),
        ({"x": X + np.inf, "y": Y}, "the features of d.npz are not finite in row 0."),
        ({"x": X * 0, "y": Y}, "all features of d.npz are constant."),
        (
            {"x": X, "y": Y, "x_test": X[:, :2], "y_test": Y},
            "the test set of d.npz has rows of shape (2,), but the training rows have (3,).",
        ),
        (
            {"x": PICTURES, "y": Y, "x_test": (PICTURES / 255).astype(np.float32), "y_test": Y},
            "the test set of d.npz has pictures of float32, but the training pictures are uint8.",
        ),
        (
            {"x": PICTURES / 255, "y": Y, "x_test": PICTURES, "y_test": Y},
            "the test set of d.npz has pictures of uint8, but the training pictures are float64.",
        ),
        (
            {"x": X, "y": Y, "x_test": X[:3], "y_test": np.array([0, 1, 7])},
            "data.test: row 2 of the test set of d.npz has class '7', which no training row has",
        ),
    ],
)
def test_what_is_no_data_is_told(
    tmp_path: Path, arrays: dict[str, np.ndarray[Any, Any]], message: str
) -> None:
    np.savez(tmp_path / "d.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=re.escape(message)):
        read(tmp_path, "d.npz")


def saved(file: Path) -> None:
    """A right file of the kind that its name says."""
    if file.suffix == ".pt":
        torch.save({"x": torch.tensor(X), "y": torch.tensor(Y)}, file)
    elif file.suffix == ".npz":
        np.savez(file, x=X, y=Y)
    else:
        np.save(file, X)


@pytest.mark.parametrize("name", ["d.npz", "x.npy", "d.pt"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty."),
        (b"nothing of the kind", "is text, not {kind}; a table must be named .csv."),
        (b"a,b,y\n1,2,3\n", "is text, not {kind}; a table must be named .csv."),
        (bytes(range(256)) * 4, "is not a {kind} file of plain arrays, or is damaged."),
        (bytes(1000), "is not a {kind} file of plain arrays, or is damaged."),
        (b"\x80\x04\x95", "is not a {kind} file of plain arrays, or is damaged."),
        (0.5, "is not a {kind} file of plain arrays, or is damaged."),
        (0.99, "is not a {kind} file of plain arrays, or is damaged."),
    ],
)
def test_what_is_no_file_of_arrays_is_told(
    tmp_path: Path, name: str, content: bytes | float, told: str
) -> None:
    file = tmp_path / name
    np.save(tmp_path / "y.npy", Y)
    saved(file)
    whole = file.read_bytes()
    file.write_bytes(content if isinstance(content, bytes) else whole[: int(len(whole) * content)])
    with pytest.raises(DataError) as caught:
        read(tmp_path, name)
    expected = f"data.source: {name} {told.format(kind=file.suffix)} Write it with "
    assert str(caught.value).startswith(expected)
    assert repr(name) in str(caught.value).removeprefix(expected)


def test_a_file_of_another_kind_than_its_name_says(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", Y)
    saved(tmp_path / "d.npz")
    (tmp_path / "d.npz").rename(tmp_path / "x.npy")
    with pytest.raises(
        DataError, match=r"x.npy is not a .npy file of plain arrays, or is damaged"
    ):
        read(tmp_path, "x.npy")
    (tmp_path / "y.npy").rename(tmp_path / "d.npz")
    torch.save(torch.tensor(X), tmp_path / "d.pt")
    for name, kind in (("d.npz", "ndarray"), ("d.pt", "Tensor")):
        with pytest.raises(
            DataError, match=rf"{name} must contain arrays by name.* contains one {kind}"
        ):
            read(tmp_path, name)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float16])
def test_types_that_numpy_lacks_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    x = torch.tensor(X).to(dtype)
    torch.save({"x": x, "y": torch.tensor(Y)}, tmp_path / "d.pt")
    assert torch.equal(read(tmp_path, "d.pt").x, x.double())


def test_tensors_that_were_trained_or_conjugated_are_numbers_too(tmp_path: Path) -> None:
    x = torch.tensor(X, requires_grad=True)
    torch.save({"x": x, "y": torch.tensor(Y)}, tmp_path / "d.pt")
    assert torch.equal(read(tmp_path, "d.pt").x, x.detach())
    torch.save({"x": x.detach().cfloat().conj(), "y": torch.tensor(Y)}, tmp_path / "d.pt")
    with pytest.raises(DataError, match=r"features of d.pt must be numbers, but are complex64"):
        read(tmp_path, "d.pt")


@pytest.mark.parametrize("make", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr])
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_sparse_tensors_are_refused(tmp_path: Path, make: Callable[[Tensor], Tensor]) -> None:
    torch.save({"x": make(torch.tensor(X)), "y": torch.tensor(Y)}, tmp_path / "d.pt")
    with pytest.raises(
        DataError, match=r"data.source: x in d.pt: a sparse tensor is not a plain ar"
    ):
        read(tmp_path, "d.pt")


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.array([{}, {}], dtype=object), y=Y)
    torch.save({"x": Path("x"), "y": Y}, tmp_path / "d.pt")
    for name in ("d.npz", "d.pt"):
        with pytest.raises(DataError, match=f"{name} is not a .* of plain arrays"):
            read(tmp_path, name)


def test_features_are_not_taken_for_their_own_targets(tmp_path: Path) -> None:
    np.save(tmp_path / "alone.npy", Y)
    told = r"data.target: alone.npy contains only features. .* Set data.target to the file"
    with pytest.raises(DataError, match=told):
        read(tmp_path, "alone.npy")
    np.save(tmp_path / "alone.npy", X)
    np.save(tmp_path / "y.npy", Y)
    np.save(tmp_path / "alone_test.npy", X)
    assert len(read(tmp_path, "alone.npy", target="y.npy").y) == 40
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(
        DataError, match=r"data.test: alone.npy .* Rename alone.npy to alone_x.npy"
    ):
        read(tmp_path, "x.npy", test="alone.npy")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(
        DataError, match=r"data.target: file 'y.npy' does not exist \(looked for at"
    ):
        read(tmp_path, "x.npy")
    with pytest.raises(
        DataError, match=r"data.source: file 'd.npz' does not exist \(looked for at"
    ):
        read(tmp_path, "d.npz")


def test_pictures_that_show_nothing_are_counted_or_refused(tmp_path: Path) -> None:
    flat = PICTURES.copy()
    flat[3], flat[5] = 0, 7
    np.savez(tmp_path / "d.npz", x=flat, y=Y)
    assert read(tmp_path, "d.npz").notes == (
        "2 of 40 pictures show a single colour (1 of them black), such as row 3.",
    )
    for x in (flat[[3] * 40], flat[[3] * 40] / 255):
        np.savez(tmp_path / "d.npz", x=x, y=Y)
        with pytest.raises(
            DataError, match="all 40 pictures are identical and black, so there is"
        ):
            read(tmp_path, "d.npz")
