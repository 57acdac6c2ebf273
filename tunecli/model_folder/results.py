"""What a refitted model scores, as `metrics.json` has it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.data.fold_store import FoldStore
from tunecli.model_folder.interval import Interval, Predicted, intervals
from tunecli.model_folder.model_costs import ModelCosts, costs_of_model
from tunecli.model_folder.refitting import Refitted, Trial
from tunecli.study_file.metrics import label, measured
from tunecli.study_file.settings import TrialConfig
from tunecli.training.losses import Predictions

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class SeedScores:
    """The test scores of one training, by metric."""

    seed: int
    scores: dict[str, float]


@dataclass(frozen=True)
class Results:
    """What is known of a model.

    Attributes:
        metric: of the objective.
        fold_scores: of the trial in the search.
        test: by metric; empty without a test set.
        n_test: rows of the test.
        seeds: of all trainings; the model is that of the first.
        confusion: rows of each true (first axis) and predicted class; None for regression.
        residuals: quantiles of prediction minus truth, by share; None for classification.
        looks: how often the study's test set was looked at, this time included.
        costs: of the model.
    """

    metric: str
    direction: str
    fold_scores: tuple[float, ...]
    test: dict[str, Interval]
    n_test: int
    n_train: int
    n_validation: int
    seeds: tuple[SeedScores, ...]
    confusion: tuple[tuple[int, ...], ...] | None
    residuals: dict[str, float] | None
    looks: int
    costs: ModelCosts

    @property
    def of_test(self) -> Interval | None:
        """The objective's score on the test rows."""
        return self.test.get(self.metric)

    @property
    def search_mean(self) -> float:
        """Mean over folds."""
        return statistics.fmean(self.fold_scores) if self.fold_scores else math.nan

    def data(self) -> dict[str, Any]:
        """Plain values for JSON; None for what is not finite."""
        found: dict[str, Any] = _finite(asdict(self))
        return found


def results_of(trial: Trial, store: FoldStore, refits: Sequence[Refitted], looks: int) -> Results:
    """Measure the first model, and the others beside it."""
    config, dataset = trial.config, store.dataset
    metrics = measured(config)
    first = refits[0]
    y = dataset.y[store.split.test_rows].numpy()
    n_classes = len(dataset.classes)
    test: dict[str, Interval] = {}
    confusion, residuals = None, None
    if first.predictions is not None:
        test = intervals(metrics, _on_test(store, y, first.predictions))
        if dataset.task == "classification":
            confusion = confusion_matrix(y, first.predictions, n_classes)
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
    )


def _scores_of(
    config: TrialConfig, store: FoldStore, refitted: Refitted, y: NDArray[np.generic]
) -> SeedScores:
    if refitted.predictions is None:
        return SeedScores(refitted.seed, {})
    scores = _on_test(store, y, refitted.predictions).measured(measured(config))
    return SeedScores(refitted.seed, scores)


def _on_test(store: FoldStore, y: NDArray[np.generic], predictions: Predictions) -> Predicted:
    dataset, weights = store.dataset, store.dataset.weights_of(store.split.test_rows)
    return Predicted(dataset.task, y, predictions, len(dataset.classes), weights)


def confusion_matrix(
    y: NDArray[np.generic], probabilities: Predictions, n_classes: int
) -> tuple[tuple[int, ...], ...]:
    """Rows of each true (first axis) and predicted class."""
    cells = y.astype(np.int64) * n_classes + probabilities.argmax(1)
    counts = np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)
    return tuple(tuple(int(n) for n in row) for row in counts)


def residual_quantiles(y: NDArray[np.generic], values: Predictions) -> dict[str, float]:
    """Quantiles of prediction minus truth, by their share."""
    errors = values.astype(np.float64) - y.astype(np.float64)
    found = np.quantile(errors, QUANTILES)
    return {f"{share:g}": float(error) for share, error in zip(QUANTILES, found, strict=True)}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value
