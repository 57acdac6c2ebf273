"""Keep the models of a study's best trials, one folder per trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunecli.database.trials import Trial
from tunecli.search.study.trial_folders import TrialFolders
from tunecli.study_file.settings.settings import Direction
from tunecli.training.state.trial_files import MODELS


class BestModels:
    """The folders of the best trials in the first objective.

    A worker writes the models of a trial that may be among the best before it reports the trial's
    end. A folder that is not among the best is discarded once that end is recorded. So a search
    that is killed in between leaves a folder too many, never one too few.

    Args:
        root: the folder of all these folders; None to keep nothing.
        n: how many trials to keep models of.
        trials: the trials of earlier calls. Folders of trials that ended and are not among the
            best are removed.
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
        best = {trial.number for trial in self._best}
        ended = {trial.number for trial in trials if trial.outcome is not None}
        self._folders.remove_left(ended - best)

    def of(self, number: int) -> str:
        """Return the folder of trial `number`; empty to keep nothing."""
        return self._folders.of(number)

    @property
    def to_beat(self) -> float | None:
        """The value that a trial must reach now to be kept; None for any value."""
        return self._best[-1].value if self._best and len(self._best) == self._n else None

    def take(self, trial: Trial) -> None:
        """Take a trial whose end is recorded, and discard folders that are not needed any more."""
        self._folders.discard(*(gone.number for gone in self._insert(trial)))

    def remove_discarded(self) -> None:
        """Remove the folders that are not needed any more."""
        self._folders.remove_discarded()

    def remove_root(self) -> None:
        """Remove the discarded folders, and the folder of all models if it is empty.

        No trial may be running.
        """
        self._folders.remove_root()

    def _insert(self, trial: Trial) -> list[Trial]:
        """Insert a trial, and return those that are not, or no longer, among the best."""
        if not self._n:
            return []
        if not trial.values:
            return [trial]
        order = sorted([*self._best, trial], key=lambda t: (self._sign * t.values[0], t.number))
        self._best = order[: self._n]
        return order[self._n :]
