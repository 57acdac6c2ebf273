"""The scores and the costs of a refitted model, for `metrics.json`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from tunecli.data.fold_store import FoldStore
from tunecli.model_folder.format.folder import weight_files
from tunecli.model_folder.format.model import Model
from tunecli.model_folder.refitting import Refitted, RefitTrial
from tunecli.model_folder.score_interval import Predicted, ScoreInterval, bootstrap_intervals
from tunecli.report.analysis.expected_score import ExpectedScore, RowCounts
from tunecli.study_file.settings.metric_names import label, prediction_metrics
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.training.compression.costs import Latency, latency, macs, share_of_zeros
from tunecli.training.step.losses import Predictions

MANY_ROWS = 256
"""Rows of the larger batch whose latency is measured; fewer if there are fewer."""

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class ModelCosts:
    """The costs of all members of a model together, without preprocessing.

    Attributes:
        size: bytes of the files with its weights.
        n_weights: number of parameters.
        zeros: share of the layers' weights that are zero, mean over members.
        macs: multiply-accumulate operations for one row.
        left_out: compression steps that would not have made the files smaller.
        latency: seconds for 1 row and for `MANY_ROWS` rows (or as many as there are), by the
            number of rows: median and interquartile range.
    """

    size: int
    n_weights: int
    zeros: float
    macs: int
    latency: dict[str, Latency]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeedScores:
    """The test scores of one training, by metric."""

    seed: int
    scores: dict[str, float]


@dataclass(frozen=True)
class Results:
    """The scores and costs of a model.

    Attributes:
        metric: name of the objective's metric.
        fold_scores: scores of the trial in the search, one per fold.
        test: test scores by metric; empty without a test set.
        n_test: number of test rows.
        seeds: test scores of all training runs; the model is that of the first.
        confusion: number of rows of each true (first axis) and predicted class; None for
            regression.
        residuals: quantiles of prediction minus truth, by share; None for classification.
        looks: how often the study's test set was looked at, this time included.
        costs: costs of the model.
        n_networks: number of networks whose predictions the model averages.
        one_by_one: mean of the test scores that these networks reach one by one, by metric: the
            score in the search is that of single networks, too. Empty for a single network.
        validated: numbers of rows that the score in the search rests on.
        expected: test score that the search lets expect of this model, or of an ensemble's
            networks one by one; None if that is unknown or this is not the best trial.
    """

    metric: str
    direction: str
    fold_scores: tuple[float, ...]
    test: dict[str, ScoreInterval]
    n_test: int
    n_train: int
    n_validation: int
    seeds: tuple[SeedScores, ...]
    confusion: tuple[tuple[int, ...], ...] | None
    residuals: dict[str, float] | None
    looks: int
    costs: ModelCosts
    n_networks: int = 1
    one_by_one: dict[str, float] = field(default_factory=dict)
    validated: RowCounts | None = None
    expected: ExpectedScore | None = None

    @property
    def of_test(self) -> ScoreInterval | None:
        """The objective's score on the test rows."""
        return self.test.get(self.metric)

    @property
    def search_mean(self) -> float:
        """Mean over folds."""
        return statistics.fmean(self.fold_scores) if self.fold_scores else math.nan


