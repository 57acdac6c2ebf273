"""Data from a function of the user's own: what it may return, and what is said of the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from commands import call_in, table
from hypothesis import given
from hypothesis import strategies as st

from tunecli.data.arrays import user_data
from tunecli.data.arrays.user_data import is_read_whole
from tunecli.data.rows import streamed_rows
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.user_code import import_user_code
from tunecli.errors import DataError, UserCodeError
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.settings.settings import DataSettings

CODE = """
import numpy as np
import torch

X = np.arange(60.0).reshape(20, 3) ** 2
Y = np.arange(20) % 2

def pair(n=20): return X[:n], Y[:n]
def tensors(): return torch.from_numpy(X), torch.from_numpy(Y)
def sparse(): return torch.from_numpy(X).to_sparse(), Y
def brain(): return torch.from_numpy(X).bfloat16(), Y
def mapping(): return {"X": X, "y": Y}
def four(): return X[:15], Y[:15], X[15:], Y[15:]
def three(): return X, Y, Y
def number(): return 3
def raises(): return X / undefined
def short(): return X, Y[:-1]

class Rows(torch.utils.data.Dataset):
    def __len__(self): return 20
    def __getitem__(self, row): return torch.from_numpy(X[row]), int(Y[row])

def rows(): return Rows()

class Listed(Rows):
    def __init__(self, targets): self.targets = targets
    def __getitem__(self, row):
        if row not in (0, 6, 13, 19): raise RuntimeError("all items were read")
        return super().__getitem__(row)

def listed(): return Listed(Y.tolist())
def changed(n): return Other(n)

class Other(Rows):
    def __init__(self, n): self.n = n
    def __len__(self): return 20 + self.n % 2
    def __getitem__(self, row):
        x, y = super().__getitem__(row % 20)
        return x + (self.n == 2), 1 - y if self.n == 4 else y

def unlike():
    dataset = Rows()
    dataset.targets = (1 - Y).tolist()
    return dataset

import pandas as pd
FRAME = pd.DataFrame({"a": X[:, 0], "b": [True, False] * 10})
def holes(): return FRAME.assign(c=pd.array([1, None] * 10, dtype="Int64")), Y
def texts(): return FRAME.assign(c="red"), Y
def days(): return FRAME.assign(c=pd.Timestamp("2026-01-31")), Y
def ids(): return FRAME.assign(c=np.arange(20) + 10**17), Y
"""


@pytest.fixture(autouse=True)
def _permitted(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "own.py").write_text(CODE)
    import_user_code.permit(AllowedCode.of(tmp_path, [str(tmp_path / "own.py")]))
    yield
    import_user_code.permit(AllowedCode(Path()))


def read(
    function: str,
    folder: Path,
    in_memory: bool | Literal["auto"] = "auto",
    cache: Path | None = None,
    **arguments: object,
) -> Dataset:
    settings = DataSettings(source=f"own.py:{function}", arguments=arguments, in_memory=in_memory)
    code = AllowedCode.of(folder, [str(folder / "own.py")])
    return load_dataset(settings, Workspace(folder, cache, code))


@pytest.mark.parametrize("function", ["pair", "tensors", "mapping", "four", "rows"])
def test_every_form_gives_the_same_rows(function: str, tmp_path: Path) -> None:
    dataset = read(function, tmp_path)
    assert np.array_equal(dataset.x.numpy(), np.arange(60.0).reshape(20, 3) ** 2)
    assert dataset.y.tolist() == [0, 1] * 10
    assert dataset.task == "classification"
    assert dataset.given == (("test",) if function == "four" else ())


def test_arguments_reach_the_function(tmp_path: Path) -> None:
    assert len(read("pair", tmp_path, n=8).y) == 8


def test_brain_floats_are_numbers(tmp_path: Path) -> None:
    expected = torch.from_numpy(np.arange(60.0).reshape(20, 3) ** 2).bfloat16().double()
    assert torch.equal(read("brain", tmp_path).x, expected)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("number", UserCodeError, r"must return \(x, y\), .* but returned int"),
        ("three", UserCodeError, "but returned tuple"),
        ("raises", UserCodeError, r"NameError: .*undefined.* \(own.py, line "),
        (
            "sparse",
            UserCodeError,
            "own.py:sparse: ValueError: a sparse tensor is not a plain array.",
        ),
        ("short", DataError, "20 rows of features, but 19 targets"),
        ("missing", UserCodeError, "missing does not exist in own.py"),
    ],
)
def test_what_is_no_data_is_told(
    function: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        read(function, tmp_path)


@given(st.integers(0, 2**50), st.integers(1, 2**50))
def test_a_set_is_read_whole_if_eight_of_them_fit(n_bytes: int, n_memory: int) -> None:
    assert is_read_whole(n_bytes, "auto", n_memory) == (8 * n_bytes <= n_memory)
    assert is_read_whole(n_bytes, True, n_memory)
    assert not is_read_whole(n_bytes, False, n_memory)


def test_what_is_loaded_batch_by_batch_is_the_same_data(tmp_path: Path) -> None:
    whole, there = read("rows", tmp_path), read("rows", tmp_path, in_memory=False)
    assert isinstance(there.x, LoadedRows)
    assert torch.equal(next(there.x.batches(torch.arange(20), [20])), whole.x)
    assert torch.equal(there.y, whole.y)
    same = ("name", "task", "classes", "target", "shape", "x_bytes")
    assert [getattr(there, n) for n in same] == [getattr(whole, n) for n in same]
    assert there.columns == ()


def test_the_choice_is_told_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_whole = "own.py:rows is read into memory: it needs 0.0 MiB, at most an eighth of this"
    assert read("rows", tmp_path).notes[-1].startswith(read_whole)
    monkeypatch.setattr(user_data, "main_memory", lambda: 8 * 20 * 3 * 8)
    assert isinstance(read("rows", tmp_path).x, torch.Tensor)
    monkeypatch.setattr(user_data, "main_memory", lambda: 8 * 20 * 3 * 8 - 1)
    monkeypatch.setattr(user_data, "n_loaders", lambda: 2)
    dataset = read("rows", tmp_path)
    assert isinstance(dataset.x, LoadedRows)
    assert dataset.notes[-1].startswith(
        "own.py:rows is loaded batch by batch by 2 loader processes per worker: it needs "
        "0.0 MiB, more than an eighth of this machine's 0.0 MiB of memory."
    )
    assert read("rows", tmp_path, in_memory=True).notes[-1].endswith("as set by data.in_memory.")


def test_more_than_the_memory_is_not_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunecli.data.arrays.user_data.main_memory", lambda: 100)
    with pytest.raises(DataError, match=r"own.py:rows needs .*, but this machine has") as told:
        read("rows", tmp_path, in_memory=True)
    assert told.value.setting == "data.in_memory"


def test_listed_targets_are_used_where_they_are_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamed_rows, "SAMPLE", 4)
    assert read("listed", tmp_path, in_memory=False).y.tolist() == [0, 1] * 10
    assert read("unlike", tmp_path, in_memory=False).y.tolist() == [0, 1] * 10


def test_targets_are_read_once_for_all_processes(tmp_path: Path) -> None:
    found = [read("rows", tmp_path, in_memory=False, cache=tmp_path / "c") for _ in range(2)]
    assert found[0].fingerprint == found[1].fingerprint
    assert torch.equal(found[0].y, found[1].y)
    assert len(list((tmp_path / "c").glob("targets-*"))) == 1


def test_the_fingerprint_notices_features_targets_and_number(tmp_path: Path) -> None:
    found = {read("changed", tmp_path, in_memory=False, n=n).fingerprint for n in (0, 1, 2, 4)}
    assert len(found) == 4


def test_only_a_torch_data_set_can_stay_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"in_memory: false needs a torch Dataset, but own.py:pa"):
        read("pair", tmp_path, in_memory=False)


DIGITS = """
import torch
from sklearn.datasets import load_digits

