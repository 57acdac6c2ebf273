"""Adjust a trial's model to its out-of-fold predictions: the temperature, then the threshold.

Both are judged by cross-validation: fitted to all folds but one, and applied to that one. So what
they gain is not due to having seen the rows. The threshold is chosen at the temperature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tunecli.data.fold_store import FoldStore
from tunecli.errors import RefitError
from tunecli.model_folder.adjust.calibrate import calibration, fitted_temperature, is_reliable
from tunecli.model_folder.adjust.choose_threshold import (
    HALF,
    ThresholdTable,
    choosing_metric,
    values_at,
)
from tunecli.model_folder.adjust.held_out import HeldOut, held_out
from tunecli.model_folder.adjust.label_thresholds import label_thresholds
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.outcome.adjustment import (
    Adjustment,
    BeforeAfter,
    How,
    Threshold,
    ThresholdWish,
)
from tunecli.training.outcome.decision import Decision
from tunecli.training.step.losses import fits_probabilities

Splits = Sequence[tuple[HeldOut, HeldOut]]


def refuse_threshold(wish: ThresholdWish, store: FoldStore) -> None:
    """Refuse a given threshold unless there are two classes.

    Raises:
        RefitError: there are no classes, or more than two.
    """
    n_classes = len(store.dataset.classes)
    if isinstance(wish, float) and n_classes != 2:
        given = f"has {n_classes} classes" if n_classes else f"predicts {_what(store)}"
        raise RefitError(
            f"--threshold {wish:g} requires two classes, but this study {given}. Leave out "
            "--threshold."
        )


def adjusted_to(
    trial: int,
    config: TrialConfig,
    store: FoldStore,
    outputs: Sequence[NDArray[np.floating]],
    wish: ThresholdWish,
) -> Adjustment:
    """Return the adjustments of a trial's model.

    Args:
        outputs: out-of-fold probabilities, one array per fold of the store.
    """
    rows = held_out(store, outputs)
    if len(rows.splits) < 2:
        return unadjusted(trial, store, wish, "there are too few rows to judge them")
    if store.dataset.task == "multilabel":
        labels = label_thresholds(config, rows, store.dataset.targets, wish)
        return Adjustment(trial, len(rows.y), len(rows.splits), labels=labels)
    of_parts = [fitted_temperature(fitted) for fitted, _ in rows.splits]
    found = calibration(rows, of_parts) if gives_probabilities(config) else None
    splits: Splits = rows.splits
    if found is not None and found.is_kept:
        pairs = zip(rows.splits, of_parts, strict=True)
        splits = [(fitted.tempered(t), judged.tempered(t)) for (fitted, judged), t in pairs]
        rows = rows.tempered(found.temperature)
    known = Adjustment(trial, len(rows.y), len(splits), found)
    if store.positive is None:
        return known
    table = ThresholdTable.of(rows, store.positive)
    threshold = _threshold(config, wish, splits, table, store.dataset.classes[store.positive])
    points = table.points(threshold.in_use or HALF)
    return replace(known, threshold=threshold, points=points, curve=table.curve())


def _what(store: FoldStore) -> str:
    return "labels" if store.dataset.are_probabilities else "values"


def gives_probabilities(config: TrialConfig) -> bool:
    """Return whether outputs are fitted as probabilities; those of the user's `predict` are."""
    return config.train is not None or fits_probabilities(config.loss)


def unadjusted(trial: int, store: FoldStore, wish: ThresholdWish, why_not: str) -> Adjustment:
    """Return the adjustments without out-of-fold predictions: a given threshold, or none."""
    if not isinstance(wish, float) or store.positive_name is None:
        return Adjustment(trial, why_not=why_not)
    threshold = Threshold(store.positive_name, wish, "given")
    return Adjustment(trial, threshold=threshold, why_not=why_not)


def _threshold(
    config: TrialConfig,
    wish: ThresholdWish,
    splits: Splits,
    table: ThresholdTable,
    positive: str,
) -> Threshold:
    """Return the threshold to use, judged on each part by a choice from the others."""
    chooser = choosing_metric(config)
    given = wish if isinstance(wish, float) else None
    if chooser is None or wish == "none":
        return Threshold(positive, given, "default" if given is None else "given")

    def choose(rows: ThresholdTable) -> float:
        return rows.best(chooser) if given is None else given

    tables = [ThresholdTable.of(fitted, table.positive) for fitted, _ in splits]
    decisions = [Decision(table.positive, choose(one)) for one in tables]
    judged = [part for _, part in splits]
    before = values_at(judged, chooser, table.positive, [None] * len(judged))
    after = values_at(judged, chooser, table.positive, decisions)
    is_better = is_reliable(chooser.sign * np.subtract(after, before))
    how: How = "given" if given is not None else "tuned" if is_better else "default"
    score = BeforeAfter(float(np.mean(before)), float(np.mean(after)))
    return Threshold(positive, choose(table), how, chooser.name, score)
