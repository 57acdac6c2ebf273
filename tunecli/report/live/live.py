"""The screen of a running search.

On a terminal the data is printed once, and a panel below it is redrawn a few times per second,
however many events arrive. Elsewhere each finished trial is one line, without control characters.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleRenderable
from rich.live import Live

from tunecli.data.rows.hardware import n_cores as usable_cores
from tunecli.report.live import cost_tips, search_lines
from tunecli.report.live.printed_limit import PrintedLimit, Shown
from tunecli.report.live.search_panel import live_panel
from tunecli.report.live.search_state import SearchState
from tunecli.report.phrases.layout import Line
from tunecli.search.events.events import (
    BaselinesScored,
    DataDescribed,
    Notice,
    Printed,
    SearchEnded,
    SearchEvent,
    SearchStarted,
    TrialFinished,
)

REFRESHES = 4  # per second
_SOON = 60.0  # seconds after which a long first trial is enough for an estimate


@dataclass
class LiveView:
    """Shows the events of a search; use it in a `with` statement, which restores the terminal.

    Attributes:
        console: where to print; standard error for the command line.
        quiet: show only how the search ended.
        options: what the next commands need to find the study, e.g. `--runs elsewhere`.
        clock: returns seconds of a monotonic clock.
        n_cores: cores that this process may use; by default the system is asked.
    """

    console: Console
    _: KW_ONLY
    quiet: bool = False
    options: str = ""
    clock: Callable[[], float] = time.monotonic
    n_cores: int = field(default_factory=usable_cores)

    def __post_init__(self) -> None:
        """Prepare the view; nothing is shown yet."""
        self._state = SearchState()
        self._lock = threading.Lock()  # a separate thread draws the panel
        self._estimated = False
        self._limit = PrintedLimit()
        self._live: Live | None = None
        if self.console.is_terminal and not self.console.is_dumb_terminal and not self.quiet:
            self._live = Live(
                console=self.console,
                get_renderable=self._panel,
                refresh_per_second=REFRESHES,
                transient=True,
                redirect_stdout=False,  # standard output is for results
            )

    def __enter__(self) -> Self:
        """Start the panel."""
        if self._live is not None:
            self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Remove the panel and restore the cursor, whatever happened."""
        self._stop()

    def show(self, event: SearchEvent) -> None:
        """Update the view with one event of the search."""
        with self._lock:
            self._state.update(event, self.clock())
        if isinstance(event, SearchEnded):
            self._stop()
            self._print_lines(self._limit.rest())
            self._print(search_lines.ending(self._state, self.clock(), self.options))
        elif not self.quiet:
            self._print_event(event)
            self._estimate()

    def _print_event(self, event: SearchEvent) -> None:
        """Print what stays on the screen. Not under the lock: printing redraws the panel."""
        self._print_lines(self._limit.overdue(self.clock()))
        match event:
            case SearchStarted():
                self._print(search_lines.beginning(event))
            case DataDescribed(summary):
                self._print(search_lines.summary_lines(summary))
            case BaselinesScored(baselines):
                self._print(search_lines.baselines(baselines))
            case Printed():
                self._print_lines(self._limit.take(event, self.clock()))
            case Notice(text):
                self._print([search_lines.notice(text)])
            case TrialFinished() if self._live is None:
                self._print([search_lines.finished(event, self._state)])

    def _print_lines(self, lines: Iterable[Shown]) -> None:
        """Print lines of trials."""
        self._print(search_lines.printed(number, text) for number, text in lines)

    def _estimate(self) -> None:
        """Print the expected time once the pace is known, and how to make a long search faster."""
        started = self._state.started
        if self._estimated or started is None:
            return
        now = self.clock()
        enough = self._state.n_finished_here >= started.n_jobs
        if not enough and self._state.elapsed(now) < _SOON:
            return
        remaining = self._state.remaining(now)
        if remaining is None:
            return
        self._estimated = True
        whole = self._state.elapsed(now) + remaining
        if self._live is None or whole > cost_tips.LONG:
            self._print([search_lines.estimate(whole)])
        if whole > cost_tips.LONG:
            self._print([search_lines.notice(cost_tips.advice(self._state, self.n_cores))])

    def _print(self, lines: Iterable[Line]) -> None:
        for line in lines:
            if self.console.is_terminal:
                self.console.print(line.hanging(), highlight=False)
            else:
                self.console.print(line.flat(), soft_wrap=True, highlight=False)

    def _panel(self) -> ConsoleRenderable:
        with self._lock:
            return live_panel(self._state, self.clock(), self.console.height)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
