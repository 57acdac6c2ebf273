"""The calibration, the threshold and the operating points of a study's model."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import starmap

from rich.console import RenderableType
from rich.text import Text

from tunecli.database.records import StudyRecord
from tunecli.report.phrases import foreign_text
from tunecli.report.phrases.adjustments import (
    POINT_HEADERS,
    adjustment_lines,
    how_points_were_measured,
    point_rows,
    trials_in_words,
)
from tunecli.report.phrases.layout import beside, heading, numeric, plain_table


def model_parts(study: StudyRecord, number: int | None = None) -> Iterator[RenderableType]:
    """Yield how the study's model predicts; nothing without a model, or for regression.

    Args:
        number: the only trial whose model is wanted; None for any.
    """
    found = study.adjustment
    if found is None or number not in (None, found.trial):
        return
    yield from heading(trials_in_words(found))
    yield from starmap(beside, adjustment_lines(found, study.titles))
    if found.points and found.threshold is not None:
        positive = foreign_text.plain(found.threshold.positive)
        below = f"operating points for {positive!r}, {how_points_were_measured(found)}"
        yield plain_table([*map(numeric, POINT_HEADERS)], point_rows(found))
        yield Text(below, style="dim")
