"""Score untuned scikit-learn models on a study's folds, as baselines that tuning must beat.

They are fitted with default arguments on the training part of each fold, and scored on its
validation part by the study's metrics. Each takes the rows in a suitable form: linear models take
the features of networks, standardized and one-hot, fitted on the training part, and the tf-idf of
the words of a text; trees take the cells as they were read, without text. Each takes seconds:
large data is subsampled, and a model that would still take longer is skipped, with a note.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.features import as_features
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.metric_names import (
    is_for,
    label,
    prediction_metrics,
    target_metrics,
)
from tunecli.study_file.settings.settings import Component, Task, TrialConfig
from tunecli.study_file.text.counts import count
from tunecli.training.fold_data import folds_of
from tunecli.training.outcome.decision import mean_of_targets, measure_targets
from tunecli.training.outcome.evaluation import (
    LARGEST_LIMIT,
    MOST_BASELINE_SECONDS,
    Baseline,
    BaselineLimit,
    TargetScores,
)
from tunecli.training.outcome.metrics import measure
from tunecli.training.outcome.score_guard import NoScoreError, finite_float, float_of, mean
from tunecli.training.state.random_state import fold_seed
from tunecli.training.text_baseline import NoWordsError, TextBaseline
from tunecli.training.token_baselines import TOKEN_BASELINES, counted_sums

Fit = Callable[[NDArray[Any]], Any]
"""Fits an estimator to one target of the training rows, (n_rows,)."""

Cells = NDArray[np.float64]
"""Features of rows, (n_rows, n_features)."""

_LEAVES, _LEAST_ROWS_OF_A_LEAF = 31, 20  # per tree, scikit-learn's defaults
_MOST_CATEGORIES = 255  # per column, scikit-learn's limit
_SECONDS_PER_BYTE = 1e-6  # of text whose tokens are counted


class Guess:
    """Predicts the training part's class shares, or its mean target."""

    def estimator(self, store: FoldStore, seed: int) -> Any:
        """Return the scikit-learn estimator, not fitted yet; it is imported only here."""
        from sklearn.dummy import DummyClassifier, DummyRegressor

        has_shares = store.dataset.are_probabilities
        return DummyClassifier(strategy="prior") if has_shares else DummyRegressor()

    def n_features(self, store: FoldStore) -> int:
        """Return the number of features per row that the model takes: none."""
        return 0

    def cells(self, store: FoldStore, fold: int, drawn: Tensor) -> tuple[Cells, Cells]:
        """Return the training rows at the positions `drawn`, and the validation rows."""
        return np.empty((len(drawn), 0)), np.empty((len(store.split.folds[fold][1]), 0))

    def seconds(self, store: FoldStore, n_rows: int) -> tuple[float, float]:
        """Estimate a fold's fit on `n_rows` rows in seconds: a fixed part, and a part per row."""
        return 0.0, 0.0


class LinearBaseline:
    """Logistic or ridge regression."""

    def estimator(self, store: FoldStore, seed: int) -> Any:
        """See `Guess`."""
        from sklearn.linear_model import LogisticRegression, Ridge

        return LogisticRegression() if store.dataset.are_probabilities else Ridge()

    def n_features(self, store: FoldStore) -> int:
        """Return the number of features after encoding."""
        return math.prod(self._folds(store)[0].shape)

    def cells(self, store: FoldStore, fold: int, drawn: Tensor) -> tuple[Cells, Cells]:
        """See `Guess`; float64, since solvers stop early in float32."""
        data = self._folds(store)[fold]
        parts = [(data.x_train, drawn), (data.x_valid, torch.arange(len(data.y_valid)))]
        blocks = (next(as_features(x).batches(rows, [len(rows)])) for x, rows in parts)
        train, valid = (block.flatten(1).numpy().astype(np.float64) for block in blocks)
        return train, valid

    def seconds(self, store: FoldStore, n_rows: int) -> tuple[float, float]:
        """See `Guess`."""
        return 0.0, 1e-7 * self.n_features(store) * store.dataset.n_functions

    def _folds(self, store: FoldStore) -> Any:
        return store.folds(FeatureForm(Component(name="standard")), standardize_target=False)


