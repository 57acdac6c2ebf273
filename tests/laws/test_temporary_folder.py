"""What a killed command leaves in the temporary directory, and what a later one clears of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tunecli import temporary_folder

KILLED = """
import os, signal, socket
from multiprocessing.connection import Listener
from tunecli.temporary_folder import claim
claim()
claim()
listener = Listener(family="AF_UNIX")
os.kill(os.getpid(), signal.SIGKILL)
"""
LIVES = "from tunecli.temporary_folder import claim; claim(); print(flush=True); input()"


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with TemporaryDirectory() as folder:  # pytest's own may be too long for sockets
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def killed() -> None:
    assert subprocess.run([sys.executable, "-c", KILLED]).returncode < 0


def claimed_by_another() -> None:
    subprocess.run([sys.executable, "-c", LIVES], input=b"\n", check=True, capture_output=True)


def test_a_later_command_clears_what_a_killed_one_left(temporary: Path) -> None:
    killed()
    [left] = temporary.iterdir()
    listener, mark = sorted(path.name for path in left.iterdir())
    assert (listener[:9], mark) == ("listener-", "tunecli.lock")
    claimed_by_another()
    assert list(temporary.iterdir()) == []


def test_what_another_command_uses_stays(temporary: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LIVES], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        [used] = temporary.iterdir()
        killed()
        claimed_by_another()
        assert list(temporary.iterdir()) == [used]
        other.communicate(b"\n")
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("what", ["unmarked", "link", "link as mark", "more inside", "for all"])
def test_what_is_not_tuneclis_stays(temporary: Path, tmp_path: Path, what: str) -> None:
    killed()
    [left] = temporary.iterdir()
    elsewhere = tmp_path / "elsewhere"
    if what == "unmarked":
        (left / "tunecli.lock").unlink()
    elif what == "link":
        left.rename(elsewhere)
        left.symlink_to(elsewhere)
    elif what == "link as mark":
        (left / "tunecli.lock").rename(elsewhere)
        (left / "tunecli.lock").symlink_to(elsewhere)
    elif what == "more inside":
        (left / "notes").touch()
    else:
        left.chmod(0o777)
    claimed_by_another()
    assert left.exists()
    assert elsewhere.exists() == what.startswith("link")


def test_without_locks_nothing_is_marked(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError("no locks here")

    made = temporary / "pymp-here"
    made.mkdir()
    monkeypatch.setattr(temporary_folder.fcntl, "flock", flock)
    monkeypatch.setattr(temporary_folder.util, "get_temp_dir", lambda: str(made))
    temporary_folder.claim()
    assert os.listdir(made) == ["unlocked"]


def test_a_temporary_directory_too_long_for_sockets_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some clusters: otherwise the workers' server would not start."""
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    killed()
    assert not list(long.iterdir())
    claimed_by_another()  # clears it
