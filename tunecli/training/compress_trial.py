"""Compress a trial: each fold's best model is compressed and scored again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import as_features
from tunecli.study_file.settings.settings import Component, TrainingSettings, TrialConfig
from tunecli.training.compression.packing import Packed
from tunecli.training.compression.recipe import (
    lose_channels,
    thin_out,
    without_idle,
    write_down,
)
from tunecli.training.compression.unpacking import unpack
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import FoldTraining, new_model
from tunecli.training.outcome.evaluation import Evaluation
from tunecli.training.outcome.score_guard import NoScoreError, finite_evaluation
from tunecli.training.step.losses import Predictions

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


def compressed_folds(training: CrossValidation) -> list[CompressedFold]:
    """Compress and score each fold's best model; the training is not changed.

    Raises:
        DataError: a compression step cannot be applied to this model.
        NoScoreError: a score, or the loss in fine-tuning, is not finite.
    """
    return compress_folds(training.config, training.loops)


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
        exclude={"epochs", "steps", "eval_every", "warmup", "ema", "early_stopping", "max_time"}
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
    rows = as_features(fold.x_train)
    return next(iter(rows.batches(None, [n_rows])))
