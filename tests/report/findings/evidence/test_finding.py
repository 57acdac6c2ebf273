from __future__ import annotations

import pytest

from tunecli.report.findings.evidence.finding import (
    Change,
    DroppedChoices,
    Fixed,
    NewRange,
    NewSetting,
)
from tunecli.study_file.settings.ranges import FloatRange, IntRange


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (NewRange("o.lr", FloatRange(1e-5, 3.0, True)), "o.lr: {float: [1e-05, 3.0], log: true}"),
        (NewRange("m.width", IntRange(16, 64, step=16)), "m.width: {int: [16, 64], step: 16}"),
        (Fixed("schedule", None), "schedule: none"),
        (Fixed("optimizer", "AdamW"), "optimizer: AdamW"),
        (NewSetting("training.epochs", 40), "training.epochs: 40"),
        (DroppedChoices("x", ("SGD", None, True)), "x: without SGD, none, true"),
    ],
)
def test_a_change_reads_as_in_the_study_file(change: Change, line: str) -> None:
    assert change.line == line
