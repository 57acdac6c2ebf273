"""The scores and the costs of a refitted model, for `metrics.json`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix
from torch import Tensor

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.summary import Unit, unit_of
from tunecli.model_folder.ensemble.choice import EnsembleChoice
from tunecli.model_folder.final_training import WHY, HeldOutFor
from tunecli.model_folder.format.folder import weight_files
from tunecli.model_folder.format.model import Model
from tunecli.model_folder.refitting import Refitted, RefitTrial
from tunecli.model_folder.score_interval import Predicted, ScoreInterval, score_intervals
from tunecli.report.analysis.best_evaluation import StandOut
from tunecli.report.analysis.expected_score import ExpectedScore, RowCounts
from tunecli.study_file.settings.metric_names import (
    label,
    prediction_metrics,
    target_metrics,
    titles,
)
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.study_file.text.counts import count
from tunecli.training.compression.costs import (
    CALLS,
    Latency,
    batch_within,
    latency,
    macs,
    share_of_zeros,
)
from tunecli.training.outcome.adjustment import Adjustment
from tunecli.training.outcome.decision import Decision, LabelDecision, predicted_classes
from tunecli.training.outcome.evaluation import TargetScores
from tunecli.training.step.losses import Predictions

MANY_ROWS = 256
"""Rows of the larger batch whose latency is measured; fewer if there are fewer."""

CALLS_OF_USER_CODE = 5
"""Calls whose latency is measured; user code may load its model from the disk in each call."""

TIMING_SECONDS = 2.0
"""Time for measuring the latency of a model: half of it for 1 row, half for the larger batch."""


@dataclass(frozen=True)
class ModelCosts:
    """The costs of all members of a model together, without preprocessing.

    Of a model of user code, `n_weights`, `zeros` and `macs` are unknown, and 0.

    Attributes:
        size: bytes of the files with its weights.
        n_weights: number of parameters.
        zeros: share of the layers' weights that are zero, mean over members.
        macs: multiply-accumulate operations for one row.
        left_out: compression steps that would not have made the files smaller.
        latency: seconds for 1 row and for `MANY_ROWS` rows (or as many as there are), by the
            number of rows: median and interquartile range.
        n_untimed: rows of the larger batch if its latency was not measured, since that takes more
            than `TIMING_SECONDS`; a smaller batch, if any, was measured then. Otherwise 0.
    """

    size: int
    n_weights: int
    zeros: float
    macs: int
    latency: dict[str, Latency]
    left_out: tuple[str, ...] = ()
    n_untimed: int = 0


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
        fold_scores: scores of the trial in the search, one per fold; of an ensemble, its
            cross-validated scores.
        test: test scores by metric, of what the model predicts; empty without a test set.
        test_unadjusted: test scores without the model's temperature and threshold, which compare
            with the scores of the search; empty if the model has neither.
        n_test: number of test rows.
        seeds: test scores of all training runs; the model is that of the first.
        confusion: number of rows of each true (first axis) and predicted class; None for
            regression.
        residuals: quantiles of prediction minus truth, by share; None for classification, and for
            several targets.
        of_targets: test scores of each of several targets.
        looks: how often the study's test set was looked at, this time included.
        costs: costs of the model.
        titles: what people read instead of the name of a metric, with what it averages.
        adjustment: temperature and threshold, and what they change; None for regression.
        stand_out: how far the trial's best evaluation stands out from those around it; None if
            unknown.
        held_out_for: why a tenth of the rows was to be held out of the training; None if nothing
            needs it. `n_validation` is 0 if no tenth could be held out.
        step: index of the evaluation whose weights the model has; None for fold models.
        best_step: index of the best evaluation in the search.
        n_evaluations: evaluations up to the end of the training; 0 for fold models.
        n_networks: number of networks whose predictions the model averages.
        n_trials: number of trials that they were trained for.
        n_parts: number of parts whose mean the model predicts, see `Refitted`.
        ensemble: how the trials were chosen; None if no ensemble was wanted.
        one_by_one: mean of the test scores that these parts reach one by one, by metric: the score
            in the search is that of single parts, too. Empty for one part.
        of_fold_models: mean of the test scores of the search's fold models one by one, by metric:
            they differ from the scores in the search by the rows alone. Empty if it kept none.
        validated: numbers of rows that the score in the search rests on.
        unit: what it was scored on, and the unit of `n_test`.
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
    titles: dict[str, str] = field(default_factory=dict)
    test_unadjusted: dict[str, ScoreInterval] = field(default_factory=dict)
    adjustment: Adjustment | None = None
    stand_out: StandOut | None = None
    held_out_for: HeldOutFor | None = None
    step: int | None = None
    best_step: int | None = None
    n_evaluations: int = 0
    n_networks: int = 1
    n_trials: int = 1
    n_parts: int = 1
    ensemble: EnsembleChoice | None = None
    one_by_one: dict[str, float] = field(default_factory=dict)
    of_fold_models: dict[str, float] = field(default_factory=dict)
    validated: RowCounts | None = None
    expected: ExpectedScore | None = None
    unit: Unit = "row"
    of_targets: TargetScores = field(default_factory=dict)

    def titled(self, metric: str) -> str:
        """Return what people read instead of the name of a metric."""
        return self.titles.get(metric, metric)

    @property
    def weights_in_words(self) -> str:
        """Say at which evaluation the weights were taken, and why there."""
        assert self.step is not None, "fold models have several"
        which = f"evaluation {self.step + 1}"
        if self.held_out_for is None:
            return f"of {which}, {self._why_there}"
        why = WHY[self.held_out_for]
        if not self.n_validation:
            no_part = "a tenth of the data cannot be held out"
            return f"of {which}, the best one of the search, since {no_part}"
        rows = self.validation_in_words
        if self.held_out_for == "fine-tuning":
            return f"of {which}, the best one of the search; held out: {rows}, because {why}"
        return (
            f"of {which} of {self.n_evaluations}, the best one on {rows}, held out because {why}"
        )

    @property
    def _why_there(self) -> str:
        """Why the training on all rows ends where it does."""
        if self.best_step is None or self.best_step == self.step:
            return "the best one of the search"
        return (
            "the last one, where the learning rate is lowest; in the search it was practically "
            f"equal to the best one, evaluation {self.best_step + 1}"
        )

    @property
    def validation_in_words(self) -> str:
        """What was held out of the training; parts of one text have no number for people."""
        return (
            "a tenth of the text" if self.unit == "block" else count(self.n_validation, self.unit)
        )

    @property
    def of_test(self) -> ScoreInterval | None:
        """The objective's score on the test rows."""
        return self.test.get(self.metric)

    @property
    def of_test_as_searched(self) -> ScoreInterval | None:
        """The objective's score on the test rows, by the same rule as in the search."""
        return self.test_unadjusted.get(self.metric) or self.of_test

    @property
    def parts_in_words(self) -> str:
        """The parts whose mean the model predicts, in words."""
        if self.n_trials > 1:
            return f"{self.n_parts} ensembles of the networks of one fold"
        return f"{self.n_parts} single networks"

    @property
    def search_mean(self) -> float:
        """Mean over folds."""
        return statistics.fmean(self.fold_scores) if self.fold_scores else math.nan


