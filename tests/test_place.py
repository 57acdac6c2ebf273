from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from tunecli.errors import StudyBusyError
from tunecli.search.place import Place


def hold(runs: Path, ready: multiprocessing.Queue[bool]) -> None:
    with Place(runs, "digits").held():
        ready.put(True)
        multiprocessing.Event().wait()


def test_a_second_search_is_told_who_holds_the_study(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    process = context.Process(target=hold, args=(tmp_path, ready))
    process.start()
    try:
        ready.get(timeout=60)
        with (
            pytest.raises(StudyBusyError, match=rf"process {process.pid} on .+ since \d{{4}}-"),
            Place(tmp_path, "digits").held(),
        ):
            pass
    finally:
        process.kill()
        process.join()
    with Place(tmp_path, "digits").held():  # a killed holder holds nothing
        assert (tmp_path / "digits").is_dir()


def test_the_trash_keeps_every_study(tmp_path: Path) -> None:
    place = Place(tmp_path, "digits")
    for text in ("first", "second"):
        with place.held():
            (place.folder / "study.db").write_text(text)
        place.move_to_trash()
    assert not place.folder.exists()
    kept = sorted(path.read_text() for path in (tmp_path / ".trash").glob("*/study.db"))
    assert kept == ["first", "second"]


def test_the_database_lies_in_the_folder_unless_another_is_named(tmp_path: Path) -> None:
    assert Place(tmp_path, "a").url == f"sqlite:///{tmp_path / 'a' / 'study.db'}"
    assert Place(tmp_path, "a", "postgresql://host/db").url == "postgresql://host/db"
