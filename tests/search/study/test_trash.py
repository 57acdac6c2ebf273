"""What is put away: all of a study of tunecli's, and nothing of anybody else's."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from commands import call_in, rows, table
from in_process import InProcessExecutor
from study_makers import SUMMARY, complete, made, mlp

from tunecli.database.urls import sqlite_url
from tunecli.errors import DataError, PlaceError
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.study.trash import put_away
from tunecli.search.workers.executor import EXECUTORS
from tunecli.search.workers.messages import DataReady, Event, FirstTask

STUDY = """
data: digits
model: {MLP: {width: {int: [8, 64]}}}
optimizer: {AdamW: {lr: {float: [1e-4, 1e-1], log: true}}}
search: {trials: 2, parallel: 2, baselines: false}
"""
TRIALS = [(mlp(0.1), complete(0.9))]


class Formulas(InProcessExecutor):
    """Describes the data, or says that it does not fit, as the first worker does."""

    fits = True

    def __init__(self, first_task: FirstTask, n_workers: int, *_: object) -> None:
        super().__init__(n_workers)
        error = None if self.fits else DataError("the data does not fit.")
        self._stopped.append(DataReady(0, SUMMARY if self.fits else None, {}, error=error))

    def events(self, timeout: float) -> list[Event]:
        return list(super().events(timeout))


class Misfits(Formulas):
    fits = False


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(EXECUTORS, "local", Formulas)
    monkeypatch.setattr("tunecli.search.workers.local.start_server", lambda: None)
    (tmp_path / "digits.yaml").write_text(STUDY)
    return tmp_path


def database(folder: Path, storage: bool) -> Path:
    return folder / "all.db" if storage else folder / "runs" / "digits" / "study.db"


def options(storage: bool) -> list[str]:
    return ["--storage", "sqlite:///all.db"] if storage else []


@pytest.mark.parametrize("storage", [False, True])
def test_a_restart_that_cannot_begin_leaves_the_old_study(
    folder: Path, storage: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_in(folder, "search", "digits.yaml", *options(storage))
    before = database(folder, storage).read_bytes()
    names = sorted(path.name for path in (folder / "runs" / "digits").iterdir())
    monkeypatch.setitem(EXECUTORS, "local", Misfits)
    call_in(folder, "search", "digits.yaml", "--restart", *options(storage), code=2)
    assert database(folder, storage).read_bytes() == before
    assert sorted(path.name for path in (folder / "runs" / "digits").iterdir()) == names
    assert not (folder / "runs" / ".trash").exists()


@pytest.mark.parametrize("storage", [False, True])
@pytest.mark.parametrize("words", [("search", "digits.yaml", "--restart"), ("remove", "digits")])
def test_what_is_put_away_is_kept_whole_and_not_listed(
    folder: Path, storage: bool, words: tuple[str, ...]
) -> None:
    call_in(folder, "search", "digits.yaml", *options(storage))
    before = table(database(folder, storage))
    told = call_in(folder, *words, *options(storage)).stderr
    assert "runs/.trash/digits-" in told
    listed = call_in(folder, "report", *options(storage)).stdout
    assert listed.count("digits") == (words[0] == "search")
    if storage:
        names = [name for (name,) in rows(folder / "all.db", "SELECT study_name FROM studies")]
        [old] = [str(name) for name in names if str(name).startswith(".trash/digits/")]
        assert f"Study digits was renamed to {old} in all.db." in told
        query = "UPDATE studies SET study_name = study_id || 'x'"
        with closing(sqlite3.connect(folder / "all.db")) as opened, opened:
            opened.execute("DELETE FROM trials WHERE study_id > 1")
            opened.execute(query)
        assert table(folder / "all.db") == before
    else:
        [old_file] = (folder / "runs" / ".trash").glob("digits-*/study.db")
        assert table(old_file) == before


@pytest.mark.parametrize("storage", [False, True])
@pytest.mark.parametrize("n_trials", [0, 1])
def test_what_plain_optuna_made_is_not_touched(folder: Path, storage: bool, n_trials: int) -> None:
    path = database(folder, storage)
    path.parent.mkdir(parents=True, exist_ok=True)
    theirs = optuna.create_study(storage=sqlite_url(path), study_name="digits")
    for _ in range(n_trials):
        theirs.tell(theirs.ask(), 1.0)
    before = path.read_bytes()
    for words in (
        ("search", "digits.yaml"),
        ("search", "digits.yaml", "--restart"),
        ("remove", "digits"),
    ):
        done = call_in(folder, *words, *options(storage), code=2)
        assert "did not make" in done.stderr.replace("\n", " ")
        assert path.read_bytes() == before
    assert not (folder / "runs" / ".trash").exists()


@pytest.mark.parametrize("kind", ["another program's", "text", "folder"])
def test_a_file_in_the_place_of_the_database_is_not_touched(tmp_path: Path, kind: str) -> None:
    place = StudyFolder(tmp_path, "digits")
    path = place.folder / "study.db"
    place.folder.mkdir()
    if kind == "folder":
        path.mkdir()
    elif kind == "text":
        path.write_text("my study")
    else:
        with closing(sqlite3.connect(path)) as opened, opened:
            opened.execute("CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(PlaceError, match="not a study database of tunecli"), place.locked():
        put_away(place)
    assert path.exists()
    assert not (tmp_path / ".trash").exists()


def test_a_damaged_database_of_tunecli_is_moved(tmp_path: Path) -> None:
    place = StudyFolder(tmp_path, "digits")
    made(place.folder, TRIALS)
    path = place.folder / "study.db"
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * 4000 + content[4100:])
    with place.locked():
        [sentence] = put_away(place)
    assert "was moved to" in sentence
    assert not path.exists()


def test_a_folder_that_is_no_study_is_not_removed(tmp_path: Path) -> None:
    for name in ("model", "checkpoints"):
        (tmp_path / "project" / name).mkdir(parents=True)
    done = call_in(tmp_path, "remove", "project", "--runs", ".", code=2)
    assert "There is no study project in" in done.stderr
    assert (tmp_path / "project" / "model").is_dir()


def test_a_study_of_optuna_beside_ours_keeps_the_file_where_it_is(tmp_path: Path) -> None:
    place = StudyFolder(tmp_path, "digits")
    url = made(place.folder, TRIALS)
    optuna.create_study(storage=url, study_name="theirs")
    with pytest.raises(PlaceError, match="contains study theirs, which"), place.locked():
        put_away(place)
    assert (place.folder / "study.db").exists()
