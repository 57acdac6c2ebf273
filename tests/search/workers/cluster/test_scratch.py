"""Folders of a search on one node: shared, removed by the last, cleared after a kill."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tunecli.search.workers.cluster import scratch
from tunecli.search.workers.cluster.scratch import scratch_folder


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(scratch, "_root", lambda: tmp_path)
    yield tmp_path
    assert not [*tmp_path.iterdir()]


def test_the_last_of_those_that_share_a_folder_removes_it() -> None:
    with scratch_folder("one") as folder:
        with scratch_folder("one") as same:
            assert same == folder
        assert folder.is_dir()
        with scratch_folder() as other:
            assert other != folder
    assert not folder.exists()


def test_a_folder_without_an_owner_is_removed(root: Path) -> None:
    left = root / "tunecli-ray-left"
    left.mkdir(mode=0o700)
    (left / "owner.lock").touch()
    (left / "content").touch()
    with scratch_folder("one"):
        assert not left.exists()


@pytest.mark.parametrize("name", ["one", None])
def test_a_folder_that_is_removed_before_it_is_held_is_made_again(
    name: str | None, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process clears up between the opening of the lock file and the lock."""
    real, meetings = fcntl.flock, [0]

    def meeting(lock: int, operation: int) -> None:
        if operation == fcntl.LOCK_SH and meetings[0] < 3:
            meetings[0] += 1
            scratch._remove_left()
            assert not [*root.iterdir()]
        real(lock, operation)

    monkeypatch.setattr(fcntl, "flock", meeting)
    with scratch_folder(name) as folder:
        assert meetings == [3]
        (folder / "content").touch()
        scratch._remove_left()
        assert (folder / "content").exists()


def test_who_was_late_removes_no_folder_of_a_new_owner(
    root: Path,
) -> None:
    """Its lock is that of a folder of the same name, which is gone."""
    with ExitStack() as opened:
        with scratch_folder("one") as folder:
            late = opened.enter_context((folder / "owner.lock").open())
        with scratch_folder("one") as folder:
            scratch._remove(folder, late.fileno())
            assert (folder / "owner.lock").exists()


def test_workers_that_start_and_end_together_keep_their_folders() -> None:
    def use(number: int) -> None:
        for _ in range(100):
            with scratch_folder(f"{number % 2}") as folder:
                (folder / str(number)).touch()
                assert (folder / str(number)).exists()

    with ThreadPoolExecutor(6) as threads:
        [*threads.map(use, range(6))]
