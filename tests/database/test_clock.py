from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tunecli.database import clock


def test_it_is_the_time_of_day() -> None:
    assert abs(clock.utc_now() - datetime.now(UTC)) < timedelta(minutes=5)
    assert clock.utc_now().utcoffset() == timedelta(0)


def test_it_never_runs_backwards() -> None:
    told = [clock.utc_now() for _ in range(1000)]
    assert told == sorted(told)


@pytest.mark.parametrize("hours", [-1, 1])
def test_setting_the_date_changes_nothing(hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Moved(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(hours=hours)

    before = clock.utc_now()
    monkeypatch.setattr(clock, "datetime", Moved)
    monkeypatch.setattr("time.time", lambda: before.timestamp() + 3600 * hours)
    assert timedelta(0) <= clock.utc_now() - before < timedelta(minutes=1)
