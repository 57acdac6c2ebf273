"""Files and folders of tunecli's: opened, made and cleaned without following a link."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from locations import PACKAGE

from tunecli.files.file_lock import in_turn
from tunecli.files.own import NotOwnError, make_folder, open_file, refuse_foreign, remove_files


def link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def dangling(path: Path, victim: Path) -> None:
    path.symlink_to(victim.with_name("nowhere"))


def loop(path: Path, _: Path) -> None:
    path.symlink_to(path)


def hard_link(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


def fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def folder(path: Path, _: Path) -> None:
    path.mkdir()


FOREIGN = [link, dangling, loop, hard_link, fifo, folder]


@pytest.mark.parametrize("made", FOREIGN)
@pytest.mark.parametrize("flags", [os.O_RDWR, os.O_WRONLY | os.O_APPEND])
def test_only_a_real_file_with_one_name_is_opened(
    tmp_path: Path, made: Callable[[Path, Path], None], flags: int
) -> None:
    victim, path = tmp_path / "victim", tmp_path / "ours"
    victim.write_text("mine")
    made(path, victim)
    words = "symbolic link to|2 hard links|not a file"
    with pytest.raises(NotOwnError, match=f"ours (is|has) ({words}|a symbolic)"):
        open_file(path, flags)
    with pytest.raises(NotOwnError, match=words):
        refuse_foreign(path, "file")
    with pytest.raises(NotOwnError, match=words), in_turn(path):
        pass
    assert victim.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_a_file_is_made_and_opened_again(tmp_path: Path) -> None:
    for _ in range(2):
        descriptor = open_file(tmp_path / "ours", os.O_WRONLY | os.O_APPEND)
        os.write(descriptor, b"line\n")
        os.close(descriptor)
    assert (tmp_path / "ours").read_text() == "line\nline\n"


def test_a_link_is_told_in_one_line_whatever_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "ours").symlink_to("a\nb\x1b[31m")
    with pytest.raises(NotOwnError, match=r"a symbolic link to a\\nb\\x1b\[31m$"):
        refuse_foreign(tmp_path / "ours", "file")


@pytest.mark.parametrize("at", [0, 1, 2])
def test_no_folder_is_made_behind_a_link(tmp_path: Path, at: int) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    names = ("a", "b", "c")
    above = tmp_path.joinpath(*names[:at])
    above.mkdir(parents=True, exist_ok=True)
    (above / names[at]).symlink_to(victim)
    with pytest.raises(NotOwnError, match="symbolic link"):
        make_folder(tmp_path / "a", "b", "c")
    assert list(victim.iterdir()) == []


def test_a_folder_is_cleaned_of_what_is_ours_alone(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (victim / "ours-1").mkdir(parents=True)
    ours = tmp_path / "folder"
    (ours / "ours-1" / "deep").mkdir(parents=True)
    (ours / "ours-1" / "link").symlink_to(victim)
    (ours / "ours-2").touch()
    (ours / "ours-3").symlink_to(victim)
    (ours / "theirs").touch()
    remove_files(ours, re.compile(r"ours-\d"))
    assert {path.name for path in ours.iterdir()} == {"ours-3", "theirs"}
    assert list(victim.iterdir()) == [victim / "ours-1"]
    for path in (ours / "ours-3", ours / "theirs"):
        path.unlink()
    remove_files(ours, re.compile(r"ours-\d"))
    assert not ours.exists()
    (tmp_path / "link").symlink_to(victim)
    remove_files(tmp_path / "link", re.compile(r"ours-\d"))
    assert list(victim.iterdir()) == [victim / "ours-1"]


def test_a_file_that_somebody_wrote_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("mine")
    with pytest.raises(NotOwnError, match="did not write"), in_turn(tmp_path / "lock"):
        pass
    assert (tmp_path / "lock").read_text() == "mine"


WRITES = {"rmtree", "unlink", "rmdir", "rename", "write_text", "write_bytes", "mkdir", "touch"}
KNOWN = {
    "data/cache/entries.py": "removes its own entries, real folders with names that only it gives",
    "data/pictures/torchvision_sets.py": "makes the folder that the user named for a download",
    "model_folder/format/predicting.py": "renames columns of a table in memory",
    "model_folder/format/folder.py": "puts back what whole_folder had set aside",
    "database/creation.py": "removes its own lock",
    "search/study/locks.py": "removes its own locks",
    "search/workers/cluster/files.py": "makes folders below that of a search on a node",
    "search/workers/cluster/scratch.py": "removes folders of ended searches, which it locks first",
    "search/study/permissions.py": "makes the folder of this user's own state",
    "search/study/study_folder.py": "makes the user's folders; moves studies by descriptors",
    "training/state/checkpoints.py": "removes names, links among them, in a folder that it made",
    "training/state/memory.py": "writes to the kernel",
    "temporary_folder.py": "clears marked folders of dead owners, by names that only it gives",
    "training/user_loop/user_reports.py": "removes names in a folder that it made",
}


def test_whatever_else_writes_or_deletes_goes_through_the_modules_for_it() -> None:
    """A part is a file or folder of `whole`, which nobody else has."""
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            line = text.splitlines()[node.lineno - 1] if is_call else ""
            if is_call and node.func.attr in WRITES and "part" not in line:
                found.add(str(path.relative_to(PACKAGE)))
    assert {name for name in found if not name.startswith("files/")} == set(KNOWN)
