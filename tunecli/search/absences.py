"""Outlast the absence of a database server: nothing is decided until what was found is stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tunecli.errors import DatabaseAwayError
from tunecli.search.events.events import Notice, SearchEvent
from tunecli.search.waits import Waits

LONGEST_ABSENCE = 600.0
"""How long, in seconds, a search waits for the server before it ends."""
_PAUSE = 0.5  # seconds between attempts


class Absences:
    """The absences of one search's database server.

    Args:
        is_interrupted: whether the search should end instead of waiting.
    """

    def __init__(self, is_interrupted: Callable[[], bool]) -> None:
        self._is_interrupted = is_interrupted

    def outlast(self, write: Callable[[], object]) -> Iterator[SearchEvent]:
        """Write to the database; repeat it while the server is away, and say so.

        Args:
            write: does nothing if it is repeated after it succeeded without knowing.

        Raises:
            DatabaseAwayError: the server is away for too long, or the search is interrupted.
        """
        since, waits = time.monotonic(), Waits()
        cause = ""
        while True:
            try:
                write()
                break
            except DatabaseAwayError as error:
                seconds = time.monotonic() - since
                if self._is_interrupted() or seconds > LONGEST_ABSENCE:
                    raise
                if not cause:
                    cause = str(error)
                    yield Notice(f"Waiting for the database server. {cause}")
                yield from waits.on("waiting for the database server")
                time.sleep(_PAUSE)
        if cause:
            away = time.monotonic() - since
            yield Notice(f"The database server is back after {away:.0f} s; nothing was lost.")
