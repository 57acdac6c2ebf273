"""Results that cannot be written are a failure; remarks that cannot be are lost without harm."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from commands import command, environment
from study_makers import complete, made, mlp

RESULTS = [
    *(["report"], ["report", "digits"], ["report", "digits", "--json"]),
    *(["report", "digits", "--csv"], ["report", "digits", "--markdown"], ["schema"]),
    *(["next", "digits", "--exploit"], ["--help"], ["--version"], ["search", "--help"]),
]

TEXT = """\
study: digits
data: digits
model: {MLP: {width: {int: [8, 128], log: true}}}
optimizer:
  choice:
  - AdamW: {lr: {float: [1e-5, 1e-1], log: true}}
  - SGD: {lr: {float: [1e-5, 1], log: true}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("streams")
    trials = [(mlp(0.01 * n), complete(0.8, 0.9 - n / 100)) for n in range(1, 5)]
    made(path / "runs" / "digits", trials, attributes={"study_file": TEXT, "overrides": []})
    return path


def in_shell(folder: Path, line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    words = " ".join(command())
    return subprocess.run(
        ["bash", "-c", line.replace("tunecli", words)],
        cwd=folder,
        env=environment() | variables,
        capture_output=True,
        text=True,
        errors="surrogateescape",
    )


@pytest.mark.parametrize("words", RESULTS[1:3], ids=" ".join)
def test_a_full_and_a_closed_standard_output_are_failures(folder: Path, words: list[str]) -> None:
    for where, reason in ((">/dev/full", "No space left on device"), (">&-", "Bad file")):
        done = in_shell(folder, f"tunecli {' '.join(words)} {where}")
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert done.stderr.startswith(f"Cannot write to standard output: {reason}")


def test_whoever_reads_no_further_is_told_nothing(folder: Path) -> None:
    done = in_shell(folder, "tunecli report digits --json | true; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict", "latin-1"])
def test_an_encoding_that_lacks_characters_gets_others(folder: Path, encoding: str) -> None:
    done = in_shell(folder, "tunecli report digits", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert "digits" in done.stdout
    assert done.stdout.isascii() or encoding == "latin-1"
    wide = in_shell(folder, "tunecli report digits").stdout
    assert len(wide.splitlines()) == len(done.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("words", RESULTS, ids=" ".join)
def test_so_is_every_result(folder: Path, words: list[str]) -> None:
    line = f"tunecli {' '.join(words)}"
    for where in ("/dev/full", "&-"):
        done = in_shell(folder, f"{line} >{where}")
        assert done.returncode == 1
        assert "Cannot write to standard output" in done.stderr
        assert "Traceback" not in done.stderr
    assert in_shell(folder, f"{line} 2>/dev/full").returncode == 0
    assert in_shell(folder, f"{line} 2>&- <&-").returncode == 0
    assert in_shell(folder, line, PYTHONIOENCODING="ascii").stdout.isascii()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["2>/dev/full", "2>&- >&- <&-", "2>&1 | true"])
def test_a_search_goes_on_whether_or_not_anybody_watches(tmp_path: Path, where: str) -> None:
    text = "data: digits\nmodel: Linear\noptimizer: SGD\ntraining: {epochs: 1}\n"
    (tmp_path / "a.yaml").write_text(text)
    done = in_shell(tmp_path, f"tunecli search a.yaml --trials 2 {where}; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 0
    assert "2 complete" in in_shell(tmp_path, "tunecli report").stdout


def test_a_mistake_is_one_with_nobody_to_tell(tmp_path: Path) -> None:
    assert in_shell(tmp_path, "tunecli check none.yaml 2>&-").returncode == 2
    assert os.listdir(tmp_path) == []
