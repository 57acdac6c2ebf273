"""Precision against recall of a model of two classes, with the threshold in use."""

from __future__ import annotations

from tunecli.report.page.plots.plot import Plot, axis, dot_trace, line_trace, plot_layout, text
from tunecli.report.phrases import foreign_text
from tunecli.report.phrases.adjustments import (
    how_points_were_measured,
    point_cells,
    threshold_in_use,
    trials_in_words,
)
from tunecli.training.outcome.adjustment import Adjustment, OperatingPoint


def precision_and_recall(found: Adjustment) -> Plot:
    """Return the curve and the operating points of a model of two classes."""
    positive = foreign_text.plain(found.threshold.positive if found.threshold is not None else "")
    in_use = threshold_in_use(found)
    points = [point for point in found.points if point.precision is not None]
    is_used = [point.threshold == in_use for point in points]
    look = {
        "color": "@score",
        "size": [12 if used else 6 for used in is_used],
        "symbol": ["diamond" if used else "circle" for used in is_used],
    }
    line = line_trace(
        [point.recall for point in found.curve],
        [point.precision for point in found.curve],
        line={"color": "@score", "width": 1.5},
    )
    dots = dot_trace(
        [point.recall for point in points],
        [point.precision for point in points],
        [None] * len(points),
        look,
        hovertext=[text(_hover(point)) for point in points],
    )
    axes = {
        "xaxis": axis("recall", range=[-0.02, 1.02]),
        "yaxis": axis("precision", range=[-0.02, 1.05]),
    }
    return Plot(
        f"Precision and recall of {foreign_text.shortened(positive, 30)}",
        f"Precision against recall of the class {positive} for all thresholds of the model of "
        f"trial {found.trial}, {how_points_were_measured(found)}.",
        [line, dots],
        plot_layout(**axes),
        f"{trials_in_words(found)}, {how_points_were_measured(found)}. "
        f"Diamond: the threshold in use, {in_use:.3g}.",
    )


def _hover(point: OperatingPoint) -> str:
    threshold, precision, recall, share = point_cells(point)
    return (
        f"threshold {threshold}: precision {precision}, recall {recall}, "
        f"{share} predicted positive"
    )
