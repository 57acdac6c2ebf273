"""Measure what each way of compressing a trial's models costs and saves, on the search folds.

Each row of the grid starts from the fold models that the search kept, or from newly trained ones.
So its scores are cross-validated and comparable with those of the report. The test set is not
used.
"""

from __future__ import annotations

import gzip
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

from torch import nn

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.dataset import FoldData
from tunecli.errors import DataError, RefitError
from tunecli.model_folder.refitting import RefitTrial
from tunecli.model_folder.results import MANY_ROWS
from tunecli.study_file.catalogue.architectures import in_few_bits
from tunecli.study_file.settings.settings import CompressionSettings, Direction, TrialConfig
from tunecli.training.compression.costs import Latency, batch_within, latency, share_of_zeros
from tunecli.training.compression.fusing import norm_pairs
from tunecli.training.compression.merging import can_be_merged
from tunecli.training.compression.packing import plain_file
from tunecli.training.compression.pruning import kept_channels
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import FoldTraining, new_model
from tunecli.training.fold_data import folds_of
from tunecli.training.outcome.objectives import dominates
from tunecli.training.outcome.score_guard import NoScoreError
from tunecli.training.saved_models import load_network, read_models
from tunecli.training.step.batches import batch_sizes
from tunecli.training.step.losses import Predictions
from tunecli.training.step.precision import choose_device
from tunecli.training.trial_end import compress_folds, example

TIMING_SECONDS = 5.0
"""Time for measuring the latency of each row: half of it for 1 row, half for the larger batch."""


@dataclass(frozen=True)
class CompressedModel:
    """The results of one way of compressing.

    Attributes:
        steps: the compression; none for the uncompressed models.
        fold_scores: scores of the objective on the validation rows; empty if it failed.
        size: bytes of the file, packed if that is smaller; `gzipped`: of the same file with gzip.
        one, many: seconds for 1 row and for `n_many` rows, of the first fold's model; `many` is
            None if `n_many` is 1.
        zeros: share of the weights that are zero.
        left_out: steps that would not have made the file smaller.
        reason: why there are no scores.
        n_many: rows of the larger batch, the same for all ways: `MANY_ROWS`, or fewer if there are
            fewer or if they would take more than `TIMING_SECONDS`.
    """

    steps: CompressionSettings
    fold_scores: tuple[float, ...] = ()
    size: float = 0.0
    gzipped: float = 0.0
    one: Latency | None = None
    many: Latency | None = None
    zeros: float = 0.0
    left_out: tuple[str, ...] = ()
    reason: str = ""
    n_many: int = MANY_ROWS

    @property
    def score(self) -> float:
        """Mean over folds."""
        return fmean(self.fold_scores)


def grid(
    finetune_epochs: int,
    *,
    has_norms: bool,
    has_adapter: bool = False,
    loses_channels: bool = True,
) -> list[CompressionSettings]:
    """Return the compressions of the table's rows, after row 0 of the uncompressed models."""
    tuned: dict[str, Any] = {"finetune_epochs": finetune_epochs}
    steps: list[dict[str, Any]] = [
        {"quantize": "int8"},
        {"quantize": "int4"},
        *({"prune": {"amount": amount}, **tuned} for amount in (0.5, 0.8, 0.9)),
        {"prune": {"amount": 0.8}, "quantize": "int8", **tuned},
        *({"share": {"clusters": clusters}, **tuned} for clusters in (256, 16, 4)),
        {"prune": {"amount": 0.8}, "share": {"clusters": 16}, **tuned},
    ]
    if loses_channels and find_spec("torch_pruning"):
        steps += [
            {"structured": {"amount": 0.3}, **tuned},
            {"structured": {"amount": 0.5}, **tuned},
            {"structured": {"amount": 0.5}, "quantize": "int8", **tuned},
        ]
    if has_norms:
        steps += [{"fuse": True}, {"fuse": True, "quantize": "int8"}]
    if has_adapter:
        steps += [{"merge": True}, {"merge": True, "quantize": "int8"}]
    return [CompressionSettings.model_validate(one) for one in steps]


def recipe_in_words(steps: CompressionSettings) -> str:
    """Return the steps as in `prune 80 % + int8`, without fine-tuning, which all rows share."""
    parts = ["merge"] if steps.merge else []
    parts += [f"structured {steps.structured.amount:.0%}"] if steps.structured else []
    parts += [f"prune {steps.prune.amount:.0%}"] if steps.prune else []
    parts += [f"share {steps.share.clusters}"] if steps.share else []
    parts += ["fuse"] if steps.fuse else []
    parts += [steps.quantize] if steps.quantize else []
    return " + ".join(parts).replace("%", " %") if parts else "uncompressed"


def ways(trial: RefitTrial, store: FoldStore, finetune_epochs: int) -> list[CompressionSettings]:
    """Return the compression of each row of the table; none for row 0.

    Raises:
        RefitError: the trial's models are compressed already, or user code trained them.
    """
    config = trial.config
    if config.train is not None or not config.compression.is_none:
        why = "was trained by your own code" if config.train else "is compressed already"
        raise RefitError(f"trial {trial.number} {why}. Choose another trial with --trial.")
    if names := in_few_bits(config.model.name, config.model.arguments):
        raise RefitError(
            f"trial {trial.number} has {names[0]}: true, which compress does not support. Choose "
            "another trial with --trial."
        )
    model = new_model(config, folds_of(store, config)[0])
    rows = grid(
        finetune_epochs,
        has_norms=bool(norm_pairs(model)),
        has_adapter=can_be_merged(model),
        loses_channels=not kept_channels(model),
    )
    return [CompressionSettings(), *rows]


