from __future__ import annotations

import gzip
import os
import pickle
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from tunecli.data.cache import cached_datasets
from tunecli.data.rows.dataset import Column, Dataset
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.tables import tables
from tunecli.data.tables.table_rows import table_blocks
from tunecli.errors import DataError, DataMistakesError, StudyFileError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.study_file import StudyFile


def read(
    folder: Path,
    text: str | bytes,
    name: str = "t.csv",
    validation: ValidationSettings | None = None,
    **settings: Any,
) -> Dataset:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    data = DataSettings(**{"source": name, "target": "y", **settings})
    return load_dataset(data, Workspace(folder), validation)


def rows(*lines: str, header: str = "a,b,y") -> str:
    return "\n".join([header, *lines]) + "\n"


def numbered(n: int = 40, header: str = "a,b,y", line: str = "{i},{j},{k}") -> str:
    """Rows with a number, another one, and one of two classes that nothing predicts."""
    random = np.random.default_rng(0)
    values = zip(range(n), random.permutation(n), random.integers(0, 2, n), strict=True)
    return rows(
        *(line.format(i=i, j=j, k="no yes".split()[k]) for i, j, k in values), header=header
    )


def test_numbers_categories_and_holes_are_told_by_the_cells(tmp_path: Path) -> None:
    text = rows("1,red,no", ",blue,yes", "2.5,,no", "4,red,yes", "4,None,no")
    dataset = read(tmp_path, text)
    assert [(c.name, c.kind, c.categories) for c in dataset.columns] == [
        ("a", "numeric", ()),
        ("b", "categorical", ("None", "blue", "red")),
    ]
    expected = [[1, 2], [np.nan, 1], [2.5, np.nan], [4, 2], [4, 0]]
    assert np.array_equal(dataset.x.numpy(), expected, equal_nan=True)
    assert (dataset.task, dataset.classes) == ("classification", ("no", "yes"))
    assert dataset.y.tolist() == [0, 1, 0, 1, 0]
    assert dataset.target == "y, 2 classes (text)"


def test_cells_are_missing_if_the_file_says_so(tmp_path: Path) -> None:
    text = rows("1,red,no", "?,None,yes", "-9,blue,no", "3,blue,no", "?,red,yes")
    dataset = read(tmp_path, text, missing=["?", "None", -9])
    assert np.array_equal(dataset.x[:, 0].numpy(), [1, np.nan, np.nan, 3, np.nan], equal_nan=True)
    assert dataset.columns[1].categories == ("blue", "red")


@pytest.mark.parametrize(
    ("name", "separator"), [("t.csv", ";"), ("t.tsv", "\t"), ("t.csv.gz", ","), ("t.csv", "|")]
)
def test_separators_and_compression(tmp_path: Path, name: str, separator: str) -> None:
    text = numbered().replace(",", separator).encode("utf-8-sig")
    dataset = read(tmp_path, gzip.compress(text) if name.endswith("gz") else text, name)
    assert [column.name for column in dataset.columns] == ["a", "b"]
    assert len(dataset.y) == 40


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "a": [1.5, None, 3, 4],
            "b": pd.Categorical(["x", "y", None, "x"]),
            "c": pd.array([1, None, 3, 3], dtype="Int64"),
            "d": pd.to_datetime(["2026-01-01", "2026-01-02", None, "2026-01-03"]),
            "e": [True, False, False, True],
            "y": ["no", "yes", "yes", "no"],
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    dataset = load_dataset(DataSettings(source="t.parquet", target="y"), Workspace(tmp_path))
    assert [c.source for c in dataset.columns if c.is_first] == ["a", "b", "c", "d", "e"]
    assert [c.name for c in dataset.columns if c.categories] == ["b"]
    x = dataset.x[:, [c.is_first for c in dataset.columns]].numpy()
    assert np.array_equal(x[:, 2], [1, np.nan, 3, 3], equal_nan=True)
    assert x[1, 3] - x[0, 3] == 86400
    assert x[:, 4].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("cells", "task", "kind", "words"),
    [
        ("12321", None, "classification", "y, 3 classes (few whole numbers)"),
        ("12321", "regression", "regression", "y, numbers (set by task)"),
        (range(40), None, "regression", "y, numbers (40 distinct values)"),
        ([0.5, 1.5], None, "regression", "y, numbers (2 distinct values)"),
        (["1.0", "2.0"], None, "classification", "y, 2 classes (few whole numbers)"),
        (["True", "False"], None, "classification", "y, 2 classes (text)"),
        ([0.5, 1.5], "classification", "classification", "y, 2 classes (set by task)"),
    ],
)
def test_the_task_is_told_by_the_target(
    tmp_path: Path, cells: Any, task: str | None, kind: str, words: str
) -> None:
    random = np.random.default_rng(0)
    lines = [f"{random.normal()},{i},{list(cells)[i % len(cells)]}" for i in range(40)]
    dataset = read(tmp_path, rows(*lines), task=task)
    assert (dataset.task, dataset.target) == (kind, words)


