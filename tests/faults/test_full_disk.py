"""Item 9: a disk that is full, at 20 levels, and a folder that may only be read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import environment

pytestmark = pytest.mark.slow

LEVELS = {"tmpfs": range(12, 292, 14), "limit": range(4, 184, 9)}  # KiB; beyond, all fits
SCRIPT = Path(__file__).with_name("full_disk.py")


def attempts(kind: str, folder: Path, rooms: list[int]) -> list[dict[str, Any]]:
    """What came of a search with each of these rooms, by `full_disk.py`."""
    apart = ["unshare", "--user", "--map-root-user", "--mount"] if kind == "tmpfs" else []
    words = [sys.executable, str(SCRIPT), kind, str(folder), *map(str, rooms)]
    done = subprocess.run([*apart, *words], env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def skip_unless_possible(kind: str, folder: Path) -> None:
    if kind == "limit":
        return
    try:
        mount = ["mount", "-t", "tmpfs", "none", str(folder)]
        words = ["unshare", "--user", "--map-root-user", "--mount", *mount]
        done = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("unshare is missing")
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")


@pytest.mark.parametrize("kind", ["tmpfs", "limit"])
def test_what_was_acknowledged_is_there_and_the_search_goes_on_when_there_is_room(
    tmp_path: Path, kind: str, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    skip_unless_possible(kind, tmp_path)
    n, levels = n_faults(20), LEVELS[kind]
    rooms = [levels[(2 * number + 1) * len(levels) // (2 * n)] for number in range(n)]
    *tried, whole = attempts(kind, tmp_path, [*rooms, 20_000])
    assert whole["code"] == 0, whole
    for attempt in tried:
        assert not attempt["bug"], attempt
        assert attempt["code"] in (0, 1), attempt
        if attempt["code"] == 1:
            assert "is full" in attempt["last"] or "cannot be written" in attempt["last"], attempt
        assert attempt["lost"] == [], attempt
        assert attempt["again"] == 0, attempt
        assert attempt["table"] == whole["table"], attempt
    failed = [attempt for attempt in tried if attempt["code"] == 1]
    assert failed, "there was room for everything"
    n_kept = sum(attempt["n_acknowledged"] for attempt in failed)
    figure(
        f"disk full ({kind}) at {len(tried)} levels: {len(failed)} searches stopped with a line, "
        f"0 of {n_kept} acknowledged trials lost, all tables equal after there was room"
    )


def test_a_folder_that_may_only_be_read(tmp_path: Path) -> None:
    skip_unless_possible("tmpfs", tmp_path)
    denied, whole = attempts("tmpfs", tmp_path, [0, 20_000])
    assert not denied["bug"]
    assert denied["code"] == 1
    assert "cannot be written (Read-only file system)" in denied["last"]
    assert denied["again"] == 0
    assert denied["table"] == whole["table"]
