from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Never

import pytest

from tunecli.search.study.locks import Holder, TakenError, hold, soft


@pytest.fixture(params=["kernel", errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def lock(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock file where the kernel locks, and where it has no locks, each in its words."""
    if request.param != "kernel":
        no_locks(monkeypatch, request.param)
    return tmp_path / "search.lock"


def no_locks(monkeypatch: pytest.MonkeyPatch, number: int = errno.ENOSYS) -> None:
    def flock(*_: object) -> Never:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


def ended() -> int:
    """The number of a process that was here."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_one_holds_and_the_other_hears_who(lock: Path) -> None:
    with hold(lock):
        with pytest.raises(TakenError) as taken, hold(lock):
            pass
        assert taken.value.holder is not None
        assert str(taken.value.holder).startswith(f"process {os.getpid()} on ")
        with pytest.raises(TakenError), hold(lock):  # the loser has not removed it
            pass
    with hold(lock):
        pass


def test_other_trouble_with_locks_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_locks(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"), hold(tmp_path / "search.lock"):
        pass


@pytest.mark.parametrize("change", ["another boot", "no such process"])
def test_a_stale_file_is_recognized_where_the_kernel_has_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    no_locks(monkeypatch)
    here = Holder.here()
    gone = replace(here, boot="b") if change == "another boot" else replace(here, pid=ended())
    path = tmp_path / "search.lock"
    soft(path).write_text(json.dumps(asdict(gone)))
    with hold(path):
        assert Holder.read(soft(path)) == replace(here, since=Holder.here().since)
    assert not soft(path).exists()


@pytest.mark.parametrize("content", ["", "{", "[" * 10**5, "host"])
def test_who_cannot_be_asked_may_still_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    no_locks(monkeypatch)
    elsewhere = replace(Holder.here(), host="another", pid=1, boot="b")
    path = tmp_path / "search.lock"
    soft(path).write_text(json.dumps(asdict(elsewhere)) if content == "host" else content)
    with pytest.raises(TakenError) as taken, hold(path):
        pass
    assert taken.value.outlives == soft(path)


def test_a_holder_is_shown_without_control_characters() -> None:
    assert str(Holder(1, "\x1b[31mhost", "", "\n")) == r"process 1 on \x1b[31mhost since \n"
