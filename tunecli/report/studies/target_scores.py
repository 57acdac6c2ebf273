"""The scores of each of several targets, as a table for people."""

from __future__ import annotations

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.phrases import wording

HEADING = "Scores of each target"
NOTE = "Out-of-fold predictions, means over the folds."


def target_table(study: StudyRecord, trial: TrialRecord) -> tuple[list[str], list[list[str]]]:
    """Return the heads of the columns, and the cells of each target, its name first.

    There are no rows for a single target, and for studies of versions without these scores.
    """
    of_targets = study.target_scores([trial]).get(trial.trial_id, {})
    metrics = next(iter(of_targets.values()), {})
    rows = [[name, *map(wording.score, scores.values())] for name, scores in of_targets.items()]
    return ["target", *metrics], rows
