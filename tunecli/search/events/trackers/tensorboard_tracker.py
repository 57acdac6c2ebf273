"""Log trials as TensorBoard runs: one folder per trial, with scalars and the HParams tab."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from tunecli.search.events.events import TrialEvaluated, TrialFinished, TrialStarted
from tunecli.search.events.trackers.tracker import Group, curve_points, figures


class TensorBoardTracker:
    """Writes event files with TensorBoard's own writer, without torch or TensorFlow."""

    def __init__(self, folder: Path, group: Group) -> None:
        self._folder = folder / f"{group.study}-{group.key}"
        self._objective = group.objective
        self._writers: dict[int, Any] = {}

    def start(self, trial: TrialStarted) -> None:
        """Begin a run; for a resumed one, let TensorBoard drop the points that come again."""
        folder = self._folder / f"trial-{trial.number:04d}"
        is_resumed = folder.exists()
        if trial.number not in self._writers:
            self._writers[trial.number] = EventFileWriter(str(folder))
        if is_resumed:
            self._write(trial.number, session_log=SessionLog(status=SessionLog.START), step=0)
        values = {name: "none" if value is None else value for name, value in trial.params.items()}
        self._write(trial.number, summary=hparams_pb(values, trial_id=str(trial.number)))

    def evaluate(self, event: TrialEvaluated) -> None:
        """Add a point to the curves, and write it to the disk at once."""
        points = curve_points(event, self._objective)
        self._write(event.number, summary=_scalars(points), step=event.position)
        self._writers[event.number].flush()

    def finish(self, trial: TrialFinished) -> None:
        """End a run."""
        numbers = {f"trial/{name}": value for name, value in figures(trial).items()}
        self._write(trial.number, summary=_scalars(numbers), step=0)
        text = f"{trial.outcome}: {trial.reason}" if trial.reason else trial.outcome
        self._write(trial.number, summary=text_pb("trial/outcome", text), step=0)
        self._writers.pop(trial.number).close()

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()

    def _write(self, number: int, **fields: Any) -> None:
        self._writers[number].add_event(Event(wall_time=time.time(), **fields))


def _scalars(values: Mapping[str, float]) -> Any:
    pairs = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
    return Summary(value=pairs)
