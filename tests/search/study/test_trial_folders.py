"""Folders of trials are cleaned of what tunecli made, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunecli.search.study.trial_folders import TrialFolders
from tunecli.training.state.trial_files import CHECKPOINT, MODELS


def made(root: Path, *numbers: int) -> TrialFolders:
    folders = TrialFolders(root, CHECKPOINT)
    for number in numbers:
        (Path(folders.of(number)) / "own" / "0" / "checkpoints").mkdir(parents=True)
        for name in ("trial", "fold-0-3.pt", ".trial.0123abcd.part", "fold-1-2.pt.tmp"):
            (Path(folders.of(number)) / name).touch()
    return folders


def left(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}


def test_what_a_dead_driver_left_is_removed_and_what_runs_is_kept(tmp_path: Path) -> None:
    made(tmp_path, 0, 3, 10).remove_left({0, 10})
    assert left(tmp_path) == {"3"}


def test_a_trial_that_ended_keeps_nothing(tmp_path: Path) -> None:
    folders = made(tmp_path, 0, 1)
    folders.discard(1)
    folders.discard(7)
    assert left(tmp_path) == {"0", "1"}
    folders.remove_discarded()
    assert left(tmp_path) == {"0"}


def test_a_folder_for_no_trial_is_removed_only_if_it_is_empty(tmp_path: Path) -> None:
    folders = made(tmp_path / "checkpoints", 0, 1)
    folders.discard(1)
    folders.remove_root()
    assert left(tmp_path / "checkpoints") == {"0"}
    folders.discard(0)
    folders.remove_root()
    folders.remove_root()
    assert left(tmp_path) == set()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "checkpoints").symlink_to(tmp_path / "elsewhere")
    folders.remove_root()
    assert left(tmp_path) == {"checkpoints", "elsewhere"}


def test_what_tunecli_did_not_make_stays(tmp_path: Path) -> None:
    folders = made(tmp_path, 0, 1)
    for name in ("Documents", "01", "2"):
        (tmp_path / name).mkdir()
    (tmp_path / "0" / "thesis.tex").write_text("mine")
    (tmp_path / "0" / "fold-0-9.pt").symlink_to(tmp_path / "0" / "thesis.tex")
    folders.remove_left({0, 1, 2})
    assert left(tmp_path) == {"0", "Documents", "01"}
    assert left(tmp_path / "0") == {"thesis.tex", "fold-0-9.pt"}


@pytest.mark.parametrize("link", ["root", "trial"])
def test_no_link_is_followed(tmp_path: Path, link: str) -> None:
    victim, root = tmp_path / "victim", tmp_path / "checkpoints"
    made(victim, 0)
    if link == "root":
        root.symlink_to(victim)
    else:
        root.mkdir()
        (root / "0").symlink_to(victim / "0")
    folders = TrialFolders(root, CHECKPOINT)
    folders.discard(0)
    folders.remove_discarded()
    folders.remove_left({0})
    assert left(victim / "0") >= {"trial", "fold-0-3.pt", "own"}
    assert left(root) == {"0"}


def test_without_a_folder_nothing_is_saved_or_removed() -> None:
    folders = TrialFolders(None, MODELS)
    assert folders.of(0) == ""
    folders.discard(0)
    folders.remove_discarded()
    folders.remove_left({0})
