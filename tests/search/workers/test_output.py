"""What workers print: lines from bytes that arrive in any pieces."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.search.workers.output import LONGEST, PIPE_BYTES, WARNING, OutputLines


def pipe() -> tuple[OutputLines, Connection]:
    reader, writer = Pipe(duplex=False)
    return OutputLines(reader), writer


def lines_of(*pieces: bytes) -> list[str]:
    """The lines of bytes that arrive in pieces."""
    output, writer = pipe()
    found: list[str] = []
    for piece in pieces:
        os.write(writer.fileno(), piece)
        found += output.read()
    writer.close()
    found += output.read(is_last=True)
    assert not output.is_open
    output.close()
    return found


TEXTS = st.lists(st.text(st.characters(exclude_characters="\r\n"), max_size=20), max_size=5)


@given(texts=TEXTS, cuts=st.lists(st.integers(0, 100), max_size=5))
def test_lines_do_not_depend_on_the_pieces(texts: list[str], cuts: list[int]) -> None:
    content = "".join(f"{text}\n" for text in texts).encode("utf-8", "replace")
    places = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    pieces = [content[a:b] for a, b in pairwise(places)]
    assert lines_of(*filter(None, pieces)) == [
        text.encode("utf-8", "replace").decode() for text in texts
    ]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"half", ["half"]),
        (b"one\r\ntwo\n", ["one", "two"]),
        (b"\r 10%\r 50%\r100%\nend", ["100%", "end"]),
        (b"\r 10%\r 50%\r", [" 50%"]),
        (b"\n\n", ["", ""]),
        (b"\xff\n", ["�"]),
        (b"x" * (2 * LONGEST + 1), ["x" * LONGEST, "x" * LONGEST, "x"]),
    ],
)
def test_unfinished_long_and_odd_lines(content: bytes, lines: list[str]) -> None:
    assert lines_of(content) == lines


def test_reading_never_waits_and_ends() -> None:
    output, writer = pipe()
    assert output.read() == ()
    os.write(writer.fileno(), b"x\n" * 100)
    assert output.read() == ("x",) * 100
    assert output.is_open
    with subprocess.Popen(["yes"], stdout=writer.fileno()) as endless:
        writer.close()
        wait([output.reader])
        first = output.read()
        endless.kill()
        assert 0 < len(first) <= PIPE_BYTES
        while output.is_open:
            output.read()
    output.close()


CHILD = """
import ctypes, os, subprocess, sys, threading, warnings
from multiprocessing.connection import Connection, wait
from tunecli.search.workers.output import flush_output, print_into
print_into(Connection({descriptor}, readable=False))
print("python")
print("error", file=sys.stderr)
os.write(1, b"descriptor\\n")
subprocess.run(["sh", "-c", "echo process; echo its error >&2"])
ctypes.CDLL(None).puts(b"native")
flush_output()
warnings.warn("two\\nlines")
sys.stdout.write("unfinished")
flush_output()
os.kill(os.getpid(), 9)
"""


def test_every_way_to_print_arrives_though_the_process_is_killed() -> None:
    output, writer = pipe()
    code = CHILD.format(descriptor=writer.fileno())
    done = subprocess.run(
        [sys.executable, "-c", code], pass_fds=[writer.fileno()], capture_output=True
    )
    writer.close()
    *lines, warning, unfinished = output.read(is_last=True)
    output.close()
    assert (done.returncode, done.stdout, done.stderr) == (-9, b"", b"")
    assert lines == ["python", "error", "descriptor", "process", "its error", "native"]
    assert warning == "warning: two lines (UserWarning, <string>:12)"
    assert WARNING.fullmatch(warning)
    assert unfinished == "unfinished"
