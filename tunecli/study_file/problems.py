"""Collects every mistake of a study file, each once and at its place."""

from __future__ import annotations

from collections.abc import Iterable

from tunecli.errors import Problem, StudyFileError
from tunecli.study_file.document import Document, Path, dotted


class Problems:
    """The mistakes found so far.

    A mistake is known by its path: what is wrong at a path, or is expected to be because a part
    that contains it is wrong already, is not reported again.
    """

    def __init__(self, document: Document, file: str) -> None:
        self._document = document
        self._file = file
        self._found: dict[tuple[Path, str], Problem] = {}
        self._paths: set[Path] = set()

    def add(self, path: Path, message: str, *, of_key: bool = False) -> None:
        """Report `message` at `path`; `of_key` points at the key itself, not at its value."""
        mark = self._document.mark(path, of_key=of_key)
        problem = Problem(mark.line, mark.column, dotted(path), message)
        self._found.setdefault((path, message), problem)
        self._paths.add(path)

    def add_new(self, path: Path, message: str) -> None:
        """Report unless this part, or one that contains it, is known to be wrong."""
        if not self.cover(path):
            self.add(path, message)

    def cover(self, path: Path) -> bool:
        """Whether this part, or one that contains it, is known to be wrong."""
        return any(path[:length] in self._paths for length in range(len(path) + 1))

    def paths(self) -> frozenset[Path]:
        """Where something is wrong."""
        return frozenset(self._paths)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Report mistakes that were found elsewhere, with their places."""
        for problem in problems:
            self._found.setdefault(((problem.path,), problem.message), problem)

    def raise_any(self) -> None:
        """Raise StudyFileError with all of them, if there are any."""
        if self._found:
            raise StudyFileError(self._file, list(self._found.values()))
