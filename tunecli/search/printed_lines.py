"""Write what trials print to their logs, and pass on what is to be shown."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path

from tunecli.search.events.events import Notice, Printed, SearchEvent, SearchStarted, TrialStarted
from tunecli.search.study.trial_logs import TrialLogs, trial_log
from tunecli.search.workers.output import WARNING


def logged(events: Iterable[SearchEvent], folder: Path) -> Generator[SearchEvent]:
    """Yield the events of a search; write the lines of `Printed` events to the logs of the study.

    A warning that the study has given before is left out. Before the search has started, there may
    be no study yet, so nothing is written. A log that cannot be written does not stop a search.

    Args:
        folder: the study's folder.
    """
    log = PrintedLines(folder)
    for event in events:
        if isinstance(event, SearchStarted):
            log.is_open = True
        elif isinstance(event, TrialStarted):
            log.begin(event.number)
        if isinstance(event, Printed):
            yield from log.take(event)
        else:
            yield event


class PrintedLines:
    """The printed lines of one call of a search.

    Attributes:
        is_open: whether lines are written to the logs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._logs = TrialLogs(folder)
        self.begin = self._logs.begin
        self.is_open = False
        self._has_failed = False

    def take(self, event: Printed) -> Iterable[SearchEvent]:
        """Write the lines of an event, and yield it with its log."""
        if not self.is_open or self._has_failed:
            yield event
            return
        try:
            lines = [line for line in event.lines if self._is_new(line)]
            log = self._logs.add(event.number, lines) if lines else None
        except OSError as error:
            self._has_failed = True
            where = error.filename or trial_log(self._folder, event.number)  # a full disk has none
            yield event
            yield Notice(
                f"{where} cannot be written any more ({error.strerror}), so the output "
                "of trials is shown but not saved."
            )
            return
        if lines:
            yield replace(event, lines=tuple(lines), log=str(log))

    def _is_new(self, line: str) -> bool:
        """Return whether a line is no warning, or one that the study has not given before."""
        return not WARNING.fullmatch(line) or self._logs.is_new_warning(line)