def test_classes_of_numbers_stand_in_their_order(tmp_path: Path) -> None:
    lines = [f"{i * 7 % 60},{[10, 9, 2][i % 3]}" for i in range(60)]
    dataset = read(tmp_path, rows(*lines, header="a,y"))
    assert dataset.classes == ("2", "9", "10")


def test_kinds_can_be_overridden(tmp_path: Path) -> None:
    lines = [f"{i % 3},{i},{'ab'[i // 2 % 2]}" for i in range(30)]
    dataset = read(tmp_path, rows(*lines), categorical="a")
    assert dataset.columns[0].categories == ("0", "1", "2")
    assert read(tmp_path, rows(*lines), drop=["a"]).columns[0].name == "b"


def test_columns_that_say_nothing_are_left_out_with_a_note(tmp_path: Path) -> None:
    text = numbered(60, "a,b,y,one,none,again,id,", "{i},{j},{k},7,,{i},name{i},{i}")
    dataset = read(tmp_path, text)
    assert [column.name for column in dataset.columns] == ["a", "b"]
    assert dataset.notes == (
        "Columns left out because nearly every row has a different text: `id`. To keep them, "
        "list them in categorical; to hide this note, list them in drop.",
        "Column `one` is constant and left out.",
        "Column `none` is empty and left out.",
        "Column 'again' is identical to 'a' and is left out.",
    )


@pytest.mark.parametrize(
    "leak",
    [
        lambda y, i: "yn"[y],
        lambda y, i: 100 * y + i,
        lambda y, i: -y,
    ],
)
def test_a_column_that_tells_the_target_is_suspected(tmp_path: Path, leak: Any) -> None:
    random = np.random.default_rng(1)
    y = random.integers(0, 2, 60)
    lines = [f"{random.normal()},{leak(y[i], i)},c{y[i]}" for i in range(60)]
    (note,) = read(tmp_path, rows(*lines)).notes
    assert note.startswith("Column `b` predicts the target perfectly.")


