"""What is adjusted after the training, as plain data: a temperature, and a threshold.

Both are fitted to out-of-fold predictions: each row is predicted by a model that was not trained
on it. Does not import torch, so that the report can use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

N_BINS = 15
"""Bins of the calibration error."""


ThresholdWish = float | Literal["auto", "none"]
"""A threshold above 0 and below 1; the best one, if it gains; or the more probable class."""


How = Literal["tuned", "given", "default"]


@dataclass(frozen=True)
class BeforeAfter:
    """A score without and with an adjustment, on rows that the adjustment was not fitted to."""

    before: float
    after: float


@dataclass(frozen=True)
class Calibration:
    """A temperature, and what it changes.

    Attributes:
        temperature: fitted to all rows; above 1 the probabilities become less certain.
        is_kept: whether the model uses it: it lowers the log loss reliably.
        log_loss: mean over the folds.
        error: expected calibration error of all folds together: the mean distance between the
            probability of a row's most probable class and the share of rows for which this
            class is the true one, in `N_BINS` bins with equally many rows each.
    """

    temperature: float
    is_kept: bool
    log_loss: BeforeAfter
    error: BeforeAfter


@dataclass(frozen=True)
class Threshold:
    """The probability from which on the positive class is predicted.

    Attributes:
        positive: name of the class.
        value: the threshold, fitted to all rows, or given; None if no metric chooses one.
        how: `tuned`: it improves the metric reliably; `given`: by the user; `default`: the model
            predicts the more probable class.
        metric: name of the metric that chooses; empty if none does.
        score: its mean over the folds; None without a metric, or without folds to judge on.
    """

    positive: str
    value: float | None
    how: How
    metric: str = ""
    score: BeforeAfter | None = None

    @property
    def in_use(self) -> float | None:
        """The threshold that the model uses; None for the more probable class."""
        return None if self.how == "default" else self.value


@dataclass(frozen=True)
class LabelThresholds:
    """The probability from which on each label is predicted.

    Attributes:
        names: names of the labels.
        values: the thresholds, fitted to all rows; empty if no metric chooses any.
        how, metric, score: see `Threshold`; `default` predicts a label from 0.5 on.
    """

    names: tuple[str, ...]
    values: tuple[float, ...] = ()
    how: How = "default"
    metric: str = ""
    score: BeforeAfter | None = None

    @property
    def in_use(self) -> tuple[float, ...]:
        """The thresholds that the model uses; empty for 0.5."""
        return () if self.how == "default" else self.values


@dataclass(frozen=True)
class OperatingPoint:
    """What a threshold gives on the out-of-fold predictions.

    Attributes:
        precision: share of the rows predicted positive that are; None if there are none.
        recall: share of the positive rows that are predicted positive.
        share: share of all rows that are predicted positive.
    """

    threshold: float
    precision: float | None
    recall: float
    share: float


@dataclass(frozen=True)
class Adjustment:
    """The adjustments of a trial's model.

    Attributes:
        trial: number of the trial.
        n_rows: number of out-of-fold predictions; 0 if there are none.
        n_parts: number of parts that were judged, each by a fit to the others.
        calibration: None if nothing was fitted.
        threshold: None unless there are two classes.
        points: operating points at a few thresholds, the lowest first; empty unless there are two
            classes.
        curve: operating points from the lowest to the highest threshold, for a plot.
        labels: thresholds of several labels; None without labels.
        why_not: why nothing was fitted, in words; else empty.
        n_trials: number of trials of an ensemble; `trial` is the one that counts most.
        is_of_single: whether the model predicts the mean of several networks, while everything
            here was fitted to and judged on single ones.
    """

    trial: int
    n_rows: int = 0
    n_parts: int = 0
    calibration: Calibration | None = None
    threshold: Threshold | None = None
    points: tuple[OperatingPoint, ...] = ()
    curve: tuple[OperatingPoint, ...] = ()
    why_not: str = ""
    is_of_single: bool = False
    n_trials: int = 1
    labels: LabelThresholds | None = None

    @property
    def temperature(self) -> float | None:
        """The temperature that the model uses."""
        found = self.calibration
        return found.temperature if found is not None and found.is_kept else None

    @property
    def rule(self) -> tuple[str, float] | None:
        """The class that the model predicts by a threshold, and the threshold."""
        threshold = self.threshold
        value = threshold.in_use if threshold is not None else None
        return (threshold.positive, value) if threshold is not None and value is not None else None

    @property
    def wish(self) -> ThresholdWish:
        """The threshold that the user asked for; `none` also where no metric could choose one."""
        if self.labels is not None:
            return "auto" if self.labels.metric else "none"
        match self.threshold:
            case Threshold(how="given", value=float(value)):
                return value
            case Threshold(how="default", metric=""):
                return "none"
            case _:
                return "auto"

    @property
    def changes_model(self) -> bool:
        """Whether the model predicts otherwise than those that the search scored."""
        of_labels = self.labels is not None and bool(self.labels.in_use)
        return self.temperature is not None or self.rule is not None or of_labels
