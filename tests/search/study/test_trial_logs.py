"""The logs of what trials print: times, marks, limits, and what a kill leaves."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tunecli.search.study import trial_logs
from tunecli.search.study.trial_logs import TrialLogs, last_lines, trial_log

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def texts(path: Path) -> list[str]:
    """The lines of a log without their times, which are of now."""
    lines = path.read_text().splitlines()
    for line in lines:
        stamp = line.partition(" ")[0]
        assert STAMP.fullmatch(stamp)
        assert abs(datetime.fromisoformat(stamp) - datetime.now(UTC)) < timedelta(minutes=1)
    return [line.partition(" ")[2] for line in lines]


def test_lines_are_appended_with_their_times(tmp_path: Path) -> None:
    logs = TrialLogs(tmp_path)
    logs.begin(3)
    assert logs.add(3, ["one", ""]) == tmp_path / "logs" / "trial-3.log"
    logs.add(3, ["two │ ü"])
    logs.add(None, ["of no trial"])
    assert texts(trial_log(tmp_path, 3)) == ["one", "", "two │ ü"]
    assert texts(tmp_path / "logs" / "search.log") == ["of no trial"]


def test_a_mark_shows_where_a_trial_began_again(tmp_path: Path) -> None:
    logs = TrialLogs(tmp_path)
    for text in ("first", "second"):
        logs.begin(3)
        logs.add(3, [text])
        logs.add(3, ["more"])
    again = TrialLogs(tmp_path)
    again.add(3, ["of another call"])
    mark = "--- the trial was started again or resumed ---"
    assert texts(trial_log(tmp_path, 3)) == [
        *("first", "more", mark, "second", "more", mark, "of another call")
    ]


def test_a_line_that_a_kill_cut_off_stays_alone(tmp_path: Path) -> None:
    TrialLogs(tmp_path).add(0, ["whole", "cut off"])
    path = trial_log(tmp_path, 0)
    os.truncate(path, path.stat().st_size - 4)
    TrialLogs(tmp_path).add(0, ["next"])
    assert texts(path)[1:] == ["cut ", "--- the trial was started again or resumed ---", "next"]


def test_a_log_has_a_limit_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_logs, "LARGEST", 1000)
    logs = TrialLogs(tmp_path)
    for _ in range(50):
        logs.add(0, ["x" * 30] * 3)
    TrialLogs(tmp_path).add(0, ["later"])
    *lines, last = texts(trial_log(tmp_path, 0))
    assert set(lines) == {"x" * 30}
    assert last == "… this log has reached 10 MB: further lines are left out"
    assert trial_log(tmp_path, 0).stat().st_size < 1000 + 200


def test_a_warning_of_the_study_is_new_once(tmp_path: Path) -> None:
    logs = TrialLogs(tmp_path)
    assert [logs.is_new_warning(text) for text in ("a", "b", "a")] == [True, True, False]
    again = TrialLogs(tmp_path)
    assert [again.is_new_warning(text) for text in ("b", "c")] == [False, True]
    assert texts(tmp_path / "logs" / "warnings.log") == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["logs", "logs/trial-0.log"])
def test_no_link_is_written_through(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir() if name == "logs" else victim.write_text("mine\n")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).symlink_to(victim)
    with pytest.raises(OSError, match="is a symbolic link to"):
        TrialLogs(tmp_path).add(0, ["text"])
    assert not [*victim.iterdir()] if name == "logs" else victim.read_text() == "mine\n"


def test_the_end_of_a_log_is_read(tmp_path: Path) -> None:
    TrialLogs(tmp_path).add(0, [f"line {n}" for n in range(100)])
    path = trial_log(tmp_path, 0)
    assert [line.partition(" ")[2] for line in last_lines(path, 2)] == ["line 98", "line 99"]
    assert len(last_lines(path)) == 20
    assert [line.partition(" ")[2] for line in last_lines(path, 9, 40)] == ["line 99"]
    assert last_lines(tmp_path / "none.log") == []
    (tmp_path / "link.log").symlink_to(path)
    os.mkfifo(tmp_path / "fifo.log")
    assert last_lines(tmp_path / "link.log") == last_lines(tmp_path / "fifo.log") == []
