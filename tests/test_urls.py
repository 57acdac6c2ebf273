from __future__ import annotations

import sqlite3
from pathlib import Path

import optuna
import pytest

from tunecli.errors import PlaceError
from tunecli.search.place import Place
from tunecli.search.urls import (
    refuse_unusable,
    shown,
    sqlite_file,
    sqlite_url,
    without_password,
)

SECRET = "postgresql://me:secret@host/base"


@pytest.mark.parametrize("name", ["plain", "what? #1", "50%41", "a&b=c", "ünïcode", "a:b@c"])
def test_a_path_comes_back_from_its_url(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "study.db"
    assert sqlite_file(sqlite_url(path)) == path
    assert shown(sqlite_url(path)) == str(path)


def test_optuna_opens_the_file_whatever_the_folder_is_called(tmp_path: Path) -> None:
    place = Place(tmp_path / "what? #1 50%41", "digits")
    place.folder.mkdir(parents=True)
    optuna.create_study(storage=place.url, study_name="digits")
    connection = sqlite3.connect(place.folder / "study.db")
    assert connection.execute("SELECT study_name FROM studies").fetchall() == [("digits",)]
    connection.close()


def test_a_sqlite_uri_names_its_file() -> None:
    assert sqlite_file("sqlite:///file:/a%20b/c.db?mode=ro&uri=true") == Path("/a b/c.db")


def test_a_server_has_no_file() -> None:
    assert sqlite_file(SECRET) is None


def test_a_password_is_never_shown() -> None:
    assert without_password(SECRET) == shown(SECRET) == "postgresql://me:***@host/base"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", r"takes a database URL, .* got 'nonsense'"),
        ("me:secret@nonsense", r"takes a database URL, as [^']+\.$"),
        ("nonsense://host/db", "knows no kind of database `nonsense`"),
        ("mysql://me:secret@host/db", r"mysql://me:\*\*\*@host/db needs the Python package"),
        ("sqlite://", "in memory is gone"),
        ("sqlite:///:memory:", "in memory is gone"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str, message: str) -> None:
    with pytest.raises(PlaceError, match=message):
        refuse_unusable(url)


@pytest.mark.parametrize("path", ["folder", "/dev/null"])
def test_what_is_no_file_is_no_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    kind = "a folder" if path == "folder" else "not a file"
    with pytest.raises(PlaceError, match=rf"^--storage sqlite:///{path}: {path} is {kind}\."):
        refuse_unusable(f"sqlite:///{path}")
