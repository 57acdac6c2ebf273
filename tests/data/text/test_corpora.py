from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.texts import TextRows
from tunecli.data.rows.workspace import Workspace
from tunecli.data.splits.split import split, validation_in_words
from tunecli.data.text.corpora import load_corpus
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings

HOLDOUT = ValidationSettings(holdout=0.1)


def loaded(folder: Path, validation: ValidationSettings = HOLDOUT, **data: Any) -> Dataset:
    settings = DataSettings(source="text.txt", task="language_modeling", **data)
    return load_corpus(settings, validation, Workspace(folder))


def texts_of(dataset: Dataset, rows: Any = slice(None)) -> list[str]:
    assert isinstance(dataset.x, TextRows)
    return [dataset.x.texts[0][row] for row in range(len(dataset.y))[rows]]


def test_the_last_share_of_one_text_validates_and_the_one_before_it_tests(tmp_path: Path) -> None:
    text = "".join(f"word{number} " for number in range(3000))
    (tmp_path / "text.txt").write_text(text)
    dataset = loaded(tmp_path)
    assert "".join(texts_of(dataset)) == text
    parts = split(dataset, DataSettings(source="text.txt", test=0.1), HOLDOUT)
    [(train, valid)] = parts.folds
    rows = [*train.tolist(), *valid.tolist(), *parts.test_rows.tolist()]
    assert rows == [*range(len(dataset.y))]
    assert validation_in_words(HOLDOUT, dataset) == "the last 0.1 of the text"
    held_out = "".join(texts_of(dataset, slice(len(train) + len(valid), None)))
    assert len(held_out) / len(text) == pytest.approx(0.1, abs=1e-3)


def test_each_line_may_be_a_document(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_bytes("\ufeffone\r\n\n  \ntwo\nDrei ü\none\n".encode())
    dataset = loaded(tmp_path, documents="line")
    assert texts_of(dataset) == ["one", "two", "Drei ü", "one"]
    assert dataset.copies is not None
    assert dataset.copies.tolist() == [0, 1, 2, 0]
    assert dataset.times is None


def test_other_files_test_and_validate(tmp_path: Path) -> None:
    for name, text in (("text.txt", "a\nb\n"), ("valid.txt", "c\n"), ("test.txt", "d\ne\n")):
        (tmp_path / name).write_text(text)
    validation = ValidationSettings(file="valid.txt")
    dataset = loaded(tmp_path, validation, test="test.txt", documents="line")
    data = DataSettings(source="text.txt", test="test.txt")
    parts = split(dataset, data, validation)
    [(train, valid)] = parts.folds
    texts = texts_of(dataset)
    found = [[texts[row] for row in rows.tolist()] for rows in (train, valid, parts.test_rows)]
    assert found == [["a", "b"], ["c"], ["d", "e"]]


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"file 'text.txt' does not exist"):
        loaded(tmp_path)
    (tmp_path / "text.txt").write_bytes(b"abc\xff")
    with pytest.raises(DataError, match="must be UTF-8, but byte 3 is not"):
        loaded(tmp_path)
    (tmp_path / "text.txt").write_text("\n \n")
    with pytest.raises(DataError, match=r"text.txt contains no text"):
        loaded(tmp_path, documents="line")


def texts_in(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def from_folder(folder: Path, validation: ValidationSettings = HOLDOUT, **data: Any) -> Dataset:
    settings = DataSettings(source="texts/", task="language_modeling", **data)
    return load_corpus(settings, validation, Workspace(folder))


def test_each_file_of_a_folder_is_a_document_in_the_order_of_names(tmp_path: Path) -> None:
    texts_in(tmp_path / "texts", b="two\nlines", a="one", sub__c="three", empty=" \n", d="one")
    (tmp_path / "texts" / "notes.md").write_text("no document")
    (tmp_path / "texts" / ".hidden.txt").write_text("no document")
    dataset = from_folder(tmp_path)
    assert texts_of(dataset) == ["one", "two\nlines", "one", "three"]
    assert not dataset.is_one_text
    assert dataset.times is None
    assert dataset.copies is not None
    assert dataset.copies.tolist() == [0, 1, 0, 3]


def test_each_line_of_the_files_of_a_folder_may_be_a_document(tmp_path: Path) -> None:
    texts_in(tmp_path / "texts", b="three", a="one\n\ntwo\n")
    assert texts_of(from_folder(tmp_path, documents="line")) == ["one", "two", "three"]


def test_folders_test_and_validate_also_inside_the_source(tmp_path: Path) -> None:
    texts_in(tmp_path / "texts", a="a", b="b", valid__c="c", test__d="d")
    validation = ValidationSettings(file="texts/valid/")
    dataset = from_folder(tmp_path, validation, test="texts/test/")
    data = DataSettings(source="texts/", task="language_modeling", test="texts/test/")
    parts = split(dataset, data, validation)
    [(train, valid)] = parts.folds
    texts = texts_of(dataset)
    rows = (train.tolist(), valid.tolist(), parts.test_rows.tolist())
    assert [[texts[row] for row in part] for part in rows] == [["a", "b"], ["c"], ["d"]]


def test_a_folder_with_held_out_texts_alone_is_refused(tmp_path: Path) -> None:
    texts_in(tmp_path / "texts", a="a", b="b")
    with pytest.raises(DataError, match=r"data.source: every text file in it is also used for"):
        from_folder(tmp_path, test="texts/")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"data.source: folder 'texts' does not exist"),
        ({"a": "  "}, r"data.source: a.txt contains no text"),
        ({"a": "  ", "b": ""}, r"data.source: the 2 files contain no text"),
    ],
)
def test_a_folder_without_text_is_refused(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    texts_in(tmp_path / "texts", **files)
    with pytest.raises(DataError, match=message):
        from_folder(tmp_path)
