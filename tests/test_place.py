from __future__ import annotations

import multiprocessing
import re
from pathlib import Path

import pytest

from tunecli.errors import PlaceError, StudyBusyError
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
    assert (tmp_path / "digits" / "search.lock").exists()
    with Place(tmp_path, "digits").held():  # a killed holder holds nothing
        assert (tmp_path / "digits").is_dir()


def test_the_trash_keeps_every_study(tmp_path: Path) -> None:
    place = Place(tmp_path, "digits")
    for text in ("first", "second"):
        with place.held():
            (place.folder / "study.db").write_text(text)
            assert not place.is_empty
            place.move_to_trash()
            assert place.is_empty
    assert not place.folder.exists()
    kept = sorted(path.read_text() for path in (tmp_path / ".trash").glob("*/study.db"))
    assert kept == ["first", "second"]


def test_a_study_is_held_while_it_is_moved_and_after(tmp_path: Path) -> None:
    place = Place(tmp_path, "digits")
    with place.held():
        (place.folder / "study.db").touch()
        place.move_to_trash()
        with pytest.raises(StudyBusyError, match="being searched"), place.held():
            pass


def test_what_could_not_begin_leaves_no_folder(tmp_path: Path) -> None:
    with Place(tmp_path, "digits").held():
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_database_lies_in_the_folder_unless_another_is_named(tmp_path: Path) -> None:
    assert Place(tmp_path, "a").url == f"sqlite:///{tmp_path / 'a' / 'study.db'}"
    assert Place(tmp_path, "a", "postgresql://host/db").url == "postgresql://host/db"


def test_a_shared_database_is_held_from_every_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    storage = f"sqlite:///{tmp_path / 'all.db'}"
    through_link = f"sqlite:///{tmp_path / 'link' / 'all.db'}"
    with Place(tmp_path / "a", "digits", storage).held():
        with (
            pytest.raises(StudyBusyError, match=r"process \d+ on"),
            Place(tmp_path / "b", "digits", through_link).held(),
        ):
            pass
        with Place(tmp_path / "b", "houses", storage).held():  # another study of the same file
            pass
    with Place(tmp_path / "b", "digits", storage).held():
        pass


def test_a_study_of_its_own_file_is_held_when_it_is_named_as_storage(tmp_path: Path) -> None:
    own = Place(tmp_path / "runs", "digits")
    with (
        own.held(),
        pytest.raises(StudyBusyError, match="being searched"),
        Place(tmp_path / "elsewhere", "digits", own.url).held(),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = re.escape(f"{tmp_path / 'file' / 'digits'} cannot be written (Not a directory)")
    with pytest.raises(PlaceError, match=message), Place(tmp_path / "file", "digits").held():
        pass


def test_what_goes_wrong_in_a_search_is_not_blamed_on_the_folder(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="mine"), Place(tmp_path, "digits").held():
        raise PermissionError("mine")