def test_a_number_that_rises_with_the_target_is_suspected(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    lines = [f"{random.normal()},{i**3},{-i / 7}" for i in range(60)]
    assert "Column `b` predicts the target" in read(tmp_path, rows(*lines)).notes[0]


def test_copies_are_counted_and_found(tmp_path: Path) -> None:
    text = numbered(40) + "0,19,no\n0,19,no\n"
    dataset = read(tmp_path, text)
    first = dataset.x[-1].tolist()
    own = [i for i in range(40) if dataset.x[i].tolist() == first and dataset.y[i] == 0]
    assert dataset.copies is not None
    assert dataset.copies[:40].tolist() == list(range(40))
    assert dataset.copies[40:].tolist() == [own[0] if own else 40] * 2


def test_so_many_copies_are_rows_like_any(tmp_path: Path) -> None:
    lines = [f"{i % 3},{i % 2},{'ab'[i // 6 % 2]}" for i in range(60)]
    dataset = read(tmp_path, rows(*lines))
    assert dataset.copies is None
    assert "48 rows are copies of other rows" in dataset.notes[-1]


def test_groups_and_times_are_no_features(tmp_path: Path) -> None:
    text = numbered(40, "a,b,y,g,t", "{i},{j},{k},p{j},2026-01-01 10:00:{i:02d}")
    grouped = read(tmp_path, text, group="g", drop="t")
    assert [column.name for column in grouped.columns] == ["a", "b"]
    assert grouped.groups is not None
    assert len(grouped.groups.unique()) == 40
    timed = read(tmp_path, text, time="t", drop="g")
    assert timed.times is not None
    assert timed.times.diff().tolist() == [1.0] * 39


@pytest.mark.parametrize(
    ("cells", "folds", "test"),
    [
        (["train", "valid", "test", "train"], [-1, 0, -1, -1], [2]),
        (["true", "false", "false", "true"], [0, -1, -1, 0], None),
        (["0", "1", "1", "0"], [-1, 0, 0, -1], None),
        (["1", "2", "2", "1"], [0, 1, 1, 0], None),
        (["7", "-1", "", "9"], [0, -1, -1, 1], None),
        (["north", "south", "south", "north"], [0, 1, 1, 0], None),
    ],
)
def test_a_column_numbers_the_folds_or_marks_the_rows(
    tmp_path: Path, cells: list[str], folds: list[int], test: list[int] | None
) -> None:
    text = rows(*(f"{i},{c},{'ab'[i % 2]}" for i, c in enumerate(cells)), header="a,f,y")
    dataset = read(tmp_path, text, validation=ValidationSettings(column="f"))
    assert dataset.given_folds is not None
    assert dataset.given_folds.tolist() == folds
    assert (None if dataset.given_test is None else dataset.given_test.tolist()) == test
    assert [column.name for column in dataset.columns] == ["a"]


def test_files_of_their_own_stand_behind_the_first(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("y,b,a\nyes,blue,1\nno,red,2\n")
    (tmp_path / "october.csv").write_text(rows("5,green,no"))
    text = rows("1,red,no", "2,blue,yes", "3,red,yes")
    validation = ValidationSettings(file="october.csv")
    dataset = read(tmp_path, text, test="test.csv", validation=validation)
    assert dataset.x[:, 0].tolist() == [1, 2, 3, 1, 2, 5]
    assert dataset.given == ("test", "validation")
    assert dataset.given_test is not None
    assert dataset.given_test.tolist() == [3, 4]
    assert dataset.given_folds is not None
    assert dataset.given_folds.tolist() == [-1] * 5 + [0]
    assert dataset.columns[1].categories == ("blue", "green", "red")


MANY = rows(*(f"{i},x{i % 3},{'ab'[i % 2]}" for i in range(100)))


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("", {}, "data.source: t.csv is empty."),
        ("a,b,y\n", {}, "data.source: t.csv has a header but no rows."),
        (
            MANY,
            {"target": "z"},
            "data.target: column 'z' does not exist in t.csv. There are `a`, `b` and `y`",
        ),
        (
            MANY.replace("a,b,y", "age,b,y"),
            {"drop": ["aeg"]},
            "data.drop: column 'aeg' does not exist in t.csv. Did you mean `age`?",
        ),
        (MANY, {"drop": ["y"]}, "data.drop: column 'y' is already listed in data.target."),
        (
            MANY,
            {"categorical": "a", "numeric": "a"},
            "data.numeric: column 'a' is already listed in data.categorical",
        ),
        (
            MANY.replace("\n7,", "\nseven,"),
            {},
            "column 'a' has numbers, but also 'seven' in row 8 of t.csv. Correct it, or write "
            "missing: ['seven'], or categorical: [a].",
        ),
        (
            MANY,
            {"numeric": "b"},
            "data.numeric: column 'b' has no numbers: 'x0' in row 1 of t.csv (and 99 more). "
            "Correct it, or write categorical: [b].",
        ),
        (
            MANY.replace(",b\n", ",a\n"),
            {},
            "data.target: the target 'y' is 'a' in all rows: there is",
        ),
        (
            MANY.replace("\n7,x1,b", "\n7,x1,"),
            {},
            "the target 'y' is empty in row 8 of t.csv. Fill in the value, or remove the row.",
        ),
        (rows("1,2,", "1,3,"), {}, "the target 'y' is empty in all rows."),
        (rows("1,2,3", "1,3,3"), {"task": "regression"}, "the target 'y' is 3 in all rows:"),
        (
            MANY,
            {"task": "regression"},
            "data.task: regression needs numbers, but the target 'y' has 'a' in row 1",
        ),
        (
            rows(*(f"{i},{i},n{i}" for i in range(50))),
            {},
            "50 different values in 50 rows: too many for classes.",
        ),
        (MANY.replace("a,b,y", "a,a,y"), {}, "has several columns named `a`. Give each"),
        (MANY.replace("\n7,x1,b", "\n7,x1,b,9,9"), {}, "has 3 columns, but line 9 has 5 cells."),
        (
            MANY.replace("x1", "\xe9").encode("latin-1"),
            {},
            "must be UTF-8, but byte 0xe9 in line 3 is not.",
        ),
        (MANY.replace("\n7,", "\ninf,"), {}, "column 'a' is infinite in row 8 of t.csv."),
        (
            rows("1,2,a", "1,2,b"),
            {},
            "data.source: no column is left for the features. Columns `a` and `b` are constant",
        ),
        (
            MANY.replace("x1", " x1"),
            {"drop": ["a", "b"]},
            "data.drop: no column is left for the features. Remove a column from drop "
            "(`a` and `b`).",
        ),
        (
            MANY,
            {"drop": "a", "group": "b"},
            "data.drop: no column is left for the features. Remove a column from drop (`a`).",
        ),
        (
            rows(*(f"{i},this is text {i},{'ab'[i % 2]}" for i in range(60))),
            {"drop": "a"},
            "data.source: no column is left for the features. Column of sentences, left out: `b`",
        ),
        (
            MANY,
            {"group": "a", "weights": "b"},
            "data.source: no column is left for the features. All columns are used by other "
            "settings. Add a column, or remove one of these settings.",
        ),
        (
            MANY.replace(",x", ",1.00"),
            {"time": "b", "decimal": ",", "thousands": "_", "numeric": ["a"]},
            "data.time: column 'b' has numbers, but also '1.000' in row 1 of t.csv (and 99 more).",
        ),
        (
            MANY.replace("\n7,x1,b", f"\n{10**400},x1,b"),
            {},
            "column 'a' is infinite in row 8 of t.csv.",
        ),
        (
            rows(*(f"{i},x{i % 3},{10**17 + i}" for i in range(100))),
            {},
            "data.target: the target 'y' has whole numbers beyond 2^53, such as 1000000000000000",
        ),
        (
            MANY,
            {"time": "b"},
            "column 'b' must hold dates or numbers, but row 1 of t.csv has 'x0'.",
        ),
        (
            MANY.replace(",x1,", ",,"),
            {"group": "b"},
            "the group column 'b' is empty in row 2 of t.csv and 32 more.",
        ),
        (
            MANY.replace("x1", "x0").replace("x2", "x0"),
            {"group": "b"},
            "column 'b' has only one group.",
        ),
        (MANY, {"source": "u.csv"}, "file 'u.csv' does not exist (looked for at "),
    ],
)
def test_what_is_wrong_is_told_with_row_column_and_a_way_out(
    tmp_path: Path, text: str | bytes, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        read(tmp_path, text, **settings)


def test_a_second_file_must_have_the_same_columns_and_rows_are_named_with_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "u.csv").write_text("a,y,c\n1,a,2\n")
    with pytest.raises(DataError, match=r"data.test: u.csv lacks `b` and also has `c`, unlike t"):
        read(tmp_path, MANY, test="u.csv")
    (tmp_path / "u.csv").write_text(rows("1,x1,a", "oh,x1,b"))
    with pytest.raises(DataError, match=r"but also 'oh' in row 2 of u.csv"):
        read(tmp_path, MANY, test="u.csv")


