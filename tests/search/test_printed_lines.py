"""What trials print on its way through a search: into the logs, and on to the screen."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from pathlib import Path

import pytest

from tunecli.search.events.event_log import EventLog
from tunecli.search.events.events import Notice, Printed, SearchEvent, SearchStarted, TrialStarted
from tunecli.search.printed_lines import logged
from tunecli.search.study.trial_logs import trial_log

STARTED = SearchStarted("s", "study.db", "accuracy", "maximize", 0, 3, n_jobs=1, parallel=8)
WARNING = "warning: careful (UserWarning, mine.py:3)"


def through(folder: Path, *events: SearchEvent) -> list[SearchEvent]:
    return list(logged(events, folder))


def texts(path: Path) -> list[str]:
    return [line.partition(" ")[2] for line in path.read_text().splitlines()]


def printed(events: Iterable[SearchEvent]) -> list[tuple[int | None, tuple[str, ...]]]:
    return [(event.number, event.lines) for event in events if isinstance(event, Printed)]


def test_lines_go_to_the_log_of_their_trial_and_on(tmp_path: Path) -> None:
    events = [STARTED, TrialStarted(3, {}, 2), Printed(3, ("one", "two")), Notice("else")]
    log = trial_log(tmp_path, 3)
    changed = Printed(3, ("one", "two"), str(log))
    assert through(tmp_path, *events) == [*events[:2], changed, events[3]]
    assert texts(log) == ["one", "two"]


def test_nothing_is_written_before_there_is_a_study(tmp_path: Path) -> None:
    event = Printed(None, ("reading",))
    assert through(tmp_path, event) == [event]
    assert not [*tmp_path.iterdir()]


def test_a_warning_is_told_once_per_study(tmp_path: Path) -> None:
    first = through(tmp_path, STARTED, Printed(0, (WARNING, "a")), Printed(1, (WARNING,)))
    again = through(tmp_path, STARTED, Printed(2, (WARNING, "b", WARNING)))
    assert printed([*first, *again]) == [(0, (WARNING, "a")), (2, ("b",))]
    assert texts(trial_log(tmp_path, 0)) == [WARNING, "a"]
    assert not trial_log(tmp_path, 1).exists()


def test_a_resumed_trial_is_marked(tmp_path: Path) -> None:
    for _ in range(2):
        through(tmp_path, STARTED, TrialStarted(0, {}, 2), Printed(0, ("x",)))
    assert texts(trial_log(tmp_path, 0)) == [
        *("x", "--- the trial was started again or resumed ---", "x")
    ]


def test_a_log_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "logs" / "trial-0.log")
    events = [Printed(0, ("x",)), Printed(0, ("y",))]
    found = through(tmp_path, STARTED, *events)
    assert printed(found) == [(0, ("x",)), (0, ("y",))]
    [notice] = [event.text for event in found if isinstance(event, Notice)]
    assert "trial-0.log cannot be written any more (it is not a file)" in notice


def test_a_full_disk_is_told_with_the_log(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # like a full disk
    try:
        *_, notice = through(tmp_path, STARTED, Printed(0, ("x" * 200,)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert isinstance(notice, Notice)
    assert notice.text.startswith(f"{trial_log(tmp_path, 0)} cannot be written any more (")


@pytest.mark.parametrize("event", [Printed(0, ("x",), "a.log")])
def test_the_log_of_events_leaves_lines_to_their_logs(tmp_path: Path, event: Printed) -> None:
    assert EventLog(tmp_path / "events.jsonl").add(event) is None
    assert not (tmp_path / "events.jsonl").exists()
