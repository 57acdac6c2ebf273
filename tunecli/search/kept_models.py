"""Which trials' models a study keeps: those of its best, a folder each."""

from __future__ import annotations

import shutil
from collections.abc import Container, Sequence
from pathlib import Path

from tunecli.search.trials import Trial
from tunecli.study_file.settings import Direction

FOLDER = "best"
"""In the folder of the study."""


class KeptModels:
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
        self._root = root if n else None
        self._n = n
        self._sign = -1.0 if direction == "maximize" else 1.0
        self._best: list[Trial] = []
        for trial in trials:
            self._insert(trial)
        kept = [*self._best, *(trial for trial in trials if trial.outcome is None)]
        self._remove_all_but({str(trial.number) for trial in kept})

    def of(self, number: int) -> str:
        """The folder of trial `number`; empty to keep nothing."""
        return str(self._root / str(number)) if self._root else ""

    @property
    def to_beat(self) -> float | None:
        """What a trial must reach by now, or it is not kept; None for any value."""
        return self._best[-1].value if self._best and len(self._best) == self._n else None

    def take(self, trial: Trial) -> None:
        """A trial has ended, and that was recorded."""
        for gone in self._insert(trial):
            shutil.rmtree(self.of(gone.number), ignore_errors=True)

    def _insert(self, trial: Trial) -> list[Trial]:
        """Those that are not among the best, or no more."""
        if self._root is None:
            return []
        if not trial.values:
            return [trial]
        order = sorted([*self._best, trial], key=lambda t: (self._sign * t.values[0], t.number))
        self._best = order[: self._n]
        return order[self._n :]

    def _remove_all_but(self, kept: Container[str]) -> None:
        for folder in self._root.glob("*") if self._root else ():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)
