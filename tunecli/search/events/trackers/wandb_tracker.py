"""Log trials as runs of a Weights & Biases project, grouped by study."""

from __future__ import annotations

from typing import Any

import wandb

from tunecli.search.events.events import TrialEvaluated, TrialFinished, TrialStarted
from tunecli.search.events.trackers.tracker import Group, curve_points, figures


class WandbTracker:
    """Writes with wandb's client, which stores what it cannot send."""

    def __init__(self, project: str, group: Group) -> None:
        settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
        mode = wandb.setup(settings).settings.mode
        if mode == "online" and not wandb.login(prompt=False):
            raise PermissionError("not logged in: run `wandb login`, or set WANDB_MODE=offline")
        self._project = project
        self._group = group
        self._settings = settings
        self._runs: dict[int, Any] = {}
        self._n_shown: dict[int, int] = {}  # points of each run's curve

    def start(self, trial: TrialStarted) -> None:
        """Begin a run, or resume the one with its id."""
        number = trial.number
        if number in self._runs:
            return
        study, key = self._group.study, self._group.key
        run = wandb.init(
            project=self._project,
            group=study,
            name=f"{study} {number}",
            id=f"{study}-{key}-{number}",
            resume="allow",
            reinit="create_new",
            config={**trial.params},
            tags=["tunecli"],
            settings=self._settings,
        )
        run.config.update({"trial": number}, allow_val_change=True)
        self._runs[number] = run
        self._n_shown[number] = run.starting_step

    def evaluate(self, event: TrialEvaluated) -> None:
        """Add a point to the curves, unless the run has it already."""
        if event.position >= self._n_shown[event.number]:
            points = curve_points(event, self._group.objective)
            self._runs[event.number].log(points, step=event.position)
            self._n_shown[event.number] = event.position + 1

    def finish(self, trial: TrialFinished) -> None:
        """End a run, with the outcome in its summary; only a failed trial exits with an error."""
        run = self._runs.pop(trial.number)
        run.summary.update({**figures(trial), "outcome": trial.outcome, "reason": trial.reason})
        run.finish(exit_code=int(trial.outcome == "failed"))

    def close(self) -> None:
        """Mark interrupted runs; a later search resumes them."""
        for run in self._runs.values():
            run.mark_preempting()
            run.finish(exit_code=1)
