"""Files that somebody else may have named: regular, of bounded size, nested within limits."""

from __future__ import annotations

import ast
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import call_in
from locations import PACKAGE

from tunecli.errors import StudyFileError
from tunecli.files.small import read_small
from tunecli.search.study.locks import Holder
from tunecli.study_file.study_file import StudyFile


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**42)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


UNFIT = {
    pipe: "it is a pipe, not a regular file",
    endless: "it is a device, not a regular file",
    sparse: r"it is larger than [\d,]+ bytes",
    listening: "No such device or address",
    Path.mkdir: "Is a directory",
}


@pytest.mark.parametrize(("make", "reason"), UNFIT.items())
def test_what_is_no_small_regular_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    path = tmp_path / "x.yaml"
    make(path)
    with pytest.raises(OSError, match=reason):
        read_small(path)
    assert Holder.read(path) is None
    done = call_in(tmp_path, "report", "x.yaml", code=2)
    assert done.stderr.startswith("x.yaml: cannot be read: ")


def test_a_file_is_read_whole_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    link = tmp_path / "link"
    link.symlink_to(path)
    assert read_small(path, 5) == read_small(link, 5) == b"12345"
    with pytest.raises(OSError, match="it is larger than 4 bytes"):
        read_small(path, 4)


SYSTEM_FILES = {
    *(
        "search/workers/watching.py",
        "data/rows/hardware.py",
        "guide/topics.py",  # the package's own
        "training/state/memory.py",
    ),
    "search/study/locks.py",  # the machine's boot
    "search/workers/cluster/files.py",  # what is sent to nodes, at most 1 GB together
    "cli/shared/process_title.py",  # where the kernel keeps the arguments
    *("report/page/html_document.py", "study_file/catalogue/names.py"),
    "study_file/catalogue/architectures.py",  # these three: of installed packages
}
"""Read whole what no user can name."""
CHECKED = {"model_folder/format/folder.py", "training/saved_models.py"}
"""Read weights, which are compared with a checksum of their folder."""


def test_every_module_reads_whole_files_with_bounds() -> None:
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("read_text", "read_bytes"):
                found.add(str(path.relative_to(PACKAGE)))
    assert found <= SYSTEM_FILES | CHECKED


NESTED = ["{", "[", "? ", "- ", "{[", "[{", "{? ", "{a: ", "{? [", "&a {", "a: {"]


@pytest.mark.parametrize("opening", NESTED)
@pytest.mark.parametrize("before", ["", "data: "])
def test_nesting_is_bounded_wherever_it_is(opening: str, before: str) -> None:
    with pytest.raises(StudyFileError, match=r"nested at most 40 levels|invalid YAML"):
        StudyFile.from_text(before + opening * 5000, "x.yaml")
