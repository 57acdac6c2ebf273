"""Which trials' models a study keeps: those of its best, a folder each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunecli.database.trials import Trial
from tunecli.search.study.trial_folders import TrialFolders
from tunecli.study_file.settings.settings import Direction
from tunecli.training.state.trial_files import MODELS


class BestModels:
    """The folders of the best trials in the first objective.

    A worker writes the models of a trial that may be among them before it tells the trial's end,
    and what is not among them goes when that was recorded. So a search that is killed in between
    leaves a folder too many, never one too few.

    Args:
        root: of all folders; None to keep nothing.
        n: how many trials.
        trials: of earlier calls. The folders of those that ended and are not among the best go.
    """

    def __init__(
        self, root: Path | None, n: int, direction: Direction, trials: Sequence[Trial] = ()
    ) -> None:
        self._folders = TrialFolders(root if n else None, MODELS)
        self._n = n
        self._sign = -1.0 if direction == "maximize" else 1.0
        self._best: list[Trial] = []
        for trial in trials:
            self._insert(trial)
        kept = {trial.number for trial in self._best}
        ended = {trial.number for trial in trials if trial.outcome is not None}
        self._folders.remove_left(ended - kept)

    def of(self, number: int) -> str:
        """The folder of trial `number`; empty to keep nothing."""
        return self._folders.of(number)

    @property
    def to_beat(self) -> float | None:
        """What a trial must reach by now, or it is not kept; None for any value."""
        return self._best[-1].value if self._best and len(self._best) == self._n else None

    def take(self, trial: Trial) -> None:
        """A trial has ended, and that was recorded."""
        self._folders.remove(*(gone.number for gone in self._insert(trial)))

    def _insert(self, trial: Trial) -> list[Trial]:
        """Those that are not among the best, or no more."""
        if not self._n:
            return []
        if not trial.values:
            return [trial]
        order = sorted([*self._best, trial], key=lambda t: (self._sign * t.values[0], t.number))
        self._best = order[: self._n]
        return order[self._n :]
