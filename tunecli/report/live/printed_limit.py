"""Limit how many of the lines that trials print are shown; their logs have all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tunecli.search.events.events import Printed

MOST = 10
"""Lines that are shown per `SECONDS`, of all trials together."""

SECONDS = 1.0

Shown = tuple[int | None, str]
"""A line to show, and the number of its trial; None for no trial."""


class PrintedLimit:
    """Lets through the first lines of each second, and counts the others."""

    def __init__(self) -> None:
        self._begun = 0.0
        self._n_shown = 0
        self._left_out: Counter[tuple[int | None, str]] = Counter()

    def take(self, event: Printed, now: float) -> Iterator[Shown]:
        """Yield the lines of an event that are shown now.

        Args:
            now: seconds of a monotonic clock.
        """
        yield from self.overdue(now)
        n_free = max(MOST - self._n_shown, 0)
        for text in event.lines[:n_free]:
            yield event.number, text
        self._n_shown += min(n_free, len(event.lines))
        if n_left_out := len(event.lines[n_free:]):
            self._left_out[event.number, event.log] += n_left_out

    def overdue(self, now: float) -> Iterator[Shown]:
        """Yield how many lines were left out, once a further second has begun."""
        if now - self._begun >= SECONDS:
            yield from self.rest()
            self._begun, self._n_shown = now, 0

    def rest(self) -> Iterator[Shown]:
        """Yield how many lines were left out and not mentioned yet."""
        for (number, log), n in self._left_out.items():
            where = f" in {log}" if log else ""
            yield number, f"… {n:,} more {'line' if n == 1 else 'lines'}{where}"
        self._left_out.clear()
