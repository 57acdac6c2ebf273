"""A model's calibration, threshold and operating points in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tunecli.report.phrases.foreign_text import plain
from tunecli.report.phrases.wording import scalar, score
from tunecli.training.outcome.adjustment import (
    N_BINS,
    Adjustment,
    BeforeAfter,
    Calibration,
    LabelThresholds,
    OperatingPoint,
    Threshold,
)

POINT_HEADERS = ("threshold", "precision", "recall", "predicted positive")

_MOST_LABELS = 20
"""Labels whose thresholds are listed."""

ERROR_DEFINITION = (
    "The calibration error is the expected calibration error: rows are sorted by the probability "
    f"of their most probable class and divided into {N_BINS} bins with equally many rows each; "
    "the error is the mean distance, over the bins, between this probability and the share of "
    "rows whose most probable class is the true one."
)
_OF_SINGLE = (
    "fitted and scored with single networks; the model predicts their mean, which is less "
    "confident, so its gain may be larger or smaller"
)
_OF_FOLDS = (
    "fitted and scored with the networks of one fold at a time; the model predicts the mean of "
    "all folds, which is less confident, so its gain may be larger or smaller"
)
JUDGED = "each fold was scored with a temperature and a threshold fitted to the other folds."


def adjustment_lines(
    adjustment: Adjustment, titles: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield label and text of what is known about the calibration and the threshold.

    Args:
        titles: what people read instead of the name of a metric.
    """
    if adjustment.labels is not None:
        yield "thresholds", _thresholds(adjustment.labels, titles)
    elif not adjustment.why_not:
        yield "calibration", _calibration(adjustment.calibration)
    if adjustment.threshold is not None:
        yield "threshold", _threshold(adjustment.threshold, titles)
    if adjustment.why_not:
        yield "note", f"without calibration and without a tuned threshold: {adjustment.why_not}"
    elif adjustment.is_of_single:
        yield "note", _OF_SINGLE if adjustment.n_trials == 1 else _OF_FOLDS


def trials_in_words(adjustment: Adjustment) -> str:
    """Return which trials the adjusted model is made of."""
    n_others = adjustment.n_trials - 1
    return f"Model of trial {adjustment.trial}" + (f" and {n_others} more" if n_others else "")


def point_rows(adjustment: Adjustment) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each operating point, in the order of `POINT_HEADERS`."""
    in_use = threshold_in_use(adjustment)
    for point in adjustment.points:
        threshold, *measured = point_cells(point)
        yield (f"{threshold}{' (in use)' if point.threshold == in_use else ''}", *measured)


def threshold_in_use(adjustment: Adjustment) -> float:
    """Return the threshold of the positive class; the more probable class has at least 0.5."""
    return adjustment.rule[1] if adjustment.rule is not None else 0.5


def point_cells(point: OperatingPoint) -> tuple[str, ...]:
    """Return threshold, precision, recall and share of an operating point as text."""
    precision = "–" if point.precision is None else f"{point.precision:.3f}"
    share = f"{100 * point.share:.1f} %"
    return (scalar(point.threshold, 3), precision, f"{point.recall:.3f}", share)


def how_points_were_measured(adjustment: Adjustment) -> str:
    """Return what the operating points were measured on."""
    by = " by single networks" if adjustment.is_of_single and adjustment.n_trials == 1 else ""
    return f"on {adjustment.n_rows:,} out-of-fold predictions of the search{by}"


def _calibration(found: Calibration | None) -> str:
    if found is None:
        return "none: the loss does not yield probabilities"
    if not found.is_kept:
        return (
            f"none: temperature {found.temperature:.3g} does not reliably lower log_loss "
            f"({_change(found.log_loss)}, cross-validated); calibration error "
            f"{score(found.error.before)}"
        )
    return (
        f"temperature {found.temperature:.3g}: log_loss {_change(found.log_loss)}, calibration "
        f"error {_change(found.error)} (cross-validated)"
    )


def _threshold(found: Threshold, titles: Mapping[str, str]) -> str:
    gain = _gain(found, titles)
    if found.in_use is not None:
        given = " (as given)" if found.how == "given" else ""
        rule = f"{plain(found.positive)!r} if its probability is at least {found.in_use:.4g}"
        return f"{rule}{given}" + (f": {gain}" if gain else "")
    if found.value is None or found.score is None:
        return "none: the more probable class is predicted"
    return (
        f"none: the more probable class is predicted; {found.value:.4g} for "
        f"{plain(found.positive)!r} does not reliably improve the score ({gain})"
    )


def _thresholds(found: LabelThresholds, titles: Mapping[str, str]) -> str:
    if not found.values:
        return "none: a label is predicted from 0.5 on"
    pairs = zip(found.names, found.values, strict=True)
    each = ", ".join(f"{plain(name)} {value:.3g}" for name, value in [*pairs][:_MOST_LABELS])
    more = len(found.names) - _MOST_LABELS
    each = f"{each} and {more} more" if more > 0 else each
    if found.in_use:
        return f"{each}: {_gain(found, titles)}"
    return (
        "none: a label is predicted from 0.5 on; others do not reliably improve the score "
        f"({_gain(found, titles)})"
    )


def _gain(found: Threshold | LabelThresholds, titles: Mapping[str, str]) -> str:
    """Return what thresholds change of their metric; empty if no metric chooses them."""
    if found.score is None:
        return ""
    how = "on out-of-fold predictions" if found.how == "given" else "cross-validated"
    metric = plain(titles.get(found.metric, found.metric))
    return f"{metric} {_change(found.score)}, {how}"


def _change(change: BeforeAfter) -> str:
    return f"{score(change.before)} → {score(change.after, change.before)}"