@pytest.mark.parametrize("setting", ["data.test", "validation.file"])
def test_a_class_that_only_the_rows_to_judge_by_have_is_refused(
    tmp_path: Path, setting: str
) -> None:
    (tmp_path / "u.csv").write_text(rows("1,x1,a", "2,x1,zzz", "3,x0,b", "4,x0,zzz"))
    asked = {"test": "u.csv"} if setting == "data.test" else {}
    validation = None if asked else ValidationSettings(file="u.csv")
    message = (
        f"{setting}: row 2 of u.csv has class 'zzz', but no training row in t.csv has it "
        "(2 rows have a class without training rows). Correct or remove the row, or add such "
        "rows to t.csv."
    )
    with pytest.raises(DataError, match=re.escape(message)):
        read(tmp_path, MANY, validation=validation, **asked)
    (tmp_path / "u.csv").write_text(rows("1,1,7", "2,1,8.5"))
    numbers = rows(*(f"{i % 9},{i % 4},{i}.5" for i in range(40)))
    assert len(read(tmp_path, numbers, validation=validation, **asked).y) == 42


def test_a_column_that_is_neither_folds_nor_marks_is_refused(tmp_path: Path) -> None:
    for text in (numbered(), numbered(line="{i},1,{k}"), numbered(line="{i},0,{k}")):
        with pytest.raises(DataError, match=r"validation.column: column 'b' must hold fold n"):
            read(tmp_path, text, validation=ValidationSettings(column="b"))


