"""Conclude a trial, or reject it before its training.

At the end each fold's best model is compressed if the study asks for it, the models' costs are
measured, and the limits are checked. Limits on costs that are known before training are checked
before training.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor, nn

from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import as_features
from tunecli.study_file.settings.metric_names import cost_metrics, label
from tunecli.study_file.settings.settings import (
    Component,
    CompressionSettings,
    TrainingSettings,
    TrialConfig,
)
from tunecli.training.compression.costs import costs_of
from tunecli.training.compression.packing import Packed, unpack
from tunecli.training.compression.recipe import (
    idle_in_words,
    lose_channels,
    thin_out,
    without_idle,
    write_down,
)
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import FoldTraining, new_model
from tunecli.training.models.frozen_weights import count_weights, saved_state
from tunecli.training.outcome.evaluation import Evaluation, TrialResult
from tunecli.training.outcome.objectives import broken_limits
from tunecli.training.outcome.score_guard import NoScoreError, finite_evaluation, mean
from tunecli.training.saved_models import Kept, keep_models
from tunecli.training.step.latency_lock import NOBODY_MEASURES, LatencyLock
from tunecli.training.step.losses import Predictions
from tunecli.training.user_loop.kept_files import write_kept_index

_EXAMPLE_ROWS = 2  # batch norms in training need more than one


@dataclass(frozen=True)
class CompressedFold:
    """One fold's model after compression.

    Attributes:
        model: the model as read back from the packed file.
        packed: the compressed model.
        predictions: predictions for the validation rows.
        score: the objective's metric on the validation rows.
        metrics: the study's other metrics of predictions, by name.
    """

    model: nn.Module
    packed: Packed
    predictions: Predictions
    score: float
    metrics: dict[str, float]


def compress_folds(config: TrialConfig, folds: Sequence[FoldTraining]) -> list[CompressedFold]:
    """Compress and score the best models of trained folds.

    Args:
        config: a configuration with their model, whose compression is applied.

    Raises:
        DataError: a compression step cannot be applied to this model.
        NoScoreError: a score, or the loss in fine-tuning, is not finite.
    """
    packed = packed_models(config, folds)
    return [_scored(fold, one, config) for fold, one in zip(folds, packed, strict=True)]


def packed_models(config: TrialConfig, folds: Sequence[FoldTraining]) -> list[Packed]:
    """Compress each fold's best model; the trainings are not changed.

    The first fold decides for all folds which steps are skipped because they make the file no
    smaller.

    Raises:
        DataError: a compression step cannot be applied to this model.
        NoScoreError: the loss in fine-tuning is not finite.
    """
    models = [fold.best_model().to(fold.device) for fold in folds]
    have_changed = [
        lose_channels(model, config.compression, example(fold.fold))
        for model, fold in zip(models, folds, strict=True)
    ]
    settings, left_out = without_idle(models[0], config.compression)
    have_changed += [thin_out(model, settings) for model in models]
    if any(have_changed) and settings.finetune_epochs:
        models = _finetuned(config, folds, models)
    return [write_down(model, settings, left_out) for model in models]


def _finetuned(
    config: TrialConfig, folds: Sequence[FoldTraining], models: Sequence[nn.Module]
) -> list[nn.Module]:
    """Fine-tune the models, all folds in lockstep; return them at the best mean score."""
    data, device = [fold.fold for fold in folds], folds[0].device
    further = CrossValidation(_finetuning(config), data, device, models=models)
    for _ in further:
        pass
    if further.outcome != "complete":
        raise NoScoreError(further.outcome or "failed", f"in fine-tuning: {further.reason}")
    return [fold.best_model() for fold in further.loops]


def _finetuning(config: TrialConfig) -> TrialConfig:
    """Return the configuration for fine-tuning: a cosine from the learning rate down to zero.

    Renda et al. (2020), "Comparing Rewinding and Fine-tuning in Neural Network Pruning",
    arXiv:2003.02389: rewinding to the original rate works better than its last small value.
    """
    settings = config.training.model_dump(
        exclude={
            *("epochs", "steps", "eval_every", "warmup", "ema"),
            *("early_stopping", "smooth_score", "max_time"),
        }
    )
    training = TrainingSettings(**settings, epochs=config.compression.finetune_epochs)
    schedule = Component(name="CosineAnnealingLR", arguments={})
    return config.model_copy(update={"training": training, "schedule": schedule})


def _scored(fold: FoldTraining, packed: Packed, config: TrialConfig) -> CompressedFold:
    """Score the model that the packed file holds, not the model before packing."""
    model = unpack(packed, new_model(config, fold.fold)).to(fold.device)
    predictions, score, metrics = fold.measured(model)
    scored = Evaluation(0, config.training.epochs or 0, 0.0, score, metrics, 0.0)
    scored = finite_evaluation(scored, fold.fold.number, config.objective.metric.name)
    return CompressedFold(model, packed, predictions, scored.score, scored.metrics)


def example(fold: FoldData, n_rows: int = _EXAMPLE_ROWS) -> Tensor:
    """Return a few rows as the model takes them, (n_rows, *shape)."""
    return next(iter(as_features(fold.x_train).batches(None, [n_rows])))


_OF_EVERY_COMPRESSED = frozenset({"size", "n_weights", "zeros", "macs"})


@dataclass(frozen=True)
class ConcludedTrial:
    """The result of a trial, and its models."""

    result: TrialResult
    _training: CrossValidation = field(repr=False)
    _compressed: Sequence[CompressedFold] = field(default=(), repr=False)

    def keep(self, folder: Path) -> None:
        """Write the models of the folds, so that they need not be trained again.

        The user's own training writes its models itself.

        Raises:
            UserCodeError: the user's own training fails, or keeps a link.
            OSError: the disk is full, or writing is not permitted.
        """
        config = self._training.config
        if config.train is None:
            keep_models(folder, config, self.models())
            return
        for fold in self._training.user_loops:
            fold.save_best()
        write_kept_index(folder, config, len(self._training.folds))

    def models(self) -> Iterator[Kept]:
        """Yield the model of each fold, as it was scored."""
        if self._compressed:
            yield from (fold.packed for fold in self._compressed)
            return
        for fold in self._training.loops:
            yield saved_state(fold.best_model())


def conclude(training: CrossValidation, quiet: LatencyLock = NOBODY_MEASURES) -> ConcludedTrial:
    """End a trial that nothing stopped.

    With compression, the value is that of the compressed models, the metric `uncompressed` is the
    value before compression, and the reason names skipped steps. A trial that violates a limit is
    infeasible: it has scores and costs, but no value.

    Args:
        quiet: lock that keeps other processes from computing while a latency is measured.

    Raises:
        DataError: a compression step cannot be applied to this model.
    """
    result = training.result()
    if result.outcome != "complete":
        return ConcludedTrial(result, training)
    start = time.perf_counter()
    compressed: Sequence[CompressedFold] = ()
    try:
        if not training.config.compression.is_none:
            with quiet.working():
                compressed = compress_folds(training.config, training.loops)
            result = _of_compressed(result, training, compressed)
        measured = _costs(training, compressed, quiet)
        result = _within_limits(
            replace(result, metrics=result.metrics | measured), training.config
        )
    except NoScoreError as error:
        result = TrialResult(error.outcome, error.reason)
    training.seconds += time.perf_counter() - start
    return ConcludedTrial(training.measured(result), training, compressed)


def infeasible_before_training(config: TrialConfig, fold: FoldData) -> TrialResult | None:
    """Return the result of a trial that violates a limit whatever its training gives, or None.

    The model is built once, without changing the random state of any training.

    Args:
        fold: any fold of the trial.
    """
    limited = {constraint.metric.name for constraint in config.constraints}
    names = limited & _known_before(config.compression) & set(cost_metrics(config))
    if not names:
        return None
    with torch.random.fork_rng(devices=[]):
        model = new_model(config, fold)
    known = costs_of(names, model.eval(), example(fold, 1))
    broken = broken_limits(config, None, known)
    if not broken:
        return None
    n_weights = count_weights(model)
    reason = " and ".join(broken)
    return TrialResult("infeasible", reason, metrics=known, n_weights=n_weights)


def _known_before(compression: CompressionSettings) -> frozenset[str]:
    """Return the names of costs that neither training nor this compression changes."""
    if compression.is_none:
        return frozenset({"size", "n_weights", "macs"})
    if compression.structured is None and not (compression.fuse or compression.merge):
        return frozenset({"n_weights", "macs"})
    return frozenset()


def _of_compressed(
    result: TrialResult, training: CrossValidation, folds: Sequence[CompressedFold]
) -> TrialResult:
    assert result.value is not None
    scored = replace(
        result,
        value=fmean(fold.score for fold in folds),
        fold_scores=tuple(fold.score for fold in folds),
        metrics=_means([fold.metrics for fold in folds]) | {"uncompressed": result.value},
        reason=idle_in_words(folds[0].packed.left_out),
    )
    return training.with_outputs(scored, [fold.predictions for fold in folds])


def _costs(
    training: CrossValidation,
    compressed: Sequence[CompressedFold],
    quiet: LatencyLock,
) -> dict[str, float]:
    """Return mean costs over folds: those the study names, and the standard ones if compressed."""
    names = set(cost_metrics(training.config)) | (_OF_EVERY_COMPRESSED if compressed else set())
    if not names:
        return {}
    costs_by_fold = []
    for number, fold in enumerate(training.loops):
        packed = compressed[number].packed if compressed else None
        model: nn.Module = compressed[number].model if compressed else fold.best_model()
        row = example(fold.fold, 1)
        costs = costs_of(names - {"latency"}, model, row, packed)
        if "latency" in names:
            with quiet.alone():
                costs |= costs_of({"latency"}, model, row)
        costs_by_fold.append(costs)
    return _means(costs_by_fold)


def _within_limits(result: TrialResult, config: TrialConfig) -> TrialResult:
    broken = broken_limits(config, result.value, result.metrics)
    if not broken:
        return result
    reason = " and ".join(broken)
    scores = {label(config.objective.metric): result.value or 0.0}
    return replace(
        result,
        outcome="infeasible",
        reason=reason,
        value=None,
        metrics=result.metrics | scores,
        predictions=None,
        of_targets={},
    )


def _means(folds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {name: mean(fold[name] for fold in folds) for name in folds[0]}