class Digits(torch.utils.data.Dataset):
    def __init__(self):
        self.digits = load_digits()

    def __len__(self): return 400

    def __getitem__(self, row):
        pixels = torch.from_numpy(self.digits.images[row] * 15).byte()
        return pixels.roll(int(torch.randint(2, ())), -1), int(self.digits.target[row])

def load(): return Digits()
"""

STUDY = """
data: {{source: "digits.py:load", in_memory: {in_memory}}}
model: CNN
optimizer: {{AdamW: {{lr: {{float: [1e-3, 1e-2], log: true}}}}}}
validation: {{folds: 2}}
training: {{epochs: {epochs}}}
search: {{trials: 3}}
"""


@pytest.mark.slow
def test_a_search_on_what_is_loaded_is_exact_and_shows_it(tmp_path: Path) -> None:
    """Items draw, so each epoch differs; one job or two, the table is the same."""
    (tmp_path / "digits.py").write_text(DIGITS)
    for name, jobs in (("one", "1"), ("two", "2")):
        (tmp_path / f"{name}.yaml").write_text(STUDY.format(in_memory="false", epochs=2))
        done = call_in(tmp_path, "search", f"{name}.yaml", "--code", "digits.py", "--jobs", jobs)
        told = " ".join(done.stderr.split())
        assert "digits.py:load is loaded batch by batch by" in told
        assert "as set by data.in_memory" in told
    tables = [table(tmp_path / "runs" / name / "study.db") for name in ("one", "two")]
    assert tables[0] == tables[1]
    assert len({row[7] for row in tables[0]}) > 1
    again = call_in(tmp_path, "search", "one.yaml")
    assert "3 of 3 trials done" in again.stderr
    changed = STUDY.format(in_memory="true", epochs=2)
    (tmp_path / "one.yaml").write_text(changed)
    refused = call_in(tmp_path, "search", "one.yaml", code=2)
    assert "data.in_memory" in refused.stderr


def test_a_frame_of_numbers_of_several_types_is_numbers(tmp_path: Path) -> None:
    dataset = read("holes", tmp_path)
    assert [column.name for column in dataset.columns] == ["a", "b", "c"]
    assert dataset.x[:2, 1:].nan_to_num(-1).tolist() == [[1, 1], [0, -1]]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("texts", "column 'c' of own.py:texts has str cells, but a function must return numbers."),
        ("days", "column 'c' of own.py:days has datetime64"),
        ("ids", "has whole numbers beyond 2^53, such as 100000000000000000 in row 0, and float64"),
    ],
)
def test_a_frame_that_is_no_numbers_is_refused_with_its_column(
    function: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        read(function, tmp_path)
