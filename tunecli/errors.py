"""The errors that a user of tunecli can meet.

TunecliError
├── UserError           a mistake in what the user wrote
│   ├── StudyFileError      every mistake of a study file at once
│   ├── DataError           the data cannot be read, or does not fit the study
│   │   └── DataMistakesError   several settings do not fit the data
│   ├── UserCodeError       the user's own code raised, or returned the wrong thing
│   ├── PlaceError          --runs or --storage cannot hold a study
│   ├── NoGpuError          GPUs were requested, but the study uses none
│   ├── ClusterError        --ray names no cluster that can train the study
│   ├── AddressError        no server can listen on --host and --port
│   ├── MissingPackageError an optional package that this command needs is not installed
│   ├── TrackerError        --log names an unknown tracker
│   ├── StudyNotFoundError  no study has that name in this place
│   ├── TopicNotFoundError  the guide has no such topic
│   ├── NotComparableError  the scores of several studies mean different things
│   └── StudyChangedError   the study file no longer matches the stored study
├── OutputError         a file that the user named cannot be written
├── StudyBusyError      another search is using the study
├── SearchFailedError   a search called from Python stopped without a usable trial
├── ModelFolderError    a model folder is damaged, foreign, or cannot be written
├── RefitError          a trial cannot become a model
├── ExportError         a model cannot be exported, or the file would predict differently
├── StandardOutputError standard output cannot be written
└── DatabaseError       the study database is damaged, foreign, locked or full
    └── DatabaseAwayError   its server cannot be reached now

The text of each is a message for the user: the rule, the value, the next step. The command line
prints it without a traceback; every other exception is a bug and keeps its traceback.
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
"""Number of mistakes of a study file that are listed."""


class TunecliError(Exception):
    """A user's mistake or a problem of the machine, described in one message."""

    exit_code = 1


class UserError(TunecliError):
    """A mistake in what the user wrote."""

    exit_code = 2


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a study file.

    Attributes:
        line: counted from 1; 0 if the mistake has no position in the text.
        column: counted from 1.
        path: the setting, such as `optimizer.SGD.lr`; empty for the file itself.
        message: the rule, the value, and what to write instead.
        override: the `path=value` of the `--set` that caused it, instead of a line.
    """

    line: int
    column: int
    path: str
    message: str
    override: str = ""


def _shortened(text: str, longest: int = 200) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


class StudyFileError(UserError):
    """All mistakes of one study file, sorted by line."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems))
        lines = [self._line(problem) for problem in self.problems[:MOST_PROBLEMS]]
        if len(self.problems) > MOST_PROBLEMS:
            lines.append(
                f"{file}: {len(self.problems) - MOST_PROBLEMS:,} more mistakes are not shown."
            )
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[type[StudyFileError], tuple[str, tuple[Problem, ...]]]:
        return type(self), (self.file, self.problems)  # pickled: workers send it to the driver

    def _line(self, problem: Problem) -> str:
        position = f"{self.file}:{problem.line}:{problem.column}" if problem.line else self.file
        if problem.override:
            position = f"--set {_shortened(problem.override)}"
        text = f"{position}: {problem.path + ': ' if problem.path else ''}{problem.message}"
        # each problem stays on one line
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class DataError(UserError):
    """The data cannot be read, or does not fit the study.

    Args:
        message: a sentence.
        setting: the setting of the study file that can fix it, such as `data.test`; empty if no
            setting can.
    """

    def __init__(self, message: str, setting: str = "") -> None:
        super().__init__(f"{setting}: {message}" if setting else message)
        self.message = message
        self.setting = setting

    @property
    def mistakes(self) -> tuple[DataError, ...]:
        """The individual mistakes: this one alone."""
        return (self,)


class ArgumentError(DataError, ValueError):
    """An argument of a component does not fit the data or the component's other parts.

    Args:
        message: a sentence.
        setting: the argument's path in the component, such as `adapter.LoraConfig.target_modules`.
    """


class DataWarning(UserWarning):
    """The rows to predict may be written differently from those of the training."""


