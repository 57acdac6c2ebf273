"""The mean curves by which a trial is judged: over its first folds, and over all of them.

A trial whose folds join in one after another is compared, in each stage, with the curves of other
trials over the same folds. So every trial has such a curve for each stage, whatever stages it had
itself. A stage is named by the number of folds that have not joined yet: 0 is that of all folds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from tunecli.database.trials import Trial
from tunecli.study_file.settings.fold_stages import stages_of
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.outcome.evaluation_choice import EvaluationChoice, choice_for


class StageCurves:
    """The curves of one trial, by the number of folds that have not joined yet.

    Args:
        config: the trial's configuration.
        others: the configuration of trials that begin now; an edit of the study file may have
            changed `validation.racing`.

    Attributes:
        choices: the curve of each stage, with its best evaluation so far.
    """

    def __init__(self, config: TrialConfig, others: TrialConfig) -> None:
        self.choices: dict[int, EvaluationChoice] = {}
        self._configs = (config, others)

    def add(self, step: int, scores: Sequence[float], n_waiting: int) -> dict[int, float]:
        """Add an evaluation of the folds that take part, and return each new score of a curve.

        Args:
            step: index of the evaluation in the current stage.
            scores: scores of the folds that take part, in their order.
            n_waiting: number of folds that have not joined yet.

        Returns:
            the mean score, smoothed over those before it, by the stage of the curve.
        """
        added = {}
        n_folds = len(scores) + n_waiting
        sizes = {len(scores), *(size for one in self._configs for size in stages_of(one, n_folds))}
        for size in sorted(size for size in sizes if size <= len(scores)):
            stage = n_folds - size
            choice = self.choices.setdefault(stage, choice_for(self._configs[0]))
            if len(choice) == step:  # else the first folds were further in an earlier stage
                choice.add(fmean(scores[:size]))
                added[stage] = choice.smoothed[-1]
        return added

    def best_step(self, n_waiting: int) -> int:
        """Return the best evaluation of a stage that has one."""
        step = self.choices[n_waiting].step
        assert step is not None
        return step


def stored_curves(trial: Trial, others: TrialConfig) -> Mapping[int, Sequence[float]]:
    """Return the smoothed curve of each stage of a trial that has ended, from the database."""
    if not trial.fold_curves:
        return {trial.n_waiting: choice_for(trial.config, trial.curve).smoothed}
    curves = StageCurves(trial.config, others)
    n_folds = len(trial.fold_curves) + trial.n_waiting
    for step in range(max(map(len, trial.fold_curves))):
        scores = [curve[step] for curve in trial.fold_curves if step < len(curve)]
        curves.add(step, scores, n_folds - len(scores))
    return {stage: choice.smoothed for stage, choice in curves.choices.items()}