def test_no_parquet(tmp_path: Path) -> None:
    message = "t.parquet is not a Parquet file: it does not begin with PAR1. It is text: rename"
    with pytest.raises(DataError, match=re.escape(message)):
        read(tmp_path, "a,b,y\n", "t.parquet")


def test_texts_among_many_numbers_are_noted_if_they_are_various(tmp_path: Path) -> None:
    lines = [f"{'V' + str(i) if i < 12 else i % 40},{i},{'ab'[i * 7 % 5 % 2]}" for i in range(400)]
    dataset = read(tmp_path, rows(*lines))
    assert dataset.columns[0].kind == "categorical"
    assert dataset.notes[0].startswith(
        "Column 'a' has numbers in 97% of its cells and texts in others, such"
    )


def arrays_of(dataset: Dataset) -> list[NDArray[Any] | None]:
    found = (dataset.x, dataset.y, dataset.groups, dataset.copies, dataset.given_test)
    return [None if tensor is None else tensor.numpy() for tensor in found]


def test_a_table_from_the_cache_is_the_one_that_was_read_and_follows_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached_datasets, "SMALL", 0)
    file = tmp_path / "t.csv"
    file.write_text(numbered(40, "a,b,y,g", "{i},c{j},{k},{j}"))
    settings = DataSettings(source="t.csv", target="y", categorical=["b"], group="g")
    plain = load_dataset(settings, Workspace(tmp_path))
    workspace = Workspace(tmp_path, tmp_path / "cache")
    cold = load_dataset(settings, workspace)
    monkeypatch.setattr(tables, "_read", lambda *_: pytest.fail("it was read before"))
    warm = load_dataset(settings, workspace)
    for other in (cold, warm):
        assert other.columns == plain.columns
        assert other.fingerprint == plain.fingerprint
        assert (other.classes, other.notes, other.target) == (
            plain.classes,
            plain.notes,
            plain.target,
        )
        for one, two in zip(arrays_of(plain), arrays_of(other), strict=True):
            assert np.array_equal(one, two, equal_nan=True) if one is not None else two is None  # type: ignore[arg-type]
    monkeypatch.undo()
    monkeypatch.setattr(cached_datasets, "SMALL", 0)
    stat = file.stat()
    file.write_text(file.read_text().replace("39,", "38,"))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert not torch.equal(load_dataset(settings, workspace).x, plain.x)


def test_all_wrong_names_of_columns_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(MANY.replace("a,b,y", "age,b,y"))
    text = (
        "data:\n  source: t.csv\n  target: yy\n  group: ag\n  weights: w\n"
        "  drop: [aeg, nothing]\n  categorical: b\n  numeric: [b]\n"
        "model: MLP\noptimizer: AdamW\n"
    )
    study = StudyFile.from_text(text, "a.yaml")
    with pytest.raises(DataMistakesError, match=r"data\.target: .*\ndata\.group: ") as caught:
        load_dataset(study.data, Workspace(tmp_path), study.validation)
    located = study.located(pickle.loads(pickle.dumps(caught.value)))  # as from a worker
    assert isinstance(located, StudyFileError)
    found = [(p.line, p.path, p.message.split("'")[1]) for p in located.problems]
    assert found == [
        (3, "data.target", "yy"),
        (4, "data.group", "ag"),
        (5, "data.weights", "w"),
        (6, "data.drop", "aeg"),
        (6, "data.drop", "nothing"),
        (8, "data.numeric", "b"),
    ]
    assert "Did you mean `age`?" in located.problems[1].message


