from __future__ import annotations

import multiprocessing
import re
from pathlib import Path

import pytest

from tunecli.errors import PlaceError, StudyBusyError
from tunecli.search.study.study_folder import StudyFolder


def hold(runs: Path, ready: multiprocessing.Queue[bool]) -> None:
    with StudyFolder(runs, "digits").held():
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
            StudyFolder(tmp_path, "digits").held(),
        ):
            pass
    finally:
        process.kill()
        process.join()
    assert (tmp_path / "digits" / "search.lock").exists()
    with StudyFolder(tmp_path, "digits").held():  # a killed holder holds nothing
        assert (tmp_path / "digits").is_dir()


def test_the_trash_keeps_every_study(tmp_path: Path) -> None:
    place = StudyFolder(tmp_path, "digits")
    for text in ("first", "second"):
        with place.held():
            (place.folder / "study.db").write_text(text)
            assert place.has_study_files
            place.move_to_trash()
            assert not place.has_study_files
    assert not place.folder.exists()
    kept = sorted(path.read_text() for path in (tmp_path / ".trash").glob("*/study.db"))
    assert kept == ["first", "second"]


def test_a_study_is_held_while_it_is_moved_and_after(tmp_path: Path) -> None:
    place = StudyFolder(tmp_path, "digits")
    with place.held():
        (place.folder / "study.db").touch()
        place.move_to_trash()
        with pytest.raises(StudyBusyError, match="is in use by"), place.held():
            pass


def test_what_could_not_begin_leaves_no_folder(tmp_path: Path) -> None:
    with StudyFolder(tmp_path, "digits").held():
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_database_lies_in_the_folder_unless_another_is_named(tmp_path: Path) -> None:
    assert StudyFolder(tmp_path, "a").url == f"sqlite:///{tmp_path / 'a' / 'study.db'}"
    assert StudyFolder(tmp_path, "a", "postgresql://host/db").url == "postgresql://host/db"


def test_a_shared_database_is_held_from_every_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    storage = f"sqlite:///{tmp_path / 'all.db'}"
    through_link = f"sqlite:///{tmp_path / 'link' / 'all.db'}"
    with StudyFolder(tmp_path / "a", "digits", storage).held():
        with (
            pytest.raises(StudyBusyError, match=r"process \d+ on"),
            StudyFolder(tmp_path / "b", "digits", through_link).held(),
        ):
            pass
        with StudyFolder(
            tmp_path / "b", "houses", storage
        ).held():  # another study of the same file
            pass
    with StudyFolder(tmp_path / "b", "digits", storage).held():
        pass


def test_a_study_of_its_own_file_is_held_when_it_is_named_as_storage(tmp_path: Path) -> None:
    own = StudyFolder(tmp_path / "runs", "digits")
    with (
        own.held(),
        pytest.raises(StudyBusyError, match="is in use by"),
        StudyFolder(tmp_path / "elsewhere", "digits", own.url).held(),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = re.escape(f"{tmp_path / 'file' / 'digits'} cannot be written (Not a directory)")
    with pytest.raises(PlaceError, match=message), StudyFolder(tmp_path / "file", "digits").held():
        pass


def test_what_goes_wrong_in_a_search_is_not_blamed_on_the_folder(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="mine"), StudyFolder(tmp_path, "digits").held():
        raise PermissionError("mine")


LINKED = [
    *("checkpoints", "checkpoints/3", "best", "best/0", "model", "../.trash", "../.cache"),
    *("search.lock", "search.pid", "events.jsonl", "trackers.json", "study.db"),
    *("study.db-journal", "study.db-wal", "study.db.digits.lock", "study.db.digits.pid"),
]
FOLDERS = ("checkpoints", "best", "model", "../.trash", "../.cache")


@pytest.mark.parametrize("name", LINKED)
def test_a_link_in_a_studys_folder_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    (victim / "Documents").mkdir(parents=True)
    (victim / "file").write_text("mine")
    link = tmp_path / "runs" / "digits" / name
    (tmp_path / "runs" / "digits").mkdir(parents=True)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(victim if name.startswith(FOLDERS) else victim / "file")
    message = (
        rf"{Path(name).name} is a symbolic link to {victim}.*, and tunecli writes and deletes"
    )
    with pytest.raises(PlaceError, match=message), StudyFolder(tmp_path / "runs", "digits").held():
        pass
    assert link.is_symlink()
    assert sorted(path.name for path in victim.iterdir()) == ["Documents", "file"]
    assert (victim / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["search.lock", "events.jsonl", "study.db"])
def test_a_file_with_another_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").write_text("mine")
    place = StudyFolder(tmp_path / "runs", "digits")
    place.folder.mkdir(parents=True)
    (place.folder / name).hardlink_to(tmp_path / "mine")
    with pytest.raises(PlaceError, match=rf"{name} has 2 hard links, and"), place.held():
        pass
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_studys_folder_that_is_a_link_is_refused_and_that_of_all_studies_is_not(
    tmp_path: Path,
) -> None:
    disk = tmp_path / "disk"
    (disk / "digits").mkdir(parents=True)
    (tmp_path / "runs").symlink_to(disk)
    with StudyFolder(tmp_path / "runs", "digits").held():
        assert (disk / "digits" / "search.lock").exists()
    (tmp_path / "runs" / "linked").symlink_to(tmp_path)
    place = StudyFolder(tmp_path / "runs", "linked")
    for holding in (place.held, place.locked):
        with pytest.raises(PlaceError, match="linked is a symbolic link"), holding():
            pass
    assert not (tmp_path / "search.lock").exists()


def test_a_lock_that_somebody_else_wrote_is_left_as_it_is(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'all.db'}"
    mine = tmp_path / "all.db.digits.lock"
    mine.write_text("mine")
    place = StudyFolder(tmp_path / "runs", "digits", storage)
    message = "all.db.digits.lock is a file that tunecli did not write"
    with pytest.raises(PlaceError, match=message), place.held():
        pass
    assert mine.read_text() == "mine"


def test_the_trash_is_no_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    place = StudyFolder(tmp_path / "runs", "digits")
    with place.locked():
        (place.folder / "study.db").touch()
        (tmp_path / "runs" / ".trash").symlink_to(victim)
        with pytest.raises(PlaceError, match=r"\.trash is a symbolic link"):
            place.move_to_trash()
    assert (place.folder / "study.db").exists()
    assert list(victim.iterdir()) == []


def test_links_are_moved_to_the_trash_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    place = StudyFolder(tmp_path / "runs", "digits")
    with place.locked():
        (place.folder / "checkpoints").symlink_to(victim)
        moved = place.move_to_trash()
    assert (moved / "checkpoints").is_symlink()
    assert victim.is_dir()
