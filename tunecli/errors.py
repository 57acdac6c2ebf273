"""The errors that a user of tunecli can meet.

TunecliError
├── StudyFileError      every mistake of a study file at once
├── DataError           the data cannot be read, or does not fit the study
│   └── DataMistakesError   several settings do not fit the data
├── UserCodeError       code of the user's own raised, or gave the wrong thing
├── PlaceError          --runs or --storage names no place for a study
├── OutputError         a file that the user named cannot be written
├── NoGpuError          GPUs were asked for, and the study uses none
├── AddressError        nothing can listen at --host and --port
├── MissingPackageError a package that only this command needs is not installed
├── TrackerError        --log names no tracker
├── StudyNotFoundError  no study of that name where it was looked for
├── StudyBusyError      another search holds the study
├── NotComparableError  studies whose scores mean different things
├── StudyChangedError   the study file no longer belongs to the stored study
├── ModelFolderError    a model folder is damaged, foreign, or cannot be written
├── RefitError          a trial cannot become a model
├── ExportError         a model cannot be exported, or the file would give something else
├── OutputError         standard output cannot be written
└── DatabaseError       the study database is damaged, foreign, locked or full

Their text is a sentence for the user: the rule, the value, the way out. The command line prints
it without a traceback; every other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import isdir  # a name that is too long is no folder; a Path would raise
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)


MOST_PROBLEMS = 100
"""Of a study file that are told one by one."""


class TunecliError(Exception):
    """A user's mistake or the machine's trouble, told in one sentence."""

    exit_code = 1


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a study file.

    Attributes:
        line: counted from 1; 0 if the mistake has no place in the text.
        column: counted from 1.
        path: where in the study file, as `optimizer.SGD.lr`; empty for the file itself.
        message: what is wrong, what was given, what to write instead.
        override: the `path=value` of a `--set` that it comes from, in place of a line.
    """

    line: int
    column: int
    path: str
    message: str
    override: str = ""


def _shortened(text: str, longest: int = 200) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


class StudyFileError(TunecliError):
    """All mistakes of one study file, sorted by line."""

    exit_code = 2

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems))
        lines = [self._line(problem) for problem in self.problems[:MOST_PROBLEMS]]
        if len(self.problems) > MOST_PROBLEMS:
            lines.append(
                f"{file}: {len(self.problems) - MOST_PROBLEMS:,} more mistakes like these."
            )
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[StudyFileError], tuple[str, tuple[Problem, ...]]]:
        return type(self), (self.file, self.problems)  # workers send it to the driver

    def _line(self, problem: Problem) -> str:
        place = f"{self.file}:{problem.line}:{problem.column}" if problem.line else self.file
        if problem.override:
            place = f"--set {_shortened(problem.override)}"
        text = f"{place}: {problem.path + ': ' if problem.path else ''}{problem.message}"
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)  # one line each


class DataError(TunecliError):
    """The data cannot be read, or does not fit the study.

    Args:
        message: a sentence.
        setting: where in the study file the way out is, as `data.test`; empty for elsewhere.
    """

    exit_code = 2

    def __init__(self, message: str, setting: str = "") -> None:
        super().__init__(f"{setting}: {message}" if setting else message)
        self.message = message
        self.setting = setting

    @property
    def mistakes(self) -> tuple[DataError, ...]:
        """Each by itself."""
        return (self,)


class DataWarning(UserWarning):
    """Rows to predict may be written otherwise than those that a model was trained on."""


class DataMistakesError(DataError):
    """Several settings do not fit the data; each is told, a line each.

    Args:
        mistakes: one at least; all have a setting.
    """

    def __init__(self, mistakes: Sequence[DataError]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.setting = mistakes[0].setting
        self._mistakes = tuple(mistakes)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Errors cross from workers; Exception would pass the text in the mistakes' place."""
        return type(self), (self._mistakes,)

    @property
    def mistakes(self) -> tuple[DataError, ...]:
        """Each by itself."""
        return self._mistakes


class UserCodeError(TunecliError):
    """Code of the user's own raised, or gave something else than what is due."""

    exit_code = 2


class PlaceError(TunecliError):
    """`--runs` or `--storage` names no place for a study."""

    exit_code = 2


class OutputError(TunecliError):
    """A file that the user named cannot be written.

    Args:
        option: that names it; empty for an argument.
    """

    def __init__(self, path: Path, error: OSError, option: str = "") -> None:
        named = f"{option}: {path}" if option else str(path)
        why = f"{named} cannot be written ({error.strerror or error})."
        super().__init__(f"{why} {_way_to_write(path, error)}")
        self.exit_code = 1 if error.errno in NO_ROOM else 2


def _way_to_write(path: Path, error: OSError) -> str:
    """The next step of somebody who named a file that cannot be written."""
    if not isdir(path.parent):
        return f"There is no folder {path.parent}: make it, or name another file."
    if isdir(path):
        return f"Name a file, as {path / 'a'}{path.suffix}."
    known = {errno.EEXIST: "Remove it, or name another file."}
    known |= dict.fromkeys(NO_ROOM, "Make room, or name another file.")
    known |= dict.fromkeys(NO_RIGHT, "Allow it, or name another file.")
    return known.get(error.errno or 0, "Name another file.")


class NoGpuError(TunecliError):
    """GPUs were asked for, and the study uses none."""

    exit_code = 2


class AddressError(TunecliError):
    """Nothing can listen at `--host` and `--port`."""

    exit_code = 2


class MissingPackageError(TunecliError):
    """A package that only this command needs is not installed.

    Args:
        extra: the name that installs it, as in `tunecli[extra]`.
    """

    exit_code = 2

    def __init__(self, extra: str, error: ModuleNotFoundError) -> None:
        super().__init__(
            f"The Python package {error.name} is not installed: pip install 'tunecli[{extra}]'"
        )


class TrackerError(TunecliError):
    """`--log` names no tracker."""

    exit_code = 2


class StudyNotFoundError(TunecliError):
    """No study of that name where it was looked for."""

    exit_code = 2


class StudyBusyError(TunecliError):
    """Another search holds the study."""


class StudyChangedError(TunecliError):
    """The study file no longer belongs to the stored study."""

    exit_code = 2


class NotComparableError(TunecliError):
    """The scores of several studies mean different things."""

    exit_code = 2


class ModelFolderError(TunecliError):
    """A model folder is damaged, foreign, or cannot be written."""


class RefitError(TunecliError):
    """A trial cannot become a model."""


class ExportError(TunecliError):
    """A model cannot be exported, or the file would give something else."""


class StandardOutputError(TunecliError):
    """Standard output cannot be written; without words if nobody reads it any more."""


class DatabaseError(TunecliError):
    """The study database is damaged, foreign, locked or full."""


class TrialStopped(BaseException):
    """Raised by `report` in a training of the user's own once its trial is over.

    It ends the training on its way out; catch it only to clean up, and raise it again. Like
    KeyboardInterrupt it is no Exception, so that no `except Exception` swallows it.
    """
