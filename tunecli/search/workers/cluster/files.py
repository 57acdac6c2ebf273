"""The files of a study on the nodes of a cluster: seen where they are shared, else sent.

What is sent keeps its path below a folder of the node: the driver's `/home/me/a.csv` becomes
`FOLDER/home/me/a.csv`, so that paths relative to the study file lead to the same files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tunecli.data.cache.entries import content_sha256
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import ClusterError
from tunecli.files.file_lock import in_turn
from tunecli.files.own import make_folder
from tunecli.files.whole import whole_file
from tunecli.search.workers.messages import TrialJob
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.document import Document

Content = Mapping[str, bytes]
"""Files by path: relative to a folder, or absolute on the driver."""

MOST_BYTES = 2**30
"""Largest total of files that are sent to a node, or back to the driver."""

_COMPLETE = "complete"


@dataclass(frozen=True)
class SentFiles:
    """The files of one folder, to be written under the same path on another machine.

    Attributes:
        folder: absolute path on the driver.
        last: name of the file that makes the others count; it is written after them.
    """

    folder: str
    content: Content
    last: str = ""


def files_in(folder: Path) -> dict[str, bytes] | None:
    """Return the files of a folder and its folders by relative path; no links are followed.

    Returns:
        None if one of them is removed meanwhile.
    """
    with suppress(FileNotFoundError):
        return {str(path.relative_to(folder)): path.read_bytes() for path in _files_below(folder)}
    return None


def n_bytes(folder: Path) -> int:
    """Return the size of a folder's files."""
    with suppress(FileNotFoundError):
        return sum(path.stat().st_size for path in _files_below(folder))
    return 0


