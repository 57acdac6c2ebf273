"""Curves of trials, evaluation by evaluation: read only where they are shown, written in parts."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, TextClause

from tunecli.database import queries
from tunecli.training.outcome.evaluation import Evaluation

_MOST_NAMED = 500  # trials in one query; older versions of SQLite take 999 values


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
        rows = queries.rows_of_ours(opened, "tunecli_curves", queries.FOLD_CURVES, **keys)
        return _curves(_points(opened, queries.MEAN_CURVES, keys), _fold_curves(rows))


def read_mean_curves(
    url: str, study_id: int, trial_ids: Sequence[int] | None = None
) -> dict[int, Curve]:
    """Return the mean curves of these trials, or of all, much faster than `read_curves`.

    Raises:
        DatabaseError: the database is damaged or locked.
    """
    with queries.connection(url) as opened:
        if trial_ids is None:
            keys = {"study": study_id, **queries.between(None)}
            return _mean_curves(opened, queries.MEAN_CURVES, queries.MEAN_LOSSES, keys)
        curves: dict[int, Curve] = {}
        for start in range(0, len(trial_ids), _MOST_NAMED):
            some = {"study": study_id, "trials": trial_ids[start : start + _MOST_NAMED]}
            curves |= _mean_curves(opened, queries.MEAN_CURVES_OF, queries.MEAN_LOSSES_OF, some)
        return curves


def _mean_curves(
    opened: Connection, scores: TextClause, losses: TextClause, keys: Mapping[str, Any]
) -> dict[int, Curve]:
    points = _points(opened, scores, keys)
    rows = queries.rows_of_ours(opened, "tunecli_curves", losses, **keys)
    values = [queries.finite_or_nan(row.train_loss) for row in rows]
    means = {trial_id: values[span] for trial_id, span in _spans([row.trial_id for row in rows])}
    return {
        trial_id: Curve(steps, score, tuple(means.get(trial_id, ())[: len(score)]))
        for trial_id, (steps, score) in points.items()
    }


_Points = Mapping[int, tuple[tuple[int, ...], tuple[float, ...]]]
"""Steps and mean scores of each trial, by `trial_id`."""


def _points(opened: Connection, query: TextClause, keys: Mapping[str, Any]) -> _Points:
    columns = queries.columns(queries.rows(opened, query, **keys))
    if not columns:
        return {}
    trial_ids, steps, stored, kinds = columns.values()
    scores = tuple(map(queries.stored_float, stored, kinds))
    return {trial_id: (steps[span], scores[span]) for trial_id, span in _spans(trial_ids)}


_Key = TypeVar("_Key")


def _spans(keys: Iterable[_Key]) -> Iterator[tuple[_Key, slice]]:
    """Yield the key of each run of equal keys, and where the run lies."""
    start = 0
    for key, run in groupby(keys):
        end = start + len([*run])
        yield key, slice(start, end)
        start = end


class MeanCurves(Mapping[int, Curve]):
    """The mean curves of a study by `trial_id`, of which the needed ones are read first.

    A report rests on the curves of the best trials, and seldom on those of all.
    """

    def __init__(self, url: str, study_id: int, needed: Sequence[int]) -> None:
        self._url, self._study_id = url, study_id
        self._needed = frozenset(needed)
        self._few = read_mean_curves(url, study_id, needed)

    @cached_property
    def _all(self) -> dict[int, Curve]:
        return read_mean_curves(self._url, self._study_id)

    def __getitem__(self, trial_id: int) -> Curve:
        return (self._few if trial_id in self._needed else self._all)[trial_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


def mean_scores(opened: Connection, study_id: int) -> dict[int, Curve]:
    """Return the mean scores of all trials that have some, by `trial_id`."""
    keys = {"study": study_id, **queries.between(None)}
    return _curves(_points(opened, queries.MEAN_CURVES, keys), {})


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


def _curves(points: _Points, folds: Mapping[int, Sequence[FoldCurve]]) -> dict[int, Curve]:
    """Return the curves of all trials that have points or folds."""
    return {
        trial_id: _curve(*points.get(trial_id, ((), ())), folds.get(trial_id, ()))
        for trial_id in {*points, *folds}
    }


def _curve(step: tuple[int, ...], score: tuple[float, ...], folds: Sequence[FoldCurve]) -> Curve:
    losses = zip(*(fold.train_loss for fold in folds), strict=False)
    return Curve(step, score, tuple(map(statistics.fmean, losses)), tuple(folds))


_FOLD = tuple(field.name for field in fields(FoldCurve))


def _fold_curves(rows: Sequence[Row[Any]]) -> Mapping[int, Sequence[FoldCurve]]:
    """Return the curves of the folds of each trial, by `trial_id`.

    Whole columns are read at once, and then cut: a study has a million evaluations.

    Args:
        rows: sorted by trial, fold and step.
    """
    columns = queries.columns(rows)
    if not columns:
        return {}
    parsed = columns | {
        "train_loss": tuple(map(queries.finite_or_nan, columns["train_loss"])),
        "score": tuple(map(queries.finite_or_nan, columns["score"])),
        "metrics": queries.all_metric_rows(columns["metrics"]),
    }
    of_fold = [parsed[name] for name in _FOLD]
    folds = defaultdict[int, list[FoldCurve]](list)
    for (trial_id, _), span in _spans(zip(columns["trial_id"], columns["fold"], strict=True)):
        folds[trial_id].append(FoldCurve(*(column[span] for column in of_fold)))
    return folds


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