def results_of(
    trial: RefitTrial,
    store: FoldStore,
    refits: Sequence[Refitted],
    looks: int,
    adjustment: Adjustment | None = None,
    of_fold_models: Sequence[Predictions] = (),
    model: Refitted | None = None,
    choice: EnsembleChoice | None = None,
) -> Results:
    """Measure a model completely, and the test scores of all trainings.

    Args:
        looks: how often the test set was looked at, this time included.
        adjustment: what the models were adjusted by.
        of_fold_models: predictions of the test rows by each fold model of the search.
        model: the model; by default that of the first training.
        choice: how the trials of an ensemble were chosen; None if none was wanted.
    """
    config, dataset = trial.config, store.dataset
    metrics = prediction_metrics(config)
    first = model or refits[0]
    y = _truth(store, first)
    decision = first.model.decision
    test: dict[str, ScoreInterval] = {}
    unadjusted: dict[str, ScoreInterval] = {}
    of_targets: TargetScores = {}
    confusion, residuals = None, None
    if first.predictions is not None:
        on_test = _on_test(store, y, first.predictions, decision)
        test = score_intervals(metrics, on_test)
        of_targets = on_test.of_targets(dataset.targets, target_metrics(config, dataset.task))
        if first.unadjusted is not None:
            unadjusted = score_intervals(metrics, _on_test(store, y, first.unadjusted))
        if not isinstance(decision, LabelDecision) and dataset.task == "classification":
            guessed = predicted_classes(first.predictions, decision)
            counts = confusion_matrix(y, guessed, labels=range(len(dataset.classes)))
            confusion = tuple(map(tuple, counts.tolist()))
        elif dataset.task == "regression" and not dataset.targets:
            residuals = on_test.residual_quantiles()
    return Results(
        metric=label(config.objective.metric),
        direction=config.objective.direction,
        fold_scores=choice.scores if choice and choice.is_used else trial.fold_scores,
        test=test,
        n_test=len(y),
        n_train=first.n_rows,
        n_validation=first.validation_rows,
        seeds=tuple(_scores_of(config, store, refitted, y) for refitted in refits),
        confusion=confusion,
        residuals=residuals,
        looks=looks,
        costs=costs_of_model(first.model, store),
        titles=titles(config),
        test_unadjusted=unadjusted,
        adjustment=adjustment,
        stand_out=trial.stand_out if first.model.facts.is_of_one_trial else None,
        held_out_for=trial.held_out_for if first.step is not None else None,
        step=first.step,
        best_step=trial.best_step,
        n_evaluations=first.n_evaluations,
        n_networks=len(first.model.members),
        n_trials=len(first.model.facts.configs),
        n_parts=first.n_parts,
        ensemble=choice,
        one_by_one=_mean_scores(metrics, store, first.one_by_one, y),
        of_fold_models=_mean_scores(metrics, store, of_fold_models, y),
        validated=_validated(store),
        unit=unit_of(dataset.task, is_one_text=dataset.is_one_text),
        of_targets=of_targets,
    )


