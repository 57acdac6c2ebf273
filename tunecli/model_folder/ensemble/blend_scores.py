"""Score mean out-of-fold predictions of several trials, fold by fold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from tunecli.data.fold_store import FoldStore
from tunecli.model_folder.adjust.held_out import N_PARTS, Rows, dealt
from tunecli.model_folder.ensemble.greedy import Picks, with_pick
from tunecli.model_folder.format.mean_predictions import mean_of
from tunecli.study_file.settings.metric_names import label
from tunecli.study_file.settings.settings import Component, Objective
from tunecli.training.outcome.metrics import measure, why_undefined
from tunecli.training.step.losses import Predictions


@dataclass(frozen=True)
class ScoredPart:
    """Rows that are scored together: those of a fold, or a part of those of the only fold.

    Attributes:
        fold: number of the fold.
        places: their places among its validation rows, (n,).
        rows: their numbers in the data, (n,).
    """

    fold: int
    places: Rows
    rows: Rows


def scored_parts(store: FoldStore, metric: Component) -> list[ScoredPart]:
    """Return the folds of a study; a single one is dealt into parts, class by class.

    Rows of weight 0 are in no part of a single fold: a part of such rows alone has no score. It is
    dealt into fewer parts if the metric is not defined on one of five, as where a class is rare.
    """
    folds = [valid.numpy() for _, valid in store.split.folds]
    if len(folds) > 1:
        return [ScoredPart(i, np.arange(len(rows)), rows) for i, rows in enumerate(folds)]
    [rows] = folds
    weights = store.dataset.weights_of(torch.from_numpy(rows))
    counted = np.arange(len(rows)) if weights is None else np.flatnonzero(weights > 0)
    y = store.dataset.y.numpy()[rows[counted]]
    for n_parts in range(N_PARTS, 0, -1):
        parts = dealt(y, n_parts)
        places = [counted[parts == number] for number in np.unique(parts)]
        found = [ScoredPart(0, one, rows[one]) for one in places]
        if not any(_why_undefined(part, store, metric) for part in found):
            break
    return found


def _why_undefined(part: ScoredPart, store: FoldStore, metric: Component) -> str:
    data = store.dataset
    weights = data.weights_of(torch.from_numpy(part.rows))
    names = data.classes or data.targets
    return why_undefined(metric, data.y.numpy()[part.rows], names, weights, store.positive)


class BlendScores:
    """The objective's scores of mean predictions, on each part of the out-of-fold rows.

    Args:
        store: the data of the study.
        outputs: out-of-fold predictions of each candidate, by fold.

    Attributes:
        parts: the parts, in the order of the scores.
        sign: 1 if the objective is maximized, else -1.
    """

    def __init__(
        self,
        store: FoldStore,
        objective: Objective,
        outputs: Sequence[Sequence[Predictions]],
    ) -> None:
        self._store = store
        self._metric = objective.metric
        self.sign = 1.0 if objective.direction == "maximize" else -1.0
        self._outputs = outputs
        self._known: dict[Picks, NDArray[np.float64]] = {}
        self._summed: tuple[Picks, Sequence[NDArray[np.float64]]] | None = None
        self.parts = scored_parts(store, objective.metric)

    @cached_property
    def apart(self) -> list[list[int]]:
        """The parts that share no row with each part; repeated folds share rows."""
        rows = [part.rows for part in self.parts]
        return [
            [i for i, other in enumerate(rows) if not np.isin(own, other).any()] for own in rows
        ]

    def of(self, picks: Picks) -> NDArray[np.float64]:
        """Return the goodness of the mean of picked candidates on each part; larger is better.

        It is the score, or its negative if the score is minimized; minus infinity where the metric
        is not defined.
        """
        if picks not in self._known:
            self._known[picks] = self._scored(self.blended(picks))
        return self._known[picks]

    def with_one(self, picks: Picks, one: int) -> NDArray[np.float64]:
        """Return the same of picks and one more candidate: quick if the last picks were the same.

        All candidates are added to the same picks in turn, whose sum is kept meanwhile.
        """
        longer = with_pick(picks, one)
        if longer not in self._known:
            pairs = zip(self._sums(picks), self._outputs[one], strict=True)
            means = [((total + last) / len(longer)).astype(last.dtype) for total, last in pairs]
            self._known[longer] = self._scored(means)
        return self._known[longer]

    def _sums(self, picks: Picks) -> Sequence[NDArray[np.float64]]:
        """Return the sum of the predictions of picks, by fold."""
        if self._summed is None or self._summed[0] != picks:
            sums = [np.zeros(one.shape, np.float64) for one in self._outputs[0]]
            for candidate, n_times in Counter(picks).items():
                for total, one in zip(sums, self._outputs[candidate], strict=True):
                    total += n_times * one.astype(np.float64)
            self._summed = picks, sums
        return self._summed[1]

    def blended(self, picks: Picks) -> list[Predictions]:
        """Return the mean out-of-fold predictions of picked candidates, by fold."""
        counts = Counter(picks)
        chosen = [self._outputs[one] for one in counts]
        return [mean_of(of_fold, [*counts.values()]) for of_fold in zip(*chosen, strict=True)]

    def _scored(self, blends: Sequence[Predictions]) -> NDArray[np.float64]:
        return np.array([self._goodness(part, blends) for part in self.parts])

    def _goodness(self, part: ScoredPart, blends: Sequence[Predictions]) -> float:
        dataset, rows = self._store.dataset, part.rows
        measured = measure(
            [self._metric],
            dataset.task,
            dataset.y.numpy()[rows],
            blends[part.fold][part.places],
            len(dataset.classes),
            dataset.weights_of(torch.from_numpy(rows)),
            self._store.positive,
        )
        score = measured[label(self._metric)]
        return self.sign * score if math.isfinite(score) else -math.inf
