"""Curves of trials, evaluation by evaluation: read only where they are shown, written in parts."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row

from tunecli.database import queries
from tunecli.training.outcome.evaluation import Evaluation


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
        step, score: the mean score at each evaluation, over the folds that took part.
        train_loss: the mean over these folds; empty in a study of another program.
        folds: those that took part; empty in a study of another program, and if only means were
            read. Folds that began before the others may have more evaluations than the mean.
    """

    step: tuple[int, ...] = ()
    score: tuple[float, ...] = ()
    train_loss: tuple[float, ...] = ()
    folds: tuple[FoldCurve, ...] = ()


def read_curves(
    url: str, study_id: int, trial_ids: Sequence[int] | None = None
) -> dict[int, Curve]:
    """Return the curves of these trials, or of all, that have curves, by `trial_id`.

    Trials between them may be among those returned.

    Raises:
        DatabaseError: the database is damaged or locked.
    """
    keys = {"study": study_id, **queries.between(trial_ids)}
    with queries.connection(url) as opened:
        means = queries.rows(opened, queries.MEAN_CURVES, **keys)
        return _assemble(
            means, queries.rows_of_ours(opened, "tunecli_curves", queries.FOLD_CURVES, **keys)
        )


def read_mean_curves(url: str, study_id: int) -> dict[int, Curve]:
    """Return the mean curves of all trials, in a fraction of the time of `read_curves`.

    Raises:
        DatabaseError: the database is damaged or locked.
    """
    with queries.connection(url) as opened:
        curves = mean_scores(opened, study_id)
        query = queries.MEAN_LOSSES
        rows = queries.rows_of_ours(opened, "tunecli_curves", query, study=study_id)
    losses = queries.by_trial(rows)
    return {
        trial_id: replace(curve, train_loss=_losses(losses[trial_id])[: len(curve.step)])
        for trial_id, curve in curves.items()
    }


def mean_scores(opened: Connection, study_id: int) -> dict[int, Curve]:
    """Return the mean scores of all trials that have some, by `trial_id`."""
    keys = {"study": study_id, **queries.between(None)}
    return _assemble(queries.rows(opened, queries.MEAN_CURVES, **keys), [])


def fold_scores(opened: Connection, study_id: int) -> dict[int, list[list[float]]]:
    """Return the scores of each fold of all trials that have some, by `trial_id`."""
    rows = queries.rows_of_ours(opened, "tunecli_curves", queries.FOLD_SCORES, study=study_id)
    return {
        trial_id: [
            [queries.finite_or_nan(row.score) for row in fold]
            for _, fold in groupby(of_trial, attrgetter("fold"))
        ]
        for trial_id, of_trial in queries.by_trial(rows).items()
    }


def _assemble(means: Iterable[Row[Any]], folds: Iterable[Row[Any]]) -> dict[int, Curve]:
    points, curves = queries.by_trial(means), queries.by_trial(folds)
    return {
        trial_id: _curve(points[trial_id], curves[trial_id]) for trial_id in {*points, *curves}
    }


def _curve(means: Sequence[Row[Any]], rows: Iterable[Row[Any]]) -> Curve:
    """Return the curve of one trial from its means, and its rows fold by fold."""
    folds = tuple(_fold_curve([*fold]) for _, fold in groupby(rows, attrgetter("fold")))
    losses = zip(*(fold.train_loss for fold in folds), strict=False)
    return Curve(
        step=tuple(row.step for row in means),
        score=tuple(
            queries.stored_float(row.intermediate_value, row.intermediate_value_type)
            for row in means
        ),
        train_loss=tuple(map(statistics.fmean, losses)),
        folds=folds,
    )


def _fold_curve(rows: Sequence[Row[Any]]) -> FoldCurve:
    columns = dict(zip(rows[0]._fields, zip(*rows, strict=True), strict=True))
    return FoldCurve(
        step=columns["step"],
        epoch=columns["epoch"],
        train_loss=tuple(map(queries.finite_or_nan, columns["train_loss"])),
        score=tuple(map(queries.finite_or_nan, columns["score"])),
        lr=columns["lr"],
        metrics=queries.all_metric_rows(columns["metrics"]),
    )


def _losses(rows: Iterable[Row[Any]]) -> tuple[float, ...]:
    return tuple(queries.finite_or_nan(row.train_loss) for row in rows)


class CurveBuffer:
    """Collects the evaluations of running trials until they are written.

    Attributes:
        means: mean score over the folds that take part, by trial and step.
        evaluations: evaluations of single folds, each with its trial and the number of the fold.
        begun_again: trials whose written means no longer count, because more folds have joined.
    """

    def __init__(self) -> None:
        self.means: dict[tuple[int, int], float] = {}
        self.evaluations: list[tuple[tuple[int, int], Evaluation]] = []
        self.begun_again: set[int] = set()
        self._n_known: Counter[tuple[int, int]] = Counter()  # by trial and fold, written or not

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.means

    def add(self, number: int, step: int, folds: Sequence[Evaluation]) -> None:
        """Add an evaluation of the first folds of trial `number`, or of all.

        With more folds, steps begin at 0 again, and evaluations of earlier folds are known.
        """
        if step == 0 and self._n_known[number, 0]:
            self._forget_means(number)
            self.begun_again.add(number)
        self.means[number, step] = statistics.fmean(evaluation.score for evaluation in folds)
        for fold, evaluation in enumerate(folds):
            if step >= self._n_known[number, fold]:
                self._n_known[number, fold] = step + 1
                self.evaluations.append(((number, fold), evaluation))

    def forget(self, number: int) -> None:
        """Forget a trial, whose attempt has ended."""
        self._forget_means(number)
        self.evaluations = [one for one in self.evaluations if one[0][0] != number]
        self.begun_again.discard(number)
        for key in [key for key in self._n_known if key[0] == number]:
            del self._n_known[key]

    def clear(self) -> None:
        """Forget what has been written."""
        self.means, self.evaluations, self.begun_again = {}, [], set()

    def _forget_means(self, number: int) -> None:
        self.means = {key: mean for key, mean in self.means.items() if key[0] != number}
