"""Trials as runs of an MLflow experiment that is named after the study."""

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
"""What MLflow waits for a server, unless the environment says otherwise. By its own patience, of
minutes, a search would end before it hears that nobody is there."""


class MlflowTracker:
    """Writes through MLflow's client; runs are found again by a tag."""

    def __init__(self, uri: str, group: Group) -> None:
        for name, value in _HTTP.items():
            os.environ.setdefault(name, value)
        logging.getLogger("mlflow").setLevel(logging.WARNING)  # it tells of tables that it makes
        self._group = group
        self._client = MlflowClient(tracking_uri=uri)
        known = self._client.get_experiment_by_name(group.study)
        self._experiment = (
            known.experiment_id if known else self._client.create_experiment(group.study)
        )
        self._runs: dict[int, str] = {}
        self._n_shown: dict[int, int] = {}  # points of each run's curve

    def start(self, trial: TrialStarted) -> None:
        """Begin a run, or go on with the one that an earlier call began."""
        number = trial.number
        if number in self._runs:
            return
        tag = f"{self._group.study}/{self._group.key}/{number}"
        found = self._client.search_runs([self._experiment], f"tags.`tunecli.run` = '{tag}'")
        if found:
            run_id = found[0].info.run_id
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

    def evaluate(self, told: TrialEvaluated) -> None:
        """Add a point that is not yet shown."""
        if told.step < self._n_shown.get(told.number, 0):
            return
        now = _milliseconds()
        metrics = [
            Metric(_name(name), value, now, told.step)
            for name, value in curve_points(told, self._group.objective).items()
        ]
        self._client.log_batch(self._runs[told.number], metrics=metrics)
        self._n_shown[told.number] = told.step + 1

    def finish(self, trial: TrialFinished) -> None:
        """End a run: as failed only what failed, with the outcome as a tag."""
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
        """Mark what was interrupted; a later search takes it up again."""
        for run_id in self._runs.values():
            self._client.set_terminated(run_id, "KILLED")


def _name(text: str) -> str:
    """A name as MLflow takes it, which knows no brackets."""
    return re.sub(r"[^\w\-. :/]", "_", text)


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
