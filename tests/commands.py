"""Running commands as a user would, and looking at what they left: for every test of the whole."""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from tunecli.cli import main


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "tunecli", *words]


def run_in(folder: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs a command as a user would."""
    done = subprocess.run(
        command(*words), cwd=folder, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def call_in(folder: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs a command in this process: for tests of what it does, not of its process.

    torch, Optuna and the server that workers fork from are loaded once then, which is most of
    what a small search takes.
    """
    out, err = io.StringIO(), io.StringIO()
    width = patch.dict(os.environ, COLUMNS="100")
    argv = patch.object(sys, "argv", ["tunecli", *words])
    with chdir(folder), width, argv, redirect_stdout(out), redirect_stderr(err):
        ended = _code_of(main)
    done = subprocess.CompletedProcess(["tunecli", *words], ended, out.getvalue(), err.getvalue())
    assert ended == code, done.stderr
    return done


def _code_of(command: Callable[[], None]) -> int:
    try:
        command()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else 0
    return 0


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def table(path: Path) -> Sequence[tuple[object, ...]]:
    """Everything that must be the same however a search went."""
    trials = rows(
        path,
        "SELECT number, state, param_name, param_value, value, step, fold, score, train_loss "
        "FROM trials JOIN trial_params USING (trial_id) LEFT JOIN trial_values USING (trial_id) "
        "LEFT JOIN tunecli_curves USING (trial_id) ORDER BY number, param_name, step, fold",
    )
    others = [*kept_predictions(path), *out_of_fold(path)]
    return [*trials, *((*row, *[None] * (9 - len(row))) for row in others)]  # as long


def kept_predictions(path: Path) -> Sequence[tuple[object, ...]]:
    """The out-of-fold predictions of the trials that ensembles are chosen from."""
    return rows(
        path,
        "SELECT number, state, 'predictions', npz FROM trials "
        "JOIN tunecli_predictions USING (trial_id) ORDER BY number",
    )


def out_of_fold(path: Path) -> Sequence[tuple[object, ...]]:
    """Size of each trial's out-of-fold predictions, and the scores of its targets."""
    return rows(
        path,
        "SELECT number, state, 'out of fold', n_bytes, of_targets FROM trials "
        "JOIN tunecli_out_of_fold USING (trial_id) ORDER BY number",
    )


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def read_all(descriptor: int) -> str:
    """What was written to a terminal."""
    told = b""
    try:
        while part := os.read(descriptor, 65536):
            told += part
    except OSError:  # the other side is closed
        pass
    os.close(descriptor)
    return told.decode()


def processes_in(folder: Path) -> list[str]:
    """Processes that were started there and still run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == folder and int(entry.name) != os.getpid():
                found.append((entry / "cmdline").read_text())
        except OSError:
            continue
    return [line for line in found if line]
