"""Run by `test_full_disk.py`: searches on a disk that is as full as it says, and prints JSON.

    full_disk.py tmpfs|limit FOLDER ROOM…

`tmpfs` mounts a file system of that many KiB (in a user namespace: `unshare -rm`), `limit` lets no
file grow beyond them. After each search there is room again, and the next one has to complete.
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import commands_in_process
from commands import table
from test_damage import STUDY

from tunecli.database.records import read_study
from tunecli.database.urls import sqlite_url
from tunecli.search.workers.executor import EXECUTORS

ROOM = 20_000  # KiB, enough for everything


class Disk:
    """A folder in which there is as much room as `set` says, in KiB."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind = kind
        self._folder = folder
        folder.mkdir(exist_ok=True)
        if kind == "tmpfs":
            self._mount("-t", "tmpfs", "-o", f"size={ROOM}k", "none")

    def set(self, room: int) -> None:
        if self._kind == "tmpfs":
            self._mount("-o", f"remount,rw,size={room}k")
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room * 1024, resource.RLIM_INFINITY))

    def forbid_writing(self) -> None:
        self._mount("-o", "remount,ro")

    def _mount(self, *words: str) -> None:
        subprocess.run(["mount", *words, str(self._folder)], check=True)


def attempt(disk: Disk, folder: Path, room: int) -> dict[str, object]:
    """Search with that much room (0: may only read), and then with enough."""
    shutil.rmtree(folder / "runs", ignore_errors=True)
    disk.set(ROOM)
    (folder / "digits.yaml").write_text(STUDY)
    words = ("search", "digits.yaml", "--jobs", "1")
    if room == 0:
        half = commands_in_process.run(folder, *words, "--trials", "5")
        assert half.code == 0, half
        disk.forbid_writing()
    else:
        disk.set(room)
    full = commands_in_process.run(folder, *words)
    disk.set(ROOM)
    database = folder / "runs" / "digits" / "study.db"
    stored = {}
    if database.exists() and database.stat().st_size:
        stored = {trial.number: trial.outcome for trial in read_study(sqlite_url(database)).trials}
    acknowledged = [int(n) for n in re.findall(r"^trial +(\d+)", full.stderr, re.MULTILINE)]
    again = commands_in_process.run(folder, *words)
    return {
        "room": room,
        "code": full.code,
        "last": full.stderr.splitlines()[-1],
        "bug": full.bug + again.bug,
        "lost": [n for n in acknowledged if stored.get(n) is None],
        "n_acknowledged": len(acknowledged),
        "again": again.code,
        "said": again.stderr,
        "table": repr(table(database)),
    }


def main() -> None:
    kind, folder, *rooms = sys.argv[1:]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    EXECUTORS["local"] = commands_in_process.FormulaExecutor
    disk = Disk(kind, Path(folder))
    for room in rooms:
        print(json.dumps(attempt(disk, Path(folder), int(room))), flush=True)


if __name__ == "__main__":
    main()
