"""Log trials as runs of an MLflow experiment that is named after the study."""

from __future__ import annotations

import logging
import os
import re
import time

from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

from tunecli.search.events.events import TrialEvaluated, TrialFinished, TrialStarted
from tunecli.search.events.trackers.tracker import Group, curve_points, figures

_HTTP = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""How long MLflow waits for a server, unless the environment sets it. With MLflow's own defaults
of minutes, a search would end before an unreachable server is noticed."""


class MlflowTracker:
    """Writes with MLflow's client; a tag identifies the runs in later calls."""

    def __init__(self, uri: str, group: Group) -> None:
        for name, value in _HTTP.items():
            os.environ.setdefault(name, value)
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it logs the tables it creates
        self._group = group
        self._client = MlflowClient(tracking_uri=uri)
        known = self._client.get_experiment_by_name(group.study)
        self._experiment = (
            known.experiment_id if known else self._client.create_experiment(group.study)
        )
        self._runs: dict[int, str] = {}
        self._n_shown: dict[int, int] = {}  # points of each run's curve

    def start(self, trial: TrialStarted) -> None:
        """Begin a run, or resume the one that an earlier call began."""
        number = trial.number
        if number in self._runs:
            return
        tag = f"{self._group.study}/{self._group.key}/{number}"
        runs = self._client.search_runs([self._experiment], f"tags.`tunecli.run` = '{tag}'")
        if runs:
            run_id = runs[0].info.run_id
            self._client.update_run(run_id, status="RUNNING")
            history = self._client.get_metric_history(run_id, _name(self._group.objective))
            self._n_shown[number] = 1 + max((point.step for point in history), default=-1)
        else:
            tags = {
                "tunecli.run": tag,
                "tunecli.study": self._group.study,
                "tunecli.trial": str(number),
            }
            run = self._client.create_run(
                self._experiment, tags=tags, run_name=f"{self._group.study} {number}"
            )
            run_id = run.info.run_id
            params = [Param(_name(name), str(value)) for name, value in trial.params.items()]
            self._client.log_batch(run_id, params=params)
        self._runs[number] = run_id

    def evaluate(self, event: TrialEvaluated) -> None:
        """Add a point to the curves, unless the run has it already."""
        if event.position < self._n_shown.get(event.number, 0):
            return
        now = _milliseconds()
        metrics = [
            Metric(_name(name), value, now, event.position)
            for name, value in curve_points(event, self._group.objective).items()
        ]
        self._client.log_batch(self._runs[event.number], metrics=metrics)
        self._n_shown[event.number] = event.position + 1

    def finish(self, trial: TrialFinished) -> None:
        """End a run, with the outcome as a tag; only a failed trial is marked as failed."""
        run_id = self._runs[trial.number]
        now = _milliseconds()
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, now, 0) for name, value in figures(trial).items()],
            tags=[
                RunTag("tunecli.outcome", trial.outcome),
                RunTag("tunecli.reason", trial.reason),
            ],
        )
        status = "FAILED" if trial.outcome == "failed" else "FINISHED"
        self._client.set_terminated(run_id, status)
        del self._runs[trial.number]

    def close(self) -> None:
        """Mark interrupted runs; a later search resumes them."""
        for run_id in self._runs.values():
            self._client.set_terminated(run_id, "KILLED")


def _name(text: str) -> str:
    """Return a name that MLflow accepts; it does not allow brackets."""
    return re.sub(r"[^\w\-. :/]", "_", text)


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
