"""What a search waits for is said at once, and again if it takes long."""

from __future__ import annotations

import pytest

from tunecli.search import waits
from tunecli.search.events.events import Waiting


def test_each_thing_is_said_at_once_and_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 4.0, 5.5, 20.0, 21.0, 22.0])
    monkeypatch.setattr(waits.time, "monotonic", lambda: next(times))
    found = waits.Waits()
    told = [[*found.on("a")] for _ in range(4)] + [[*found.on("b")] for _ in range(2)]
    assert told == [[Waiting("a")], [], [Waiting("a", 5.5)], [], [Waiting("b")], []]