def write(folder: Path, sent: SentFiles) -> None:
    """Write files that were sent, each atomically, and remove older ones of their folders.

    Raises:
        OSError: they cannot be written.
    """
    make_folder(folder)
    before = {str(path.relative_to(folder)) for path in _files_below(folder)}
    for name in sorted(sent.content, key=lambda name: name == sent.last):
        make_folder(folder, *Path(name).parent.parts)
        with whole_file(folder / name) as part:
            part.write_bytes(sent.content[name])
    for name in before - sent.content.keys():
        (folder / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class Source:
    """How a file is recognized on another machine.

    Attributes:
        changed: when it was changed, in nanoseconds.
        sha256: hash of its content; empty if reading all sources takes long.
    """

    n_bytes: int
    changed: int
    sha256: str

    def is_at(self, path: Path) -> bool:
        """Return whether this machine has the file: by its content, or else by size and time.

        Archives and container images may give all their files the same time, so equal times show
        nothing where the content is known.

        Raises:
            OSError: there is no such file.
        """
        status = path.stat()
        if status.st_size != self.n_bytes:
            return False
        if self.sha256:
            return content_sha256(path) == self.sha256
        return status.st_mtime_ns == self.changed


Sources = Mapping[str, Source]
"""The files that a study reads, by absolute path."""


def sources_of(study: StudyFile, code: AllowedCode, folder: Path) -> Sources:
    """Return the files that a study reads.

    These are the files and folders that any text of the study file names, and the Python files
    in the folder of allowed code. Links are followed, as by all that reads data.
    """
    names = {*_texts(Document.parse(study.to_yaml(), study.file).data)}
    named = (folder / name for name in names if "/" in name or "." in name)
    code_folders = {file.parent for file, _ in code.files}
    scripts = (path for parent in code_folders for path in parent.glob("*.py"))
    paths = {file for path in (*named, *scripts) for file in _files_of(path)}
    stats = {os.path.abspath(path): path.stat() for path in sorted(paths)}
    is_large = sum(status.st_size for status in stats.values()) > MOST_BYTES
    return {
        path: Source(
            status.st_size, status.st_mtime_ns, "" if is_large else content_sha256(Path(path))
        )
        for path, status in stats.items()
    }


def sees_sources(sources: Sources) -> bool:
    """Return whether this machine has all these files under the same paths."""
    with suppress(OSError):
        return all(known.is_at(Path(path)) for path, known in sources.items())
    return False


def sources_to_send(sources: Iterable[str]) -> Content:
    """Return the content of a study's sources.

    Raises:
        ClusterError: they are too large.
    """
    paths = [*map(Path, sources)]
    total = sum(path.stat().st_size for path in paths)
    if total > MOST_BYTES:
        raise ClusterError(
            f"--ray: a node does not see the study's data, and its {total / 1e9:,.1f} GB are too "
            f"much to send ({MOST_BYTES / 1e9:.1f} GB at most). Put the data into a folder that "
            "all nodes share, under the same path."
        )
    return {str(path): path.read_bytes() for path in paths}


@dataclass(frozen=True)
class NodeFiles:
    """Where the workers of a node find what the driver has.

    Attributes:
        root: a folder of the node for what is sent.
        has_runs, has_sources: what the node sees under the driver's paths.
    """

    root: Path
    has_runs: bool
    has_sources: bool

    def path(self, ours: str | Path) -> Path:
        """Return the node's path of what the driver has at `ours`."""
        return self.root / str(Path(ours).absolute()).lstrip("/")

    def ours(self, path: str) -> str:
        """Return the driver's path of what this node has at `path`."""
        is_sent = Path(path).is_relative_to(self.root)
        return f"/{Path(path).relative_to(self.root)}" if is_sent else path

    def unpack(self, fetch: Callable[[], Content]) -> None:
        """Write the study's sources, once per node.

        Args:
            fetch: returns the sources; called by the first worker of the node only.
        """
        make_folder(self.root)
        with in_turn(self.root / ".sources.lock"):
            if (self.root / _COMPLETE).exists():
                return
            for name, data in fetch().items():
                path = self.path(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                with whole_file(path) as part:
                    part.write_bytes(data)
            with whole_file(self.root / _COMPLETE) as part:
                part.touch()

    def write(self, sent: SentFiles) -> None:
        """Write files that the driver sent."""
        write(self.path(sent.folder), sent)

    def remove(self, job: TrialJob) -> None:
        """Remove the folders of a trial that has ended here."""
        for folder in filter(None, (job.checkpoint, job.models)):
            shutil.rmtree(self.path(folder), ignore_errors=True)

    def workspace(self, ours: Workspace) -> Workspace:
        """Return the workspace of the node's workers."""
        if not self.has_runs:
            ours = replace(ours, cache=self.root / ".cache")
        if self.has_sources:
            return ours
        folder = self.path(ours.folder)
        folder.mkdir(parents=True, exist_ok=True)  # paths in a study file may begin with `..`
        return replace(ours, folder=folder, code=self.code(ours.code))

    def enter(self, ours: Path) -> None:
        """Make the driver's current folder that of this process, if the node has it.

        Where sources were sent, it is the folder to which they were sent, so that relative paths
        of the user's code lead to the same files.

        Args:
            ours: the driver's current folder, an absolute path.
        """
        copies = [] if self.has_sources else [self.path(ours)]
        for folder in (*copies, ours):
            with suppress(OSError):
                os.chdir(folder)
                return

    def code(self, ours: AllowedCode) -> AllowedCode:
        """Return the allowed code under the node's paths, with the same hashes."""
        files = tuple((self.path(file), known) for file, known in ours.files)
        return replace(ours, folder=self.path(ours.folder), files=files)


def _files_of(path: Path) -> Iterator[Path]:
    with suppress(OSError, ValueError):  # any text may be asked for
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from _linked_files_below(path)


def _linked_files_below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Yield the files below a folder; links are followed, except to a folder above them.

    Args:
        above: the folders on the way to this one, with links resolved.
    """
    real = folder.resolve()
    if any(other.is_relative_to(real) for other in above):
        return
    for path in sorted(folder.iterdir()):
        if path.is_file():
            yield path
        elif path.is_dir():
            yield from _linked_files_below(path, (*above, real))


def _files_below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
