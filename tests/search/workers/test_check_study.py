"""The time that `check` estimates: its smallest value and its words."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from tunecli.report.screen.check_lines import rehearsal_lines
from tunecli.search.workers.check_study import StudyCheck, StudyRehearsal
from tunecli.study_file.study_file import StudyFile

STUDY = """
data: digits
model: Linear
optimizer: {{SGD: {{lr: {{float: [0.01, 0.1], log: true}}}}}}
validation: {{folds: 2}}
training: {{epochs: 10, early_stopping: {early_stopping}}}
search: {{trials: {trials}, pruner: {pruner}, baselines: false, parallel: 1}}
"""
MEDIAN = "{Median: {n_warmup_steps: 1}}"
THRESHOLD = "{Threshold: {lower: 0.5, n_warmup_steps: 1}}"


def concluded(trials: int, pruner: str = "none", early_stopping: str = "none") -> StudyRehearsal:
    text = STUDY.format(trials=trials, pruner=pruner, early_stopping=early_stopping)
    checking = StudyCheck(StudyFile.from_text(text, "s.yaml"))
    return checking.conclude([*checking.rehearsals()])


@pytest.mark.parametrize(
    ("trials", "pruner", "early_stopping", "share"),
    [
        (1, "none", "none", 1.0),
        (1, MEDIAN, "none", 1.0),  # no other trial to compare it with
        (1, f"{{Patient: {{wrapped_pruner: {MEDIAN}, patience: 1}}}}", "none", 1.0),
        (1, THRESHOLD, "none", 0.2),
        (1, MEDIAN, "{patience: 3}", 0.4),
        (10, MEDIAN, "none", 0.28),  # a full trial, and nine of 2 of 10 evaluations
        (10, "none", "{patience: 3}", 0.4),
    ],
)
def test_the_least_time_counts_trials_that_cannot_stop(
    trials: int, pruner: str, early_stopping: str, share: float
) -> None:
    found = concluded(trials, pruner, early_stopping)
    assert found.least_seconds / found.seconds == pytest.approx(share)
    out = Console(width=300, file=StringIO(), color_system=None)
    out.print(rehearsal_lines(found))
    [line] = [one for one in out.file.getvalue().splitlines() if one.startswith("time")]  # type: ignore[attr-defined]
    assert (" per full trial, " in line) == (share < 1)
    assert ("; less if more trials stop early" in line) == (share < 1)
