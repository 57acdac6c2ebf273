"""How many of the lines that trials print are shown."""

from __future__ import annotations

import io
import re

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tunecli.report.live.live import LiveView
from tunecli.report.live.printed_limit import MOST, PrintedLimit
from tunecli.report.live.search_lines import printed
from tunecli.search.events.events import Notice, Printed, SearchEnded, SearchStarted

STARTED = SearchStarted("s", "study.db", "accuracy", "maximize", 0, 3, n_jobs=1, parallel=8)
LEFT_OUT = re.compile(r"… ([\d,]+) more lines? in trial-(\d)\.log")

EVENTS = st.lists(
    st.tuples(st.floats(0, 0.7), st.integers(0, 2), st.integers(1, 30)), min_size=1, max_size=20
)


@given(EVENTS)
def test_each_line_is_shown_or_counted_once(drawn: list[tuple[float, int, int]]) -> None:
    limit, now, shown = PrintedLimit(), 0.0, []
    for pause, number, n_lines in drawn:
        now += pause
        lines = tuple(f"line {i}" for i in range(n_lines))
        shown += limit.take(Printed(number, lines, f"trial-{number}.log"), now)
    shown += limit.rest()
    for number in range(3):
        texts = [text for trial, text in shown if trial == number]
        left_out = [match for text in texts if (match := LEFT_OUT.fullmatch(text))]
        assert all(int(match[2]) == number for match in left_out)
        n_counted = sum(int(match[1].replace(",", "")) for match in left_out)
        n_printed = sum(n for _, trial, n in drawn if trial == number)
        assert len(texts) - len(left_out) + n_counted == n_printed


def test_so_many_lines_are_shown_per_second() -> None:
    limit = PrintedLimit()
    event = Printed(3, ("x",) * 100, "logs/trial-3.log")
    assert len([*limit.take(event, 10.0)]) == MOST
    assert [*limit.take(event, 10.5)] == []
    first, *others = limit.take(event, 11.0)
    assert first == (3, "… 190 more lines in logs/trial-3.log")
    assert len(others) == MOST
    assert [*limit.rest()] == [(3, "… 90 more lines in logs/trial-3.log")]
    assert [*limit.rest()] == []


def seen(*, is_terminal: bool, quiet: bool = False) -> str:
    text = io.StringIO()
    console = Console(file=text, force_terminal=is_terminal, width=80, color_system=None)
    with LiveView(console, quiet=quiet, clock=lambda: 0.0, n_cores=1) as view:
        for event in (
            STARTED,
            Printed(3, ("[bold]\x1b[2Jhi\ttab", *["x"] * 30), "runs/s/logs/trial-3.log"),
            Printed(None, ("of no trial",)),
            Notice("a notice"),
            SearchEnded("done", 3, 3),
        ):
            view.show(event)
    return text.getvalue()


def test_lines_are_shown_with_their_trial_and_cannot_control_the_terminal() -> None:
    for is_terminal in (True, False):
        text = seen(is_terminal=is_terminal)
        assert r"trial 3 │ [bold]\x1b[2Jhi    tab" in text
        assert text.count("trial 3 │ x") == MOST - 1
        assert "trial 3 │ … 21 more lines in runs/s/logs/trial-3.log" in text
        assert "search │ … 1 more line" in text


def test_a_long_line_goes_on_below_its_text_and_is_one_line_in_a_log() -> None:
    line = printed(12, "loss 0.25 " * 6)
    assert line.flat().plain == f"trial 12 │ {'loss 0.25 ' * 6}"
    console = Console(file=io.StringIO(), width=40, color_system=None)
    with console.capture() as shown:
        console.print(line.hanging())
    assert [text.rstrip() for text in shown.get().splitlines()] == [
        "trial 12 │ loss 0.25 loss 0.25 loss 0.25",
        "           loss 0.25 loss 0.25 loss 0.25",
    ]


def test_quiet_shows_none() -> None:
    assert "│" not in seen(is_terminal=False, quiet=True)
