from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from picture_files import make_folders

from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.splits.split import Split, copy_notes, split
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings

FOLDS = {"folds": 4}
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3)).round(6)
Y = RANDOM.normal(size=40).round(6)


def notes(folder: Path, validation: dict[str, Any], **settings: Any) -> list[str]:
    asked = ValidationSettings(**validation)
    data = DataSettings(**settings)
    dataset = load_dataset(data, Workspace(folder), asked)
    found = copy_notes(dataset, split(dataset, data, asked))
    assert not any("cop" in note for note in dataset.notes)
    return found


def table(file: Path, rows: list[int], **columns: list[Any]) -> None:
    """Some rows of the numbers; those that stand twice are copies."""
    header = ["a", "b", "c", "y", *columns]
    lines = [
        [*X[row], Y[row], *(cells[i] for cells in columns.values())] for i, row in enumerate(rows)
    ]
    file.write_text("\n".join(",".join(map(str, line)) for line in [header, *lines]))


ROWS = [*range(40), 1, 2, 3]
"""Copies of three rows at the end."""


def test_copies_that_stay_together_are_told(tmp_path: Path) -> None:
    table(tmp_path / "t.csv", ROWS)
    for validation in (FOLDS, {"holdout": 0.3}):
        assert notes(tmp_path, validation, source="t.csv", target="y") == [
            "3 rows are copies of other rows, target included; copies stay together in every "
            "split."
        ]
    table(tmp_path / "t.csv", ROWS[:41])
    (told,) = notes(tmp_path, FOLDS, source="t.csv", target="y")
    assert told.startswith("1 row is a copy of other rows, target included; copies stay")
    table(tmp_path / "t.csv", ROWS[:40])
    assert notes(tmp_path, FOLDS, source="t.csv", target="y") == []


BOTH = "in the {} data, so the scores will be better than on new data."
IN_VALID = BOTH.format("training")
IN_TEST = BOTH.format("search")


def test_given_rows_that_are_judged_after_copies_of_them_are_counted(tmp_path: Path) -> None:
    told = "3 rows are copies of other rows, target included."
    table(tmp_path / "t.csv", ROWS, part=["train"] * 40 + ["valid"] * 3)
    asked = {"source": "t.csv", "target": "y", "test": 0.0}
    assert notes(tmp_path, {"column": "part"}, **asked) == [
        told,
        f"3 validation rows have copies {IN_VALID}",
    ]
    table(tmp_path / "t.csv", ROWS[:40])
    table(tmp_path / "u.csv", [1, 2, 3])
    assert notes(tmp_path, {"file": "u.csv"}, **asked)[1:] == [
        f"3 validation rows have copies {IN_VALID}"
    ]
    assert notes(tmp_path, FOLDS, **asked | {"test": "u.csv"}) == [
        told,
        f"3 test rows have copies {IN_TEST}",
    ]


def test_in_numbered_folds_a_row_counts_once(tmp_path: Path) -> None:
    table(tmp_path / "t.csv", ROWS, part=[i % 4 for i in range(41)] + [2, 3])
    found = notes(tmp_path, {"column": "part"}, source="t.csv", target="y", test=0.0)
    assert found[1:] == [f"2 validation rows have copies {IN_VALID}"]  # 1 and 40, apart


def test_copies_in_two_groups_or_at_two_times_are_told(tmp_path: Path) -> None:
    groups = [i // 4 for i in range(40)] + [9, 9, 9]
    table(tmp_path / "t.csv", ROWS, g=groups, t=[*range(40), 50, 51, 52])
    asked = {"source": "t.csv", "target": "y", "test": 0.0}
    found = notes(tmp_path, FOLDS, **asked, group="g", drop=["t"])
    assert found[0] == "3 rows are copies of other rows, target included."
    assert found[1].endswith(IN_VALID)
    found = notes(tmp_path, {"holdout": 0.2}, **asked, time="t", drop=["g"])
    assert found[1:] == [f"3 validation rows have copies {IN_VALID}"]
    found = notes(tmp_path, {"holdout": 0.2}, **asked | {"test": 0.2}, time="t", drop=["g"])
    assert found[1:] == [f"3 test rows have copies {IN_TEST}"]


@pytest.mark.parametrize("shape", [(43, 3), (43, 1, 2, 2)])
def test_copies_among_arrays_are_told(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = RANDOM.normal(size=shape).astype(np.float32)
    y = RANDOM.normal(size=len(x))
    x[40:], y[40:] = x[1:4], y[1:4]
    what = "rows" if x.ndim == 2 else "pictures"
    np.savez(tmp_path / "d.npz", x=x, y=y)
    assert notes(tmp_path, FOLDS, source="d.npz") == [
        f"3 {what} are copies of other {what}, target included; copies stay together in every "
        "split."
    ]
    np.savez(tmp_path / "d.npz", x=x[:40], y=y[:40], x_test=x[40:], y_test=y[40:])
    told = notes(tmp_path, FOLDS, source="d.npz")
    assert told[1:] == [f"3 test {what} have copies {IN_TEST}"]


def test_copies_among_pictures_are_told(tmp_path: Path) -> None:
    make_folders(tmp_path / "set", {"train": [8, 8], "val": [1, 1], "test": [1, 1]})
    name = "class1/000.png"
    shutil.copy(tmp_path / "set/train" / name, tmp_path / "set/val/class1/copy.png")
    shutil.copy(tmp_path / "set/train" / name, tmp_path / "set/test/class1/copy.png")
    assert notes(tmp_path, {}, source="set/") == [
        "2 pictures are copies of other pictures, target included.",
        f"1 validation picture has a copy {IN_VALID}",
        f"1 test picture has a copy {IN_TEST}",
    ]


def test_what_is_told_is_what_the_split_does() -> None:
    dataset = load_dataset(DataSettings(source="iris"))  # two of its rows are equal
    assert dataset.copies is not None
    one, other = (dataset.copies == int(dataset.copies.bincount().argmax())).nonzero().flatten()
    others = torch.tensor([row for row in range(150) if row not in (one, other)])
    apart = Split(torch.arange(150), others[:0], ((torch.cat([others, one[None]]), other[None]),))
    assert copy_notes(dataset, apart)[1:] == [f"1 validation row has a copy {IN_VALID}"]
