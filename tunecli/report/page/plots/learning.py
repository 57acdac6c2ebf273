"""Learning curves of one trial: validation score above, training loss below, folds as a band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tunecli.database.curves import Curve
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.page.plots.plot import Plot, Trace, axis, line_trace, plot_layout, upright
from tunecli.report.phrases import foreign_text, wording
from tunecli.study_file.text.counts import count

_DASHES = {"score": "solid", "loss": "dot"}

Limits = Mapping[str, Mapping[str, Any]]
"""Changes of the axes `score` and `loss`."""


def learning(study: StudyRecord, trial: TrialRecord, curve: Curve, limits: Limits) -> Plot:
    """Return the curves of one trial.

    Args:
        limits: ends of both axes, the same for all trials, so that they can be compared.
    """
    x, label = _steps(curve)
    has_loss = any(map(math.isfinite, curve.train_loss))
    metric = foreign_text.shortened(study.title, 24)
    traces = _curve(x, curve.score, [fold.score for fold in curve.folds], "score", "y")
    axes = {
        "xaxis": axis(label, anchor="y2" if has_loss else "y", rangemode="tozero", showgrid=False),
        "yaxis": axis(metric, domain=[0.47 if has_loss else 0, 1], **limits.get("score", {})),
    }
    if has_loss:
        losses = [fold.train_loss for fold in curve.folds]
        traces += _curve(x, curve.train_loss, losses, "loss", "y2")
        axes["yaxis2"] = axis("training loss", domain=[0, 0.41], **limits.get("loss", {}))
    margin = {"l": 60, "r": 14, "t": 8, "b": 40}
    return Plot(
        f"Trial {trial.number}: {wording.with_spread(trial.value, trial.spread)}",
        _description(study, trial, curve),
        traces,
        plot_layout(**axes, shapes=_best(trial, x), margin=margin),
        height=330 if has_loss else 240,
    )


def limits_of(curves: Sequence[Curve]) -> Limits:
    """Return axes that hold all these curves."""
    scores = [value for curve in curves for fold in _or_mean(curve) for value in fold]
    losses = [value for curve in curves for fold in curve.folds for value in fold.train_loss]
    limits = {}
    for name, values in (("score", scores), ("loss", losses)):
        finite = [value for value in values if math.isfinite(value)]
        if finite:
            room = 0.04 * (max(finite) - min(finite)) or 0.5
            limits[name] = {"range": [min(finite) - room, max(finite) + room]}
    return limits


def _or_mean(curve: Curve) -> Sequence[Sequence[float]]:
    return [fold.score for fold in curve.folds] or [curve.score]


def _steps(curve: Curve) -> tuple[Sequence[float], str]:
    """Return epochs if they are known, else numbers of evaluations, and the axis' title."""
    epochs = next((fold.epoch for fold in curve.folds), ())[: len(curve.step)]
    if len(epochs) == len(curve.step) and all(map(math.isfinite, epochs)):
        return epochs, "epoch"
    return [step + 1 for step in curve.step], "evaluation"


def _curve(
    x: Sequence[float], means: Sequence[float], folds: Sequence[Sequence[float]], name: str, y: str
) -> list[Trace]:
    """Return the mean over folds on a band from the lowest to the highest fold."""
    mean = line_trace(
        list(x[: len(means)]),
        _finite(means),
        mode="lines" if len(means) > 1 else "markers",
        yaxis=y,
        line={"color": f"@{name}", "width": 2, "dash": _DASHES[name]},
        marker={"color": f"@{name}"},
        hoverinfo="x+y",
    )
    if len(folds) < 2:
        return [mean]
    columns = ([*filter(math.isfinite, column)] for column in zip(*folds, strict=False))
    filled = [(at, column) for at, column in zip(x, columns, strict=False) if column]
    at = [place for place, _ in filled]
    edge = line_trace(at, [], yaxis=y, line={"width": 0})
    low = edge | {"y": _finite([min(column) for _, column in filled])}
    high = edge | {"y": _finite([max(column) for _, column in filled])}
    return [low, high | {"fill": "tonexty", "fillcolor": f"@{name}-band"}, mean]


def _finite(values: Sequence[float]) -> list[float | None]:
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]


def _best(trial: TrialRecord, x: Sequence[float]) -> list[dict[str, Any]]:
    """Return a line at the evaluation that counts."""
    if trial.best_step is None or trial.best_step >= len(x):
        return []
    at = x[trial.best_step]
    return [upright(at, at, line={"color": "@soft", "width": 1, "dash": "dash"})]


def _description(study: StudyRecord, trial: TrialRecord, curve: Curve) -> str:
    name = foreign_text.plain(study.title)
    text = f"Trial {trial.number}, {count(len(curve.score), 'evaluation')}"
    for label, values in ((name, curve.score), ("training loss", curve.train_loss)):
        if values:
            text += f"; {label} from {wording.score(values[0])} to {wording.score(values[-1])}"
    return text + "."
