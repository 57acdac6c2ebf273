"""Studies of several objectives, made of their values."""

from __future__ import annotations

from tunecli.database.attributes import RecordedObjective
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.study_file.settings.settings import Direction


def study(points: list[tuple[float, ...]], ways: tuple[Direction, ...]) -> StudyRecord:
    first, *further = (RecordedObjective(f"m{i}", way) for i, way in enumerate(ways))
    trials = tuple(
        TrialRecord(number, number, "complete", "complete", value=point[0], values=point)
        for number, point in enumerate(points)
    )
    return StudyRecord(
        "", 0, "s", first.metric, first.direction, trials, further_objectives=tuple(further)
    )
