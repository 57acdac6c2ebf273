"""The scores of each of several targets, as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.rivals import rivals
from tunecli.report.phrases import wording
from tunecli.study_file.settings.metric_names import target_label
from tunecli.training.outcome.evaluation import Baseline, TargetScores


@dataclass(frozen=True)
class TargetTable:
    """A table with a row per target.

    Attributes:
        heads: heads of the columns, that of the targets' names first.
        rows: the cells of each target, its name first.
    """

    heading: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str


def target_tables(
    study: StudyRecord, trial: TrialRecord, baselines: Sequence[Baseline] = ()
) -> Iterator[TargetTable]:
    """Yield all scores of each target, then the objective compared with untuned models.

    Nothing is yielded for a single target, and for studies of versions without these scores.
    """
    of_targets = study.target_scores([trial]).get(trial.trial_id)
    if not of_targets:
        return
    yield TargetTable(
        "Scores of each target",
        ["target", *next(iter(of_targets.values()))],
        [[name, *map(wording.score, scores.values())] for name, scores in of_targets.items()],
        "Out-of-fold predictions, means over the folds.",
    )
    yield from _against_rivals(study, trial, of_targets, baselines)


def _against_rivals(
    study: StudyRecord, trial: TrialRecord, of_targets: TargetScores, baselines: Sequence[Baseline]
) -> Iterator[TargetTable]:
    config = study.first_config
    columns = [rival for rival in rivals(study, baselines) if rival.of_targets]
    metric = target_label(config.objective.metric) if config is not None else ""
    if not columns or any(metric not in scores for scores in of_targets.values()):
        return
    rows = []
    for name, scores in of_targets.items():
        others = (rival.of_targets.get(name, {}).get(metric) for rival in columns)
        own = scores[metric]
        rows.append([name, *(wording.score(value, own) for value in (own, *others))])
    yield TargetTable(
        f"{metric} of each target compared with untuned models and guessing",
        ["target", f"trial {trial.number}", *(rival.name for rival in columns)],
        rows,
        "Means over the same folds.",
    )
