"""Outlast the absence of a database server: nothing is decided until what was found is stored."""

from __future__ import annotations

import math
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
        is_interrupted: whether the search should end.
        grace: seconds that an interrupted search still waits for the server.
        stop_trials: lets the running trials save themselves meanwhile; called once.
    """

    def __init__(
        self, is_interrupted: Callable[[], bool], grace: float, stop_trials: Callable[[], object]
    ) -> None:
        self._is_interrupted = is_interrupted
        self._grace = grace
        self._stop_trials = stop_trials
        self._last = math.inf  # when an interrupted search gives up, by the monotonic clock

    def outlast(self, write: Callable[[], object]) -> Iterator[SearchEvent]:
        """Write to the database; repeat it while the server is away, and say so.

        Args:
            write: does nothing if it is repeated after it succeeded without knowing.

        Raises:
            DatabaseAwayError: the server is away for too long, or longer than an interrupted
                search waits.
        """
        began, is_away = time.monotonic(), False
        while True:
            try:
                write()
                break
            except DatabaseAwayError as error:
                self._heed_interruption()
                if time.monotonic() > min(self._last, began + LONGEST_ABSENCE):
                    raise
                if not is_away:
                    yield Notice(f"Waiting for the database server. {error.state}")
                is_away = True
                time.sleep(_PAUSE)
        if is_away:
            seconds = time.monotonic() - began
            yield Notice(f"The database server is back after {seconds:.0f} s. Nothing was lost.")

    def _heed_interruption(self) -> None:
        """Begin the grace period at the first look after an interruption."""
        if self._is_interrupted() and self._last == math.inf:
            self._last = time.monotonic() + self._grace
            self._stop_trials()