@pytest.mark.parametrize("cells", [[1, 2], {"k": 1}, np.ones(2)])
def test_a_parquet_column_of_several_values_a_cell_is_refused_unless_it_is_dropped(
    tmp_path: Path, cells: Any
) -> None:
    frame = pd.DataFrame({"a": np.arange(40), "b": [None, *[cells] * 39], "y": [*"pq"] * 20})
    frame.to_parquet(tmp_path / "t.parquet")
    asked = DataSettings(source="t.parquet", target="y", missing=["3"])
    told = (
        r"data.drop: column 'b' of t.parquet has a list or mapping in each cell. Write drop: \[b"
    )
    with pytest.raises(DataError, match=told):
        load_dataset(asked, Workspace(tmp_path))
    dropped = load_dataset(asked.model_copy(update={"drop": ["b"]}), Workspace(tmp_path))
    assert dropped.x.isnan().nonzero().tolist() == [[3, 0]]
    target = asked.model_copy(update={"target": "b"})
    with pytest.raises(
        DataError, match=r"data.target: column 'b' .*: the target must be one numb"
    ):
        load_dataset(target, Workspace(tmp_path))
    asked = DataSettings(source="t.parquet", target="y")
    (block,) = table_blocks(tmp_path / "t.parquet", [Column("a")], asked, 100)
    assert len(block) == 40
    with pytest.raises(DataError, match=r"column 'b' of t.parquet has a list or mapping"):
        list(table_blocks(tmp_path / "t.parquet", [Column("b")], asked, 100))


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        ([-999, 1.5, 2, -999], "float64"),
        ([-999, 1.5, 2, -999], "float32"),
        ([-999, 1, 2, -999], "int16"),
        ([-999, 1, 2, None], "Int64"),
        ([-999, 1.5, 2, -999], "category"),
        ([Decimal("-999.00"), Decimal("1.5"), Decimal(2), None], object),
        (["-999.0", "x", "?", "z"], "str"),
        (["x", "y", "?", "z"], "category"),
        ([True, False, None, True], object),
        ([True, False, False, True], "bool"),
    ],
)
def test_the_same_cells_are_missing_in_a_parquet_as_in_a_csv(
    tmp_path: Path, cells: list[Any], dtype: Any
) -> None:
    frame = pd.DataFrame({"a": np.arange(40) % 7, "b": pd.Series(cells * 10, dtype=dtype)})
    frame["y"] = [*"pq"] * 20
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    asked = {"target": "y", "missing": ["-999", "?", "6.0"]}
    parquet, csv = (
        load_dataset(DataSettings(source=name, **asked), Workspace(tmp_path))
        for name in ("t.parquet", "t.csv")
    )
    assert parquet.columns == csv.columns
    assert np.array_equal(parquet.x.numpy(), csv.x.numpy(), equal_nan=True)
    assert parquet.x[:, 0].isnan().sum() == 5
    settings = DataSettings(source="t.parquet", **asked)
    blocks = table_blocks(tmp_path / "t.parquet", parquet.columns, settings, 7)
    assert np.array_equal(np.concatenate(list(blocks)), csv.x.numpy(), equal_nan=True)


def test_a_decimal_number_is_missing_in_single_precision_too(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": np.array([-9.9, 1.5, 2.5, 3] * 10, np.float32), "y": [*"pq"] * 20})
    frame.to_parquet(tmp_path / "t.parquet")
    asked = DataSettings(source="t.parquet", target="y", missing=["-9.9"])
    assert load_dataset(asked, Workspace(tmp_path)).x.isnan().sum() == 10
