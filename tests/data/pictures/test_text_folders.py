"""Folders of texts: each file is a row, and its folder is its class."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunecli.data.new_rows import RowKind, blocks_of, rows_of
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.texts import TextRows
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def load(folder: Path, **data: object) -> Dataset:
    validation = ValidationSettings()
    return load_dataset(DataSettings(source="r/", **data), Workspace(folder), validation)


def texts(x: object) -> list[str]:
    assert isinstance(x, TextRows)
    return [*x.texts[0]]


FILES: dict[str, str | bytes] = {
    "r/bad/1.txt": "\ufeffschlecht\n\n",
    "r/bad/2.txt": "",
    "r/good/deep/1.TXT": "gut\r\nsehr gut",
    "r/good/2.txt": "gut",
    "r/good/3.txt": "gut",
    "r/good/notes.md": "no text",
}
KIND = RowKind((), (1,), "float64", DataSettings(source="r/"), None, ("text",))
OF_TABLE = RowKind((), (1,), "float64", DataSettings(source="t.csv"), None, ("text",))


def test_a_folder_of_class_folders_of_texts(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    found = load(tmp_path)
    assert (found.task, found.classes, found.text_columns) == (
        "classification",
        ("bad", "good"),
        ("text",),
    )
    assert texts(found.x) == ["schlecht", "", "gut", "gut", "gut\r\nsehr gut"]
    assert found.y.tolist() == [0, 0, 1, 1, 1]
    assert found.copies is not None
    assert found.copies.tolist() == [0, 1, 2, 2, 4]
    assert found.notes == ("1 file without the suffix of a text is left out (`.md`).",)


def test_parts_are_the_test_set_and_the_validation_rows(tmp_path: Path) -> None:
    names = [f"r/{part}/{c}/1.txt" for part in ("train", "val", "test") for c in "ab"]
    write(tmp_path, {name: name for name in names})
    found = load(tmp_path)
    assert texts(found.x) == names
    assert found.given_test is not None
    assert found.given_test.tolist() == [4, 5]
    assert found.given_folds is not None
    assert found.given_folds.tolist() == [-1, -1, 0, 0, -1, -1]


@pytest.mark.parametrize(
    ("files", "data", "match"),
    [
        ({"r/bad/1.txt": b"a\xff"}, {}, r"r/bad/1.txt must be UTF-8, but byte 0xff at 1 is not"),
        ({}, {"size": 32}, r"applies only to pictures, but r/ contains texts. Remove it"),
        ({"r/new/x.md": "a"}, {}, r"class folder r/new/ contains no texts. .* end in `.txt`\."),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, files: dict[str, str | bytes], data: dict[str, object], match: str
) -> None:
    write(tmp_path, FILES | files)
    with pytest.raises(DataError, match=match):
        load(tmp_path, **data)


def test_a_folder_with_pictures_is_one_of_pictures(tmp_path: Path) -> None:
    write(tmp_path, {"r/a/1.txt": "x", "r/b/1.txt": "x", "r/b/2.png": "no picture"})
    with pytest.raises(DataError, match=r"class folder r/a/ contains no pictures"):
        load(tmp_path)


def test_each_file_of_a_folder_is_a_row_to_predict(tmp_path: Path) -> None:
    write(tmp_path, {"new/b.txt": "two", "new/a/c.txt": "one\nline", "new/x.md": "no"})
    (block,) = blocks_of("new", KIND, Workspace(tmp_path), 8)
    assert texts(block.x) == ["one\nline", "two"]
    assert block.files == ("a/c.txt", "b.txt")


def test_lines_are_rows_for_a_model_of_a_table_and_one_text_for_one_of_files(
    tmp_path: Path,
) -> None:
    write(tmp_path, {"new.txt": "\ufeffone\r\n\n two\u2028b \nthree\n"})
    lines = [
        text for b in blocks_of("new.txt", OF_TABLE, Workspace(tmp_path), 1) for text in texts(b.x)
    ]
    assert lines == ["one", "", "two\u2028b", "three"]
    (block,) = blocks_of("new.txt", KIND, Workspace(tmp_path), 1)
    assert texts(block.x) == ["one\r\n\n two\u2028b \nthree"]


def test_what_is_no_text_cannot_be_predicted(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"contains no texts. Text files end in .txt"):
        [*blocks_of("empty", KIND, Workspace(tmp_path), 8)]
    with pytest.raises(DataError, match=r"file 'no.txt' does not exist"):
        [*blocks_of("no.txt", KIND, Workspace(tmp_path), 8)]
    with pytest.raises(DataError, match=r"must be texts, since the model takes text. Pass a list"):
        rows_of([1, 2], KIND)
    wide = RowKind((), (2,), "float64", DataSettings(source="t.csv"), None, ("a", "b"))
    with pytest.raises(DataError, match=r"takes the columns `a` and `b`. Pass a DataFrame"):
        rows_of(["x"], wide)
    assert texts(rows_of(["x", "y"], KIND)) == ["x", "y"]