def compressed_ways(
    trial: RefitTrial, store: FoldStore, models: Path, wanted: Sequence[CompressionSettings]
) -> Generator[CompressedModel]:
    """Yield the results of each of the `ways`, all from the same models.

    Args:
        models: folder in which the search may have kept the trial's models.
    """
    config = trial.config
    folds = _folds(config, store, models)
    n_many = _timed_rows(folds[0])
    for steps in wanted:
        if steps.is_none:
            yield _as_it_is(folds, n_many)
        else:
            yield _compressed(steps, folds, config, n_many)


def mark_front(rows: Sequence[CompressedModel], *, maximize: bool) -> list[bool]:
    """Return for each row whether no other row is better in score and size."""
    known = [(row.score, row.size) for row in rows if row.fold_scores]
    ways: tuple[Direction, Direction] = ("maximize" if maximize else "minimize", "minimize")
    beaten = [point for point in known if any(dominates(one, point, ways) for one in known)]
    return [bool(row.fold_scores) and (row.score, row.size) not in beaten for row in rows]


def compressed_out_of_fold(
    trial: RefitTrial, store: FoldStore, models: Path
) -> Sequence[Predictions] | None:
    """Return what the search's fold models predict for their validation rows once compressed.

    Args:
        trial: a trial with the compression to use in place of the search's, which had none.
        models: folder in which the search may have kept the trial's models.

    Returns:
        None if the search kept none, or if one of them cannot be compressed so.
    """
    as_searched = trial.config.model_copy(update={"compression": CompressionSettings()})
    try:
        folds = compress_folds(trial.config, _kept_folds(as_searched, store, models))
    except (DataError, NoScoreError):
        return None
    return [fold.predictions for fold in folds]


def _folds(config: TrialConfig, store: FoldStore, models: Path) -> list[FoldTraining]:
    """Return the folds with the trial's models: the kept ones, or newly trained ones."""
    try:
        return _kept_folds(config, store, models)
    except DataError:
        training = CrossValidation(
            config, folds_of(store, config), choose_device(config.training.device)
        )
        for _ in training:
            pass
        if training.outcome != "complete":
            raise RefitError(f"the training failed: {training.reason}.") from None
        return [fold for fold in training.folds if isinstance(fold, FoldTraining)]


def _kept_folds(config: TrialConfig, store: FoldStore, models: Path) -> list[FoldTraining]:
    """Return the folds with the models that the search kept.

    Raises:
        DataError: it kept none, or they are damaged.
    """
    weights = read_models(models, config)
    data, device = folds_of(store, config), choose_device(config.training.device)
    fewest = min(len(batch_sizes(len(fold.y_train), config.training.batch_size)) for fold in data)
    return [
        FoldTraining(config, fold, device, fewest, load_network(one, new_model(config, fold)))
        for fold, one in zip(data, weights, strict=True)
    ]


def _timed_rows(fold: FoldTraining) -> int:
    """Return the number of rows of the larger batch that the uncompressed model is timed with."""
    n_rows, seconds = min(MANY_ROWS, len(fold.fold.y_train)), TIMING_SECONDS / 2
    row = example(fold.fold, n_rows)[:1]  # as long as the longest text of the batch
    one_row = latency(fold.best_model(), row, seconds=seconds)
    return batch_within(seconds, one_row, n_rows)


def _as_it_is(folds: Sequence[FoldTraining], n_many: int) -> CompressedModel:
    models = [(fold, fold.best_model()) for fold in folds]
    parts = [(one, fold.measured(one)[1], plain_file(one.state_dict())) for fold, one in models]
    return _row(CompressionSettings(), folds[0].fold, parts, n_many)


def _compressed(
    steps: CompressionSettings, folds: Sequence[FoldTraining], config: TrialConfig, n_many: int
) -> CompressedModel:
    """Return the results of a compression, or the reason why it failed."""
    changed = config.model_copy(update={"compression": steps})
    try:
        compressed = compress_folds(changed, folds)
    except DataError as error:
        return CompressedModel(steps, reason=error.message)
    except NoScoreError as error:
        return CompressedModel(steps, reason=f"{error.outcome}: {error.reason}")
    except Exception as error:  # whatever fails in one row: the other rows are still valid
        text = (str(error).strip().splitlines() or [""])[0]
        return CompressedModel(steps, reason=f"{type(error).__name__}: {text}")
    parts = [(fold.model, fold.score, fold.packed.smallest()) for fold in compressed]
    made = _row(steps, folds[0].fold, parts, n_many)
    return replace(made, left_out=compressed[0].packed.left_out)


def _row(
    steps: CompressionSettings,
    rows: FoldData,
    parts: Sequence[tuple[nn.Module, float, bytes]],
    n_many: int,
) -> CompressedModel:
    """Return the results of all folds, each given by its model, its score and its file."""
    models, scores, files = zip(*parts, strict=True)
    batches = [example(rows, n) for n in (1, n_many)[:n_many]]
    one, *many = (latency(models[0], batch, seconds=TIMING_SECONDS / 2) for batch in batches)
    return CompressedModel(
        steps,
        scores,
        size=fmean(map(len, files)),
        gzipped=fmean(len(gzip.compress(file)) for file in files),
        one=one,
        many=many[0] if many else None,
        n_many=n_many,
        zeros=fmean(map(share_of_zeros, models)),
    )
