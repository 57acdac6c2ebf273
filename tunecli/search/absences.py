"""Outlast the absence of a database server: nothing is decided until what was found is stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tunecli.errors import DatabaseAwayError
from tunecli.search.events.events import Notice, SearchEvent

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
        began, is_away = time.monotonic(), False
        while True:
            try:
                write()
                break
            except DatabaseAwayError as error:
                if self._is_interrupted() or time.monotonic() - began > LONGEST_ABSENCE:
                    raise
                if not is_away:
                    yield Notice(f"Waiting for the database server. {error.state}")
                is_away = True
                time.sleep(_PAUSE)
        if is_away:
            seconds = time.monotonic() - began
            yield Notice(f"The database server is back after {seconds:.0f} s. Nothing was lost.")