class DataMistakesError(DataError):
    """Several settings do not fit the data; the message has one line per setting.

    Args:
        mistakes: at least one; all have a setting.
    """

    def __init__(self, mistakes: Sequence[DataError]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.setting = mistakes[0].setting
        self._mistakes = tuple(mistakes)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Pickle the mistakes, not the text: workers send this error to the driver."""
        return type(self), (self._mistakes,)

    @property
    def mistakes(self) -> tuple[DataError, ...]:
        """The individual mistakes."""
        return self._mistakes


class UserCodeError(UserError):
    """The user's own code raised, or returned something other than expected."""


class PlaceError(UserError):
    """`--runs` or `--storage` cannot hold a study."""


class OutputError(TunecliError):
    """A file that the user named cannot be written.

    Args:
        path: the file.
        option: the option that names it; empty for an argument.
    """

    def __init__(self, path: Path, error: OSError, option: str = "") -> None:
        named = f"{option}: {path}" if option else str(path)
        why = f"{named} cannot be written ({error.strerror or error})."
        super().__init__(f"{why} {_way_to_write(path, error)}")
        self.exit_code = 1 if error.errno in NO_ROOM else 2


def _way_to_write(path: Path, error: OSError) -> str:
    """Return the next step for a user whose output file cannot be written."""
    if not isdir(path.parent):
        return f"Folder {path.parent} does not exist: create it, or name another file."
    if isdir(path):
        return "Name a file in this folder."
    known = {errno.EEXIST: "Remove it, or name another file."}
    known |= dict.fromkeys(NO_ROOM, "Make room, or name another file.")
    known |= dict.fromkeys(NO_RIGHT, "Make it writable, or name another file.")
    return known.get(error.errno or 0, "Name another file.")


class NoGpuError(UserError):
    """GPUs were requested, but the study uses none."""


class ClusterError(UserError):
    """`--ray` names no cluster that can train the study."""


class AddressError(UserError):
    """No server can listen on `--host` and `--port`."""


class MissingPackageError(UserError):
    """An optional package that this command needs is not installed.

    Args:
        extra: the extra that installs it, as in `tunecli[extra]`.
    """

    def __init__(self, extra: str, error: ModuleNotFoundError) -> None:
        super().__init__(
            f"The Python package {error.name} is not installed: pip install 'tunecli[{extra}]'"
        )


class TrackerError(UserError):
    """`--log` names an unknown tracker."""


class StudyNotFoundError(UserError):
    """No study has that name in this place."""


class TopicNotFoundError(UserError):
    """The guide has no such topic."""


class StudyBusyError(TunecliError):
    """Another search is using the study."""


class StudyChangedError(UserError):
    """The study file no longer matches the stored study."""


class NotComparableError(UserError):
    """The scores of several studies mean different things."""


class SearchFailedError(TunecliError):
    """A search called from Python stopped without a usable trial; the study has the reasons."""


class ModelFolderError(TunecliError):
    """A model folder is damaged, foreign, or cannot be written."""


class RefitError(TunecliError):
    """A trial cannot become a model."""


class ExportError(TunecliError):
    """A model cannot be exported, or the file would predict differently."""


class StandardOutputError(TunecliError):
    """Standard output cannot be written; the message is empty if its reader has closed it."""


RESUME = "Stored results are kept: run the same command to resume."
"""The next step after an error of the database."""


class DatabaseError(TunecliError):
    """The study database is damaged, foreign, locked or full."""


class DatabaseAwayError(DatabaseError):
    """The server of the study database cannot be reached now, or takes no connections.

    Args:
        state: what is wrong, a sentence for a search that waits for the server.
    """

    def __init__(self, state: str) -> None:
        super().__init__(f"{state} {RESUME}")
        self.state = state


class TrialStopped(BaseException):
    """The end of a trial, raised by `report` in the user's own training.

    It ends the training; catch it only to clean up, and raise it again. Like KeyboardInterrupt,
    it is not an Exception, so `except Exception` does not swallow it.
    """
