"""The screen of a running search.

On a terminal the data is printed once, and a panel below it is redrawn a few times per second,
however many events arrive. Elsewhere each finished trial is one line, without control characters.
"""

from __future__ import annotations

import math
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
from tunecli.report.live.time_left import ENOUGH_TRIALS
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
    Waiting,
)

REFRESHES = 4  # per second
_SOON = 60.0  # seconds after which the time of a first trial is shown
_LONG_WAIT = 5.0  # seconds after which a log says what the search waits for


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
        self._is_first_trial_shown = False
        self._is_advised = False
        self._estimates_at = 1  # ended trials of this call at which a log gets an estimate
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
            self._estimate(event)

    def _print_event(self, event: SearchEvent) -> None:
        """Print what stays on the screen. Not under the lock: printing redraws the panel."""
        self._print_lines(self._limit.overdue(self.clock()))
        match event:
            case SearchStarted():
                self._print(search_lines.beginning(event))
            case DataDescribed(summary):
                self._print(search_lines.summary_lines(summary, self._state.started))
            case BaselinesScored(baselines):
                self._print(search_lines.baselines(baselines))
            case Printed():
                self._print_lines(self._limit.take(event, self.clock()))
            case Notice(text):
                self._print([search_lines.notice(text)])
            case Waiting(what, seconds) if self._live is None and seconds >= _LONG_WAIT:
                self._print([search_lines.waiting(what)])
            case TrialFinished() if self._live is None:
                self._print([search_lines.finished(event, self._state)])

    def _print_lines(self, lines: Iterable[Shown]) -> None:
        """Print lines of trials."""
        self._print(search_lines.printed(number, text) for number, text in lines)

    def _estimate(self, event: SearchEvent) -> None:
        """Print the expected time whenever more is known, and how to make a long search faster.

        Most events change nothing, and the estimate takes longer the more trials run.
        """
        if not self._state.has_durations:
            self._estimate_first_trial(self.clock())
        elif isinstance(event, TrialFinished) and self._state.n_to_come:
            now = self.clock()
            left = self._state.remaining(now)
            assert left is not None
            if self._live is None and self._is_due():
                self._print([search_lines.estimate(left, self._state.n_to_come)])
            whole = self._state.elapsed(now) + left.likely
            if whole > cost_tips.LONG and not self._is_advised:
                self._is_advised = True
                self._print([search_lines.notice(cost_tips.advice(self._state, self.n_cores))])

    def _estimate_first_trial(self, now: float) -> None:
        """Print the time of a first trial that takes long."""
        if self._is_first_trial_shown or self._state.elapsed(now) < _SOON:
            return
        for trial in self._state.running.values():
            if math.isfinite(at_most := trial.at_most(now)):
                self._is_first_trial_shown = True
                self._print([search_lines.first_trial(trial.number, at_most)])
                return

    def _is_due(self) -> bool:
        """Return whether a log gets an estimate: after 1 and 5 trials, then after each tenth."""
        n_here, started = self._state.n_finished_here, self._state.started
        if n_here < self._estimates_at or started is None:
            return False
        step = max(ENOUGH_TRIALS, started.n_total // 10)
        self._estimates_at = n_here + step if n_here >= ENOUGH_TRIALS else ENOUGH_TRIALS
        return True

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
