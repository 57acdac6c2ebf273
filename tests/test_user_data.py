"""Data from a function of the user's own: what it may return, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tunecli.data import user_code
from tunecli.data.dataset import Dataset
from tunecli.data.sources import load
from tunecli.data.workspace import Workspace
from tunecli.errors import DataError, UserCodeError
from tunecli.study_file.settings import DataSettings
from tunecli.study_file.user_code import AllowedCode

CODE = """
import numpy as np
import torch

X = np.arange(60.0).reshape(20, 3) ** 2
Y = np.arange(20) % 2

def pair(n=20): return X[:n], Y[:n]
def tensors(): return torch.from_numpy(X), torch.from_numpy(Y)
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
"""


@pytest.fixture(autouse=True)
def _permitted(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "own.py").write_text(CODE)
    user_code.permit(AllowedCode.of(tmp_path, [str(tmp_path / "own.py")]))
    yield
    user_code.permit(AllowedCode(Path()))


def read(function: str, folder: Path, **arguments: object) -> Dataset:
    settings = DataSettings(source=f"own.py:{function}", arguments=arguments)
    return load(settings, Workspace(folder))


@pytest.mark.parametrize("function", ["pair", "tensors", "mapping", "four", "rows"])
def test_every_form_gives_the_same_rows(function: str, tmp_path: Path) -> None:
    dataset = read(function, tmp_path)
    assert np.array_equal(dataset.x.numpy(), np.arange(60.0).reshape(20, 3) ** 2)
    assert dataset.y.tolist() == [0, 1] * 10
    assert dataset.task == "classification"
    assert dataset.given == (("test",) if function == "four" else ())


def test_arguments_reach_the_function(tmp_path: Path) -> None:
    assert len(read("pair", tmp_path, n=8).y) == 8


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("number", UserCodeError, r"must return \(x, y\), .* but returned int"),
        ("three", UserCodeError, "but returned tuple"),
        ("raises", UserCodeError, r"NameError: .*undefined.* \(own.py, line "),
        ("short", DataError, "20 rows of features, but 19 targets"),
        ("missing", UserCodeError, "missing is not there in own.py"),
    ],
)
def test_what_is_no_data_is_told(
    function: str, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        read(function, tmp_path)