class Trees:
    """Gradient-boosted trees on histograms, which handle missing cells and categories natively.

    A round fits one tree per output. With many folds and classes, there are fewer rounds with
    larger steps: on the digits, the same accuracy in a third of the time.
    """

    def estimator(self, store: FoldStore, seed: int) -> Any:
        """See `Guess`."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        columns = store.dataset.columns
        has_classes = store.dataset.are_probabilities
        kind = HistGradientBoostingClassifier if has_classes else HistGradientBoostingRegressor
        categories = [
            index
            for index, column in enumerate(columns)
            if column.kind == "categorical" and len(column.categories) <= _MOST_CATEGORIES
        ]
        n_rounds = self._n_rounds(store)
        return kind(
            learning_rate=10 / n_rounds,
            max_iter=n_rounds,
            categorical_features=categories or None,
            random_state=seed,
        )

    def _n_rounds(self, store: FoldStore) -> int:
        """Return scikit-learn's 100, or fewer to limit all trees to 2,000, but at least 30."""
        n_per_round = len(store.split.folds) * store.dataset.n_functions
        return max(30, min(100, 2_000 // n_per_round))

    def n_features(self, store: FoldStore) -> int:
        """Return the number of features as read."""
        return math.prod(store.dataset.without_texts.shape)

    def cells(self, store: FoldStore, fold: int, drawn: Tensor) -> tuple[Cells, Cells]:
        """See `Guess`; NaN is missing, categories are codes."""
        train, valid = store.split.folds[fold]
        x = store.dataset.without_texts.x
        assert isinstance(x, Tensor), "loaded rows have no trees"
        parts = (x[rows].flatten(1).numpy().astype(np.float64) for rows in (train[drawn], valid))
        return next(parts), next(parts)

    def seconds(self, store: FoldStore, n_rows: int) -> tuple[float, float]:
        """See `Guess`; from measured costs per split, per bin and per row."""
        n_trees = self._n_rounds(store) * store.dataset.n_functions
        n_features = self.n_features(store)
        n_splits = min(_LEAVES - 1, n_rows // _LEAST_ROWS_OF_A_LEAF)
        for_splits = n_splits * (8e-5 + 2.7e-7 * n_features)
        return n_trees * for_splits, n_trees * 8.5e-9 * n_features


UntunedModel = Guess | LinearBaseline | TextBaseline | Trees

MODELS: Mapping[str, UntunedModel] = {
    "commonest class": Guess(),
    "mean": Guess(),
    "label shares": Guess(),
    "logistic regression": LinearBaseline(),
    "ridge regression": LinearBaseline(),
    "gradient-boosted trees": Trees(),
}
"""The models by the names in `evaluation.BASELINES`."""

_OF_TEXT: Mapping[str, UntunedModel] = {
    **MODELS,
    "logistic regression": TextBaseline(),
    "ridge regression": TextBaseline(),
}


def _model(name: str, store: FoldStore) -> UntunedModel:
    """Return a baseline for the rows of a store, which may have text."""
    return (_OF_TEXT if store.dataset.text_columns else MODELS)[name]


MOST_FEATURES = 1024
"""Largest number of features per row: those of a picture of 32 × 32 pixels."""

LEAST_SHARE = 0.25
"""Smallest share of the rows that a baseline is fitted on; fewer would say little."""


class NoBaselineError(Exception):
    """A baseline is skipped; the text is the reason."""


def fit_baseline(
    name: str, config: TrialConfig, store: FoldStore, limit: BaselineLimit = LARGEST_LIMIT
) -> Baseline:
    """Fit and score one of `evaluation.BASELINES` on every fold.

    The same study gives the same bits: it uses `training.threads` threads and the folds' seeds.

    Args:
        config: configuration of any trial; its seed, objective, metrics and threads are used.
        store: the study's data.
        limit: how long it may take; see `search_cost.plan_baselines`.
    """
    start = time.perf_counter()
    try:
        with threadpool_limits(config.training.threads), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about convergence
            baseline = _scored(name, config, store, limit)
    except (NoBaselineError, NoScoreError, NoWordsError) as error:
        return Baseline(name, note=str(error))
    return replace(baseline, seconds=time.perf_counter() - start)


def _scored(name: str, config: TrialConfig, store: FoldStore, limit: BaselineLimit) -> Baseline:
    of_targets: list[TargetScores] = []
    if name in TOKEN_BASELINES:
        measured, note = _of_tokens(name, config, store), ""
    else:
        measured, of_targets, note = _of_rows(_model(name, store), config, store, limit)
    fold_values = [
        {name: float_of(value, name) for name, value in values.items()} for values in measured
    ]
    objective = label(config.objective.metric)
    scores = tuple(finite_float(values.pop(objective), objective) for values in fold_values)
    of_folds = {name: tuple(values[name] for values in fold_values) for name in fold_values[0]}
    known = {name: values for name, values in of_folds.items() if all(map(math.isfinite, values))}
    means = {name: mean(values) for name, values in known.items()}  # huge values may overflow
    return Baseline(
        name,
        scores,
        metrics=_finite(means),
        note=note,
        fold_metrics=known,
        of_targets={name: _finite(m) for name, m in mean_of_targets(of_targets).items()},
    )


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _of_tokens(name: str, config: TrialConfig, store: FoldStore) -> list[dict[str, float]]:
    """Return the metrics of counted tokens in each fold, as the trial `config` reads them."""
    metrics = _measurable(config, store.dataset.task)
    none = np.empty(0)
    return [
        measure(metrics, fold.task, none, counted_sums(name, fold), fold.n_classes)
        for fold in folds_of(store, config)
    ]


def _of_rows(
    model: UntunedModel, config: TrialConfig, store: FoldStore, limit: BaselineLimit
) -> tuple[list[dict[str, float]], list[TargetScores], str]:
    """Return the metrics of a model in each fold, those of each of several targets, and a note.

    The note says on how many rows it was fitted, if not on all.
    """
    task, targets = store.dataset.task, store.dataset.targets
    metrics, metrics_of_each = _measurable(config, task), target_metrics(config, task)
    n_largest = _n_largest(store)
    n_rows = _affordable(model, store, n_largest, limit)
    measured: list[dict[str, float]] = []
    of_targets: list[TargetScores] = []
    for fold, (_, valid_rows) in enumerate(store.split.folds):
        predicted = _predictions(model, store, fold, n_rows, fold_seed(config.seed, fold))
        y = store.dataset.y[valid_rows].numpy()
        weights = store.dataset.weights_of(valid_rows)
        n_classes = len(store.dataset.classes)
        measured.append(measure(metrics, task, y, predicted, n_classes, weights, store.positive))
        of_targets.append(measure_targets(targets, metrics_of_each, task, y, predicted, weights))
    note = f"on {count(n_rows, 'row')} of {n_largest:,}" if n_rows < n_largest else ""
    return measured, of_targets, note


def _measurable(config: TrialConfig, task: Task) -> Sequence[Component]:
    """Return the objective and the metrics that do not depend on the user's own training."""
    objective = config.objective.metric
    known = prediction_metrics(config)
    measurable = [metric for metric in known if is_code(metric.name) or is_for(metric, task)]
    if objective not in measurable:
        raise NoBaselineError(f"only your own training computes {label(objective)}")
    return measurable


def expected_seconds(name: str, store: FoldStore, limit: BaselineLimit) -> float:
    """Return the estimated time of a baseline on all folds; 0 if it is skipped."""
    if name in TOKEN_BASELINES:
        return _SECONDS_PER_BYTE * store.dataset.x_bytes * len(store.split.folds)
    model, n_rows = _model(name, store), _n_largest(store)
    try:
        return _estimate(model, store, n_rows, _affordable(model, store, n_rows, limit))
    except NoBaselineError:
        return 0.0


def _n_largest(store: FoldStore) -> int:
    """Return the number of rows of the largest training part."""
    return max(len(train) for train, _ in store.split.folds)


def _estimate(model: UntunedModel, store: FoldStore, n_rows: int, n_fitted: int) -> float:
    """Estimate the time on all folds, if `n_fitted` of `n_rows` rows are fitted."""
    fixed, per_row = model.seconds(store, n_rows)
    return len(store.split.folds) * (fixed + n_fitted * per_row)


def _affordable(model: UntunedModel, store: FoldStore, n_rows: int, limit: BaselineLimit) -> int:
    """Return how many of `n_rows` training rows fit into the time limit.

    Raises:
        NoBaselineError: too few rows fit, or the rows are too large.
    """
    if isinstance(store.dataset.x, LoadedRows) and not isinstance(model, Guess):
        raise NoBaselineError("the rows are loaded batch by batch")
    if store.dataset.text_columns and not store.dataset.columns and isinstance(model, Trees):
        raise NoBaselineError("the rows have no columns besides text")
    n_features = model.n_features(store)
    if n_features > MOST_FEATURES:
        raise NoBaselineError(f"{n_features:,} features exceed the limit of {MOST_FEATURES:,}")
    if (whole := _estimate(model, store, n_rows, n_rows)) <= limit.seconds:
        return n_rows
    fixed, per_row = model.seconds(store, n_rows)
    affordable = int((limit.seconds / len(store.split.folds) - fixed) / per_row)
    if affordable < LEAST_SHARE * n_rows:
        raise NoBaselineError(_too_slow(whole, limit))
    return affordable


def _too_slow(seconds: float, limit: BaselineLimit) -> str:
    takes = f"it would take about {seconds:,.0f} s"
    if limit.seconds >= MOST_BASELINE_SECONDS:
        return f"{takes}, more than the allowed {MOST_BASELINE_SECONDS:g} s"
    if math.isfinite(limit.search):
        return f"{takes}, more than a tenth of the estimated {limit.search:.0f} s of the search"
    unknown = "where a search has neither an estimated time nor search.timeout"
    return f"{takes}, more than the {limit.seconds:g} s allowed {unknown}"


def _predictions(
    model: UntunedModel, store: FoldStore, fold: int, most_rows: int, seed: int
) -> NDArray[np.floating]:
    """Return predictions for the validation part of a fold, as `measure` takes them."""
    train_rows, _ = store.split.folds[fold]
    seed = seed % 2**32  # as scikit-learn takes it
    drawn = _drawn(len(train_rows), most_rows, seed)
    x_train, x_valid = model.cells(store, fold, drawn)
    rows = train_rows[drawn]
    weights = store.dataset.weights_of(rows)
    y = store.dataset.y[rows].numpy()

    def fitted(target: NDArray[Any]) -> Any:
        return model.estimator(store, seed).fit(x_train, target, sample_weight=weights)

    if store.dataset.classes:
        return _of_all_classes(fitted(y), x_valid, len(store.dataset.classes))
    of_each = _probability if store.dataset.are_probabilities else _value
    of_targets = [of_each(one, fitted, x_valid) for one in y.reshape(len(y), -1).T]
    return np.column_stack(of_targets).reshape(-1, *y.shape[1:])


def _value(y: NDArray[Any], fitted: Fit, x: Any) -> NDArray[np.floating]:
    """Return the predicted values of one target, (n_rows,)."""
    values: NDArray[np.floating] = fitted(y).predict(x)
    return values


def _probability(y: NDArray[Any], fitted: Fit, x: Any) -> NDArray[np.floating]:
    """Return the probability of a label, (n_rows,); that of all training rows if they agree."""
    if (y == y[0]).all():
        return np.full(x.shape[0], y[0])
    return _of_all_classes(fitted(y.astype(np.int64)), x, 2)[:, 1]


def _of_all_classes(estimator: Any, x: Any, n: int) -> NDArray[np.floating]:
    """Return probabilities (n_rows, n), 0 for classes that the training part lacks."""
    probabilities = np.zeros((x.shape[0], n))
    probabilities[:, estimator.classes_] = estimator.predict_proba(x)
    return probabilities


def _drawn(n: int, most: int, seed: int) -> Tensor:
    """Return the positions of the rows to fit on: all `n`, or `most` drawn ones, ascending."""
    if n <= most:
        return torch.arange(n)
    return torch.from_numpy(np.sort(np.random.default_rng(seed).choice(n, most, replace=False)))
