from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands import environment, processes_in, wait_for
from locations import ROOT

from tunecli.data.rows import loader_processes
from tunecli.data.rows.loader_processes import loaded
from tunecli.errors import UserCodeError

REQUESTS = [[3, 1], [4], [1, 5, 9], [2, 6]]


def told(rows: list[int]) -> tuple[list[int], int]:
    return rows, os.getpid()


def test_answers_come_in_order_from_other_processes() -> None:
    state = torch.get_rng_state()
    for n in (0, 1, 2):
        found = list(loaded("own", told, REQUESTS, n))
        assert [rows for rows, _ in found] == REQUESTS
        pids = {pid for _, pid in found}
        assert len(pids) == max(1, n)
        assert (os.getpid() in pids) == (n == 0)
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids - {os.getpid()})
    assert torch.equal(torch.get_rng_state(), state)


def test_what_is_left_in_the_middle_ends() -> None:
    walk = loaded("own", told, REQUESTS * 50, 2)
    _, pid = next(walk)
    assert Path(f"/proc/{pid}").exists()
    walk.close()  # type: ignore[attr-defined]
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UserCodeError("own: item 5: broken."), r"^own: item 5: broken\.$"),
        (MemoryError("no room"), "^no room$"),
    ],
)
def test_an_error_is_raised_as_it_was(error: Exception, message: str) -> None:
    def read(rows: list[int]) -> list[int]:
        if 5 in rows:
            raise error
        return rows

    with pytest.raises(type(error), match=message):
        list(loaded("own", read, REQUESTS, 2))


def test_a_loader_that_dies_is_told_in_a_sentence() -> None:
    def read(rows: list[int]) -> list[int]:
        if 5 in rows:
            os.kill(os.getpid(), signal.SIGKILL)
        return rows

    with pytest.raises(UserCodeError, match=r"^own: a loader process died\. Memory may"):
        list(loaded("own", read, REQUESTS, 2))


def test_there_are_no_more_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for cores, n in ((1, 1), (2, 2), (64, loader_processes.MOST)):
        monkeypatch.setattr(loader_processes, "n_cores", lambda cores=cores: cores)
        assert loader_processes.n_loaders() == n
    monkeypatch.setattr(sys, "platform", "darwin")
    assert loader_processes.n_loaders() == 0


PARENT = """
import signal, sys, threading, time
from tunecli.data.rows.loader_processes import loaded

def read(rows):
    if rows == [2]:
        time.sleep(1000)  # it hangs in the user's code
    return rows

def walk():
    for rows in loaded("own", read, [[1], [2], [2], [2]], 2):
        print(rows, flush=True)

signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as a worker does
if sys.argv[1] == "main":
    walk()
else:
    threading.Thread(target=walk).start()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.slow
@pytest.mark.parametrize("thread", ["main", "other"])
def test_loaders_end_with_their_process_and_hear_what_it_hears(
    thread: str, tmp_path: Path
) -> None:
    path = f"{ROOT}:{environment().get('PYTHONPATH', '')}"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, thread],
        cwd=tmp_path,
        env=environment() | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    with parent.stdout as told_by_it:
        assert told_by_it.readline() == b"[1]\n"
    wait_for(lambda: len(processes_in(tmp_path)) == 3)
    children = Path(f"/proc/{parent.pid}/task").glob("*/children")
    loaders = [int(pid) for path in children for pid in path.read_text().split()]
    assert len(loaders) == 2
    for pid in loaders:
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
    assert len(processes_in(tmp_path)) == 3
    parent.kill()
    parent.wait()
    wait_for(lambda: not processes_in(tmp_path), seconds=5)
