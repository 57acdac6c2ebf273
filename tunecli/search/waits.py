"""Say what a search waits for, and say it again if that takes long."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tunecli.search.events.events import Waiting

LONG_WAIT = 5.0
"""Wait, in seconds, that a log mentions."""


class Waits:
    """What a search waits for, one thing after another."""

    def __init__(self) -> None:
        self._what = ""
        self._since = 0.0
        self._is_long = False

    def on(self, what: str) -> Iterator[Waiting]:
        """Yield an event if `what` is new, and one when it has lasted `LONG_WAIT`."""
        now = time.monotonic()
        if what != self._what:
            self._what, self._since, self._is_long = what, now, False
            yield Waiting(what)
        elif not self._is_long and now - self._since >= LONG_WAIT:
            self._is_long = True
            yield Waiting(what, now - self._since)
