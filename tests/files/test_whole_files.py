"""Files and folders that are written whole, or stay as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from room import no_room

from tunecli.errors import OutputError
from tunecli.files.whole import new_file, output, users_file, whole_file, whole_folder

Write = Callable[[Path], AbstractContextManager[Path]]
LONG = "x" * 10_000


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("write", [whole_file, users_file])
def test_with_the_disk_full_the_old_file_stays(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    with no_room(), pytest.raises(OSError, match="File too large"), write(path) as part:
        part.write_text(LONG)
    assert path.read_text() == "old"
    with write(path) as part:
        part.write_text(LONG)
    assert path.read_text() == LONG
    assert names(tmp_path) == ["page.html"]


def test_with_the_disk_full_a_new_file_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    with no_room(), pytest.raises(OSError, match="File too large"), new_file(path) as part:
        part.write_text(LONG)
    assert names(tmp_path) == []


def test_what_is_there_is_no_new_file(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError), new_file(path):
        pass
    assert names(tmp_path) == ["page.html"]
    assert path.is_symlink()


def test_a_users_own_link_leads_to_the_file_that_is_meant(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "page.html"
    target.parent.mkdir()
    target.write_text("old")
    (tmp_path / "link").symlink_to("elsewhere/page.html")
    with users_file(tmp_path / "link") as part:
        part.write_text("new")
    assert target.read_text() == "new"
    assert (tmp_path / "link").is_symlink()
    with whole_file(tmp_path / "link") as part:  # one of tunecli's own: the link is not followed
        part.write_text("ours")
    assert target.read_text() == "new"
    assert not (tmp_path / "link").is_symlink()


def test_the_rights_of_the_old_file_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    path.chmod(0o640)
    with whole_file(path) as part:
        assert part.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_device_or_a_pipe_is_written_to_itself() -> None:
    with users_file(Path("/dev/null")) as part:
        part.write_text("text")
    assert Path("/dev/null").is_char_device()
    reading, writing = os.pipe()
    with users_file(Path(f"/dev/fd/{writing}")) as part:  # as /dev/stdout before `| head`
        part.write_text("text")
    assert os.read(reading, 10) == b"text"
    for descriptor in (reading, writing):
        os.close(descriptor)


@pytest.mark.parametrize("path", [".", "", "folder", "folder/..", "/"])
def test_a_folder_is_no_file_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(OutputError, match=r"^-o: .* cannot be written \(it is a folder\)") as told,
        output(Path(path), option="-o"),
    ):
        pass
    assert told.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "next_step"),
    [
        ("nowhere/x", r"Folder nowhere does not exist: create it, or name another file\."),
        ("file/x", r"Folder file does not exist: create it, or name another file\."),
        ("folder", r"Name a file in this folder\."),
        ("file", r"\(File exists\)\. Remove it, or name another file\."),
        ("x" * 300, r"\(File name too long\)\. Name another file\."),
    ],
)
def test_what_cannot_be_written_is_told_with_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, next_step: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(OutputError, match=f"{next_step}$"),
        output(Path(name), option="-o", is_new=name == "file"),
    ):
        pass


def test_a_full_disk_is_not_the_users_mistake(tmp_path: Path) -> None:
    with no_room(), pytest.raises(OutputError, match=r"File too large\). Make room") as told:
        with output(tmp_path / "page.html") as part:
            part.write_text(LONG)
    assert told.value.exit_code == 1


def test_with_the_disk_full_the_old_folder_stays(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for content in ("old", LONG):
        with no_room(), pytest.raises(OSError, match="File too large"), whole_folder(path) as part:
            (part / "a").write_text("new" + LONG)
        with whole_folder(path) as part:
            (part / "a").write_text(content)
        assert (path / "a").read_text() == content
    assert names(tmp_path) == ["model"]


KILLED = """
import os, signal, sys
from pathlib import Path
from tunecli.files.whole import whole_file, whole_folder
with whole_file(Path("file")) as file, whole_folder(Path("folder")) as folder:
    file.write_text("half")
    (folder / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_goes_and_what_one_writes_stays(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path)
    assert len(names(tmp_path)) == 2, "the parts"
    mine = [".file.notes.part", ".file.0123abcd.parts", ".filex.0123abcd.part"]
    for name in mine:
        (tmp_path / name).touch()
    with whole_file(tmp_path / "file") as living, whole_file(tmp_path / "file") as second:
        assert living.exists()
        second.touch()
    with whole_folder(tmp_path / "folder"):
        pass
    assert names(tmp_path) == sorted(["file", "folder", *mine])


def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everything")
    path = tmp_path / "page.html"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="denied"), whole_file(path):
        pass
