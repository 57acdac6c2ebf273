from __future__ import annotations

from pathlib import Path

from tunecli.search.checkpoint_folders import CheckpointFolders


def made(root: Path, *numbers: int) -> CheckpointFolders:
    folders = CheckpointFolders(root)
    for number in numbers:
        Path(folders.of(number)).mkdir(parents=True)
        (Path(folders.of(number)) / "trial").touch()
    return folders


def left(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}


def test_what_a_dead_driver_left_is_removed_and_what_runs_is_kept(tmp_path: Path) -> None:
    made(tmp_path, 0, 3, 10).keep(["3"])
    assert left(tmp_path) == {"3"}


def test_a_trial_that_ended_keeps_nothing(tmp_path: Path) -> None:
    folders = made(tmp_path, 0, 1)
    folders.remove(1)
    folders.remove(7)
    assert left(tmp_path) == {"0"}


def test_without_a_folder_nothing_is_saved_or_removed() -> None:
    folders = CheckpointFolders(None)
    assert folders.of(0) == ""
    folders.remove(0)
    folders.keep([])
