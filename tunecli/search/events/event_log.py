"""Write the events of a search to `events.jsonl`, one JSON object per line."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

from tunecli.database.clock import utc_now
from tunecli.files.own import open_file
from tunecli.search.events.events import Notice, Printed, SearchEvent


class EventLog:
    """Appends events to a file. A log that cannot be written does not stop a search."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._works = True

    def add(self, event: SearchEvent) -> Notice | None:
        """Write one event, and return a notice the first time that this fails."""
        if not self._works or isinstance(event, Printed):  # those have logs of their own
            return None
        try:
            descriptor = open_file(self._path, os.O_WRONLY | os.O_APPEND)
            with open(descriptor, "a", encoding="utf-8") as file:
                file.write(_as_line(event))
        except OSError as error:
            self._works = False
            return Notice(f"{self._path} cannot be written any more: {error.strerror}.")
        return None


_STORED_ELSEWHERE = ("earlier", "folds")
"""Fields that a line leaves out: earlier trials are in the log, evaluations in the database."""


def _as_line(event: SearchEvent) -> str:
    names = (field.name for field in dataclasses.fields(event))
    line = {
        "time": utc_now().isoformat(timespec="milliseconds"),
        "event": type(event).__name__,
        **{name: getattr(event, name) for name in names if name not in _STORED_ELSEWHERE},
    }
    return json.dumps(line, default=dataclasses.asdict) + "\n"
