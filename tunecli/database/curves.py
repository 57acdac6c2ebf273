"""Curves of trials, evaluation by evaluation; they are read only where they are shown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row

from tunecli.database import queries


@dataclass(frozen=True)
class FoldCurve:
    """The curves of one fold; a number that was not finite is NaN."""

    step: tuple[int, ...]
    epoch: tuple[float, ...]
    train_loss: tuple[float, ...]
    score: tuple[float, ...]
    lr: tuple[float, ...]
    metrics: tuple[Mapping[str, float], ...]


@dataclass(frozen=True)
class Curve:
    """The curves of one trial.

    Attributes:
        step, score: the mean score over folds at each evaluation.
        train_loss: the mean over folds; empty in a study of another program.
        folds: empty in a study of another program, and if only means were read.
    """

    step: tuple[int, ...] = ()
    score: tuple[float, ...] = ()
    train_loss: tuple[float, ...] = ()
    folds: tuple[FoldCurve, ...] = ()


def read_curves(url: str, study_id: int, trial_id: int | None = None) -> dict[int, Curve]:
    """Return the curves of one trial, or of all trials that have curves, by `trial_id`.

    Raises:
        DatabaseError: the database is damaged or locked.
    """
    with queries.connection(url) as opened:
        keys = {"study": study_id, "trial": trial_id}
        means = queries.rows(opened, queries.MEAN_CURVES, **keys)
        return _assemble(
            means, queries.rows_of_ours(opened, "tunecli_curves", queries.FOLD_CURVES, **keys)
        )


def read_mean_curves(url: str, study_id: int) -> dict[int, Curve]:
    """Return the mean curves of all trials, in a fraction of the time of `read_curves`.

    Raises:
        DatabaseError: the database is damaged or locked.
    """
    losses: dict[int, list[float]] = {}
    with queries.connection(url) as opened:
        curves = mean_scores(opened, study_id)
        query = queries.MEAN_LOSSES
        for row in queries.rows_of_ours(opened, "tunecli_curves", query, study=study_id):
            losses.setdefault(row.trial_id, []).append(queries.finite_or_nan(row.train_loss))
    return {
        trial_id: replace(curve, train_loss=tuple(losses.get(trial_id, ())))
        for trial_id, curve in curves.items()
    }


def mean_scores(opened: Connection, study_id: int) -> dict[int, Curve]:
    """Return the mean scores of all trials that have some, by `trial_id`."""
    return _assemble(queries.rows(opened, queries.MEAN_CURVES, study=study_id, trial=None), [])


def _assemble(means: Iterable[Row[Any]], folds: Iterable[Row[Any]]) -> dict[int, Curve]:
    points: dict[int, list[Row[Any]]] = {}
    for row in means:
        points.setdefault(row.trial_id, []).append(row)
    by_fold: dict[int, dict[int, list[Row[Any]]]] = {}
    for row in folds:
        by_fold.setdefault(row.trial_id, {}).setdefault(row.fold, []).append(row)
    return {
        trial_id: Curve(
            step=tuple(row.step for row in points.get(trial_id, ())),
            score=tuple(
                queries.stored_float(row.intermediate_value, row.intermediate_value_type)
                for row in points.get(trial_id, ())
            ),
            train_loss=_mean_losses(by_fold.get(trial_id, {}).values()),
            folds=tuple(_fold_curve(fold) for fold in by_fold.get(trial_id, {}).values()),
        )
        for trial_id in points.keys() | by_fold.keys()
    }


def _mean_losses(folds: Iterable[list[Row[Any]]]) -> tuple[float, ...]:
    return tuple(
        statistics.fmean(queries.finite_or_nan(row.train_loss) for row in rows)
        for rows in zip(*folds, strict=False)
    )


def _fold_curve(rows: list[Row[Any]]) -> FoldCurve:
    return FoldCurve(
        step=tuple(row.step for row in rows),
        epoch=tuple(row.epoch for row in rows),
        train_loss=tuple(queries.finite_or_nan(row.train_loss) for row in rows),
        score=tuple(queries.finite_or_nan(row.score) for row in rows),
        lr=tuple(row.lr for row in rows),
        metrics=tuple(queries.metric_rows(row.metrics) for row in rows),
    )
