"""What a study's best trial must beat: untuned models and guessing, in every metric."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.training.outcome.evaluation import BASELINES, GUESSES, Baseline, TargetScores


@dataclass(frozen=True)
class Rival:
    """An untuned model or a guess on the folds of a study.

    Attributes:
        name: one of `evaluation.BASELINES`.
        values: means over folds, by metric, the objective first.
        folds: one value per fold, by metric; a metric may be missing.
        of_targets: means over folds of each of several targets.
    """

    name: str
    values: Mapping[str, float]
    folds: Mapping[str, Sequence[float]] = field(default_factory=dict)
    of_targets: TargetScores = field(default_factory=dict)

    @property
    def is_guess(self) -> bool:
        """Whether it predicts the same for every row."""
        return self.name in GUESSES

    @property
    def words(self) -> str:
        """The rival in a sentence: `always predicting the mean`, `untuned ridge regression`."""
        return f"always predicting the {self.name}" if self.is_guess else f"untuned {self.name}"


def rivals(study: StudyRecord, baselines: Sequence[Baseline]) -> list[Rival]:
    """Return the baselines that have scores, then guessing, which is known without them."""
    of_models = [_rival(study.metric, one) for one in baselines if one.fold_scores]
    if any(rival.is_guess for rival in of_models) or study.summary is None:
        return sorted(of_models, key=lambda rival: rival.is_guess)
    name = BASELINES[study.summary.task][0]
    guess = Rival(name, study.summary.guess, study.summary.guess_folds)
    return [*of_models, guess]


def _rival(metric: str, baseline: Baseline) -> Rival:
    mean = statistics.fmean(baseline.fold_scores)
    values = {metric: mean} | baseline.metrics
    folds = {metric: baseline.fold_scores} | baseline.fold_metrics
    return Rival(baseline.name, values, folds, baseline.of_targets)


def rival_scores(
    study: StudyRecord, baselines: Sequence[Baseline], best: TrialRecord
) -> tuple[list[str], list[tuple[str, list[float | None]]]]:
    """Return a table of the best trial and its rivals.

    Returns:
        The heads of the columns, and for each metric that a rival has its name for people and its
        values; no rows for a study without baselines, or without further metrics.
    """
    columns = rivals(study, baselines)
    heads = [f"trial {best.number}", *(rival.name for rival in columns)]
    known = {study.metric: best.value} | dict(best.metrics)
    rows = [(study.titled(name), [known[name], *_of(columns, name)]) for name in known]
    shown = [row for row in rows if any(value is not None for value in row[1][1:])]
    return heads, shown if len(known) > 1 and len(columns) > 1 else []


def _of(columns: Sequence[Rival], metric: str) -> Iterator[float | None]:
    return (rival.values.get(metric) for rival in columns)
