from __future__ import annotations

import json
from pathlib import Path

from tunecli.search.events.event_log import EventLog
from tunecli.search.events.events import Notice, SearchStarted, TrialEvaluated, TrialFinished

ENDED = TrialFinished(0, "complete", "", 0.5, 0.1, 1.0, {"lr": 0.1}, True)
STARTED = SearchStarted("s", "sqlite:///s.db", "accuracy", "maximize", 1, 2, 1, 8, (ENDED,))


def test_every_event_is_a_line_and_earlier_trials_are_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for event in (STARTED, TrialEvaluated(1, 0, 0.5, 0.5), ENDED):
        assert EventLog(path).add(event) is None
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["event"] for line in lines] == [
        "SearchStarted",
        "TrialEvaluated",
        "TrialFinished",
    ]
    assert "earlier" not in lines[0]
    assert lines[2]["params"] == {"lr": 0.1}


def test_a_log_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "nowhere" / "events.jsonl")
    assert isinstance(log.add(STARTED), Notice)
    assert log.add(ENDED) is None