def _truth(store: FoldStore, refitted: Refitted) -> NDArray[np.generic]:
    """Return the targets of the test rows; a language model's predictions hold them."""
    if store.dataset.task == "language_modeling" and refitted.predictions is not None:
        return refitted.predictions
    return cast(NDArray[np.generic], store.dataset.y[store.split.test_rows].numpy())


def _mean_scores(
    metrics: Sequence[Component],
    store: FoldStore,
    predictions: Sequence[Predictions],
    y: NDArray[np.generic],
) -> dict[str, float]:
    """Return the mean test scores of several networks; empty without networks."""
    scores = [_on_test(store, y, one).measured(metrics) for one in predictions]
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
    on_test = _on_test(store, y, refitted.predictions, refitted.model.decision)
    return SeedScores(refitted.seed, on_test.measured(prediction_metrics(config)))


def _on_test(
    store: FoldStore,
    y: NDArray[np.generic],
    predictions: Predictions,
    decision: Decision | LabelDecision | None = None,
) -> Predicted:
    dataset, weights = store.dataset, store.dataset.weights_of(store.split.test_rows)
    positive = store.positive
    return Predicted(
        dataset.task, y, predictions, len(dataset.classes), weights, positive, decision
    )


def costs_of_model(model: Model, store: FoldStore) -> ModelCosts:
    """Measure a model's costs on rows of the search, with torch's current number of threads."""
    members = model.members
    rows = store.split.search_rows[:MANY_ROWS]
    read = next(store.dataset.blocks(rows, len(rows)))
    prepared = [member.preprocessing(read).to(model.device) for member in members]
    is_own = bool(model.user_networks)
    one_row = _latency_of(model, prepared, 1)
    n_many = batch_within(TIMING_SECONDS / 2, one_row, len(rows))
    times = {1: one_row} | {n: _latency_of(model, prepared, n) for n in {n_many} - {1}}
    packed = [member.packed for member in members if member.packed is not None]
    return ModelCosts(
        size=sum(map(len, weight_files(model).values())),
        n_weights=model.n_weights,
        zeros=sum(share_of_zeros(member.network) for member in members) / len(members),
        macs=0
        if is_own
        else sum(macs(one.network, x[:1]) for one, x in zip(members, prepared, strict=True)),
        latency={str(n): time for n, time in times.items()},
        left_out=tuple(dict.fromkeys(step for one in packed for step in one.left_out)),
        n_untimed=len(rows) if n_many < len(rows) else 0,
    )


def _latency_of(model: Model, prepared: Sequence[Tensor], n_rows: int) -> Latency:
    """Add the latencies of members, which compute one after another.

    Args:
        prepared: rows as each member takes them, (n, …).
    """
    n_calls = CALLS_OF_USER_CODE if model.user_networks else CALLS
    seconds = TIMING_SECONDS / 2 / len(model.members)
    times = [
        latency(member.network, rows[:n_rows], n_calls, seconds)
        for member, rows in zip(model.members, prepared, strict=True)
    ]
    median, low, high = (sum(getattr(t, n) for t in times) for n in ("median", "low", "high"))
    return Latency(median, low, high, min(time.n_calls for time in times))
