"""Collect every mistake of a study file, each once and at its position."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tunecli.errors import Problem, StudyFileError
from tunecli.study_file.text.document import Document, Flaw, Path


@dataclass(frozen=True)
class Conflict:
    """Settings that exclude each other.

    Attributes:
        path: the setting or argument to look at first, such as ("training", "batch_size") or
            ("optimizer", "nesterov").
        others: the other settings that take part in the conflict.
    """

    path: Path
    message: str
    others: tuple[Path, ...] = ()


class Problems:
    """The mistakes found so far.

    A mistake is identified by its path, so that a mistake at many points of the search space is
    reported once.
    """

    def __init__(self, document: Document, file: str) -> None:
        self._document = document
        self._file = file
        self._found: dict[tuple[Path, str], Problem] = {}
        self._paths: set[Path] = set()
        self._around: set[Path] = set()  # these, and every part that contains one of them
        self._misspelled: set[Path] = set()
        self._unreadable = {flaw.path for flaw in document.flaws if flaw.unreadable}
        for flaw in document.flaws:
            self._found[flaw.path, flaw.message] = flaw.problem
            if flaw.unreadable:
                self._mark(flaw.path)

    def add(
        self, path: Path, message: str, *, of_key: bool = False, others: Sequence[Path] = ()
    ) -> None:
        """Report a mistake, unless the part could not be read.

        Args:
            of_key: whether to point at the key itself, not at its value.
            others: other paths of the mistake, to point at if `path` is not in the text.
        """
        self._mark(path)
        self._misspelled |= {path} if of_key else set()
        if covers(self._unreadable, path):
            return
        written = (one for one in (path, *others) if self._document.holds(one))
        mark = self._document.mark(next(written, path), of_key=of_key)
        self._found.setdefault((path, message), Flaw(path, mark, message).problem)

    def leave_unread(self, path: Path) -> bool:
        """Return whether something inside the part at `path` could not be read."""
        return any(flawed[: len(path)] == path for flawed in self._unreadable)

    def add_new(self, path: Path, message: str) -> None:
        """Report a mistake unless one is known at exactly this path."""
        if not self.has_at(path):
            self.add(path, message)

    def covers(self, path: Path) -> bool:
        """Return whether this part, or one that contains it, is known to be wrong."""
        return covers(self._paths, path)

    def has_at(self, path: Path) -> bool:
        """Return whether a mistake is known at exactly this path."""
        return path in self._paths

    def misspelled_at(self, path: Path) -> bool:
        """Return whether the name at this path is misspelled."""
        return path in self._misspelled

    def any_below(self, path: Path) -> bool:
        """Return whether this part, or something inside it, is known to be wrong."""
        return path in self._around

    def _mark(self, path: Path) -> None:
        self._paths.add(path)
        self._around.update(path[:length] for length in range(len(path) + 1))

    def paths(self) -> frozenset[Path]:
        """Return the paths of all mistakes."""
        return frozenset(self._paths)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Add problems that were found elsewhere, with their positions."""
        for problem in problems:
            self._found.setdefault(((problem.path,), problem.message), problem)

    def raise_any(self) -> None:
        """Raise StudyFileError with all mistakes, if there are any."""
        if self._found:
            raise self.error()

    def error(self) -> StudyFileError:
        """Return all mistakes as one error."""
        return StudyFileError(self._file, list(self._found.values()))


def covers(paths: Collection[Path], path: Path) -> bool:
    """Return whether `path`, or a part that contains it, is among `paths`."""
    return any(path[:length] in paths for length in range(len(path) + 1))
