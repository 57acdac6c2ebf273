"""Commands run inside the test process: hundreds of them in the time of a few processes.

`search` gets workers that compute formulas (`in_process.py`); all else is the product's.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Never

import pytest
from formula_executor import FormulaExecutor

from tunecli import cli
from tunecli.search.workers.executor import EXECUTORS

SECONDS = 30  # that a command may take before it counts as hanging


@dataclass(frozen=True)
class Told:
    """What a command left behind: its exit code, what it wrote, and a traceback if one got out."""

    words: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    bug: str

    def __str__(self) -> str:
        return f"{' '.join(self.words)} → {self.code}\n{self.stderr}{self.bug}"


@pytest.fixture
def formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `search` compute formulas in place of training."""
    monkeypatch.setitem(EXECUTORS, "local", FormulaExecutor)


class Hanging(BaseException):
    """A command took longer than SECONDS."""


class Terminal(io.StringIO):
    """Standard output that somebody looks at."""

    def isatty(self) -> bool:
        return True


def run(folder: Path, *words: str, on_terminal: bool = False) -> Told:
    """Run one command in `folder`, as the console script would."""
    out, err = Terminal() if on_terminal else io.StringIO(), io.StringIO()
    bug, code = "", 0
    with _inside(folder, words), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
        except (Exception, Hanging):
            bug, code = traceback.format_exc(), -1
    return Told(words, code, out.getvalue(), err.getvalue(), bug)


@contextlib.contextmanager
def _inside(folder: Path, words: tuple[str, ...]) -> Iterator[None]:
    before, arguments = Path.cwd(), sys.argv
    handler = signal.signal(signal.SIGALRM, _hang)
    os.chdir(folder)
    sys.argv = ["tunecli", *words]
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        sys.argv = arguments
        os.chdir(before)


def _hang(_: int, __: FrameType | None) -> Never:
    raise Hanging
