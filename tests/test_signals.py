"""A first signal ends a command cleanly, a second one at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tunecli.signals import COPIES

PROGRAM = """
import time
from tunecli.signals import interrupting

class Saving:
    interrupted = False

    def interrupt(self):
        self.interrupted = True

saving = Saving()
with interrupting(saving) as received:
    print("ready", flush=True)
    while not saving.interrupted:
        time.sleep(0.01)
    print("saving", flush=True)
    time.sleep({seconds})
    print("saved", len(received), flush=True)
"""


@contextmanager
def begun(seconds: float) -> Iterator[subprocess.Popen[str]]:
    """A program that needs `seconds` to save after its first signal."""
    program = PROGRAM.format(seconds=seconds)
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def rest(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.read()


def test_a_notice_that_comes_twice_counts_once() -> None:
    with begun(seconds=2 * COPIES) as process:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        time.sleep(COPIES / 10)
        process.send_signal(signal.SIGTERM)
        assert rest(process).startswith("saving\nsaved ")
        assert process.wait() == 0


@pytest.mark.parametrize(
    ("first", "second", "pause"),
    [
        (signal.SIGTERM, signal.SIGTERM, 1.5 * COPIES),
        (signal.SIGTERM, signal.SIGINT, 0.0),
        (signal.SIGINT, signal.SIGINT, 0.0),
    ],
)
def test_a_second_signal_ends_at_once(
    first: signal.Signals, second: signal.Signals, pause: float
) -> None:
    with begun(seconds=60) as process:
        process.send_signal(first)
        assert process.stdout is not None
        assert process.stdout.readline() == "saving\n"
        time.sleep(pause)
        process.send_signal(second)
        assert rest(process) == ""
        assert process.wait() == {signal.SIGTERM: 143, signal.SIGINT: 130}[first]