def results_of(
    trial: RefitTrial, store: FoldStore, refits: Sequence[Refitted], looks: int
) -> Results:
    """Measure the first model completely, and the test scores of the others.

    Args:
        looks: how often the test set was looked at, this time included.
    """
    config, dataset = trial.config, store.dataset
    metrics = prediction_metrics(config)
    first = refits[0]
    y = dataset.y[store.split.test_rows].numpy()
    test: dict[str, ScoreInterval] = {}
    confusion, residuals = None, None
    if first.predictions is not None:
        test = bootstrap_intervals(metrics, _on_test(store, y, first.predictions))
        if dataset.task == "classification":
            guessed = first.predictions.argmax(1)
            counts = confusion_matrix(y, guessed, labels=range(len(dataset.classes)))
            confusion = tuple(map(tuple, counts.tolist()))
        else:
            residuals = residual_quantiles(y, first.predictions)
    return Results(
        metric=label(config.objective.metric),
        direction=config.objective.direction,
        fold_scores=trial.fold_scores,
        test=test,
        n_test=len(y),
        n_train=first.n_rows,
        n_validation=first.validation_rows,
        seeds=tuple(_scores_of(config, store, refitted, y) for refitted in refits),
        confusion=confusion,
        residuals=residuals,
        looks=looks,
        costs=costs_of_model(first.model, store),
        n_networks=len(first.model.members),
        one_by_one=_one_by_one(metrics, store, first, y),
        validated=_validated(store),
    )


def _one_by_one(
    metrics: Sequence[Component], store: FoldStore, first: Refitted, y: NDArray[np.generic]
) -> dict[str, float]:
    scores = [_on_test(store, y, one).measured(metrics) for one in first.one_by_one]
    names = scores[0] if scores else ()
    return {name: statistics.fmean(one[name] for one in scores) for name in names}


def _validated(store: FoldStore) -> RowCounts:
    """Return the numbers of rows that scores of this split rest on.

    The mean over folds weighs each row by how often it validates, and by how few others with it.
    """
    folds = [valid.numpy() for _, valid in store.split.folds]
    weights = np.zeros(len(store.dataset.y))
    for valid in folds:
        weights[valid] += 1 / (len(valid) * len(folds))
    return RowCounts(
        fold=statistics.fmean(map(len, folds)),
        valid=1 / float((weights**2).sum()),
        test=len(store.split.test_rows) or math.inf,
    )


def _scores_of(
    config: TrialConfig, store: FoldStore, refitted: Refitted, y: NDArray[np.generic]
) -> SeedScores:
    if refitted.predictions is None:
        return SeedScores(refitted.seed, {})
    scores = _on_test(store, y, refitted.predictions).measured(prediction_metrics(config))
    return SeedScores(refitted.seed, scores)


def _on_test(store: FoldStore, y: NDArray[np.generic], predictions: Predictions) -> Predicted:
    dataset, weights = store.dataset, store.dataset.weights_of(store.split.test_rows)
    return Predicted(dataset.task, y, predictions, len(dataset.classes), weights)


def residual_quantiles(y: NDArray[np.generic], values: Predictions) -> dict[str, float]:
    """Return quantiles of prediction minus truth, by their share."""
    errors = values.astype(np.float64) - y.astype(np.float64)
    quantiles = np.quantile(errors, QUANTILES)
    return {f"{share:g}": float(error) for share, error in zip(QUANTILES, quantiles, strict=True)}


def costs_of_model(model: Model, store: FoldStore) -> ModelCosts:
    """Measure a model's costs on rows of the search, with torch's current number of threads."""
    members = model.members
    rows = store.split.search_rows[:MANY_ROWS]
    read = next(store.dataset.blocks(rows, len(rows)))
    prepared = [member.preprocessing(read).to(model.device) for member in members]
    times = {
        str(n): _sum([latency(m.network, p[:n]) for m, p in zip(members, prepared, strict=True)])
        for n in (1, len(rows))
    }
    packed = [member.packed for member in members if member.packed is not None]
    return ModelCosts(
        size=sum(map(len, weight_files(model).values())),
        n_weights=model.n_weights,
        zeros=sum(share_of_zeros(member.network) for member in members) / len(members),
        macs=sum(macs(m.network, p[:1]) for m, p in zip(members, prepared, strict=True)),
        latency=times,
        left_out=tuple(dict.fromkeys(step for one in packed for step in one.left_out)),
    )


def _sum(times: list[Latency]) -> Latency:
    """Add the latencies of members, which compute one after another."""
    return Latency(*(sum(getattr(t, name) for t in times) for name in ("median", "low", "high")))
