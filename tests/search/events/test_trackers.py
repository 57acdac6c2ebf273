"""Trackers show what a search told; and whatever they do, the search goes on as without them."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import call_in, run_in
from in_process import drive

from tunecli.database.trials import Trial
from tunecli.database.urls import sqlite_url
from tunecli.errors import TrackerError
from tunecli.search.events.events import (
    Notice,
    SearchEvent,
    TrialEvaluated,
    TrialFinished,
    TrialStarted,
)
from tunecli.search.events.trackers import mirror as mirror_module
from tunecli.search.events.trackers.destination import Destination
from tunecli.search.events.trackers.mirror import Mirror, study_key
from tunecli.search.events.trackers.tracker import Group, Tracker, curve_points, figures
from tunecli.study_file.study_file import StudyFile
from tunecli.training.outcome.evaluation import Evaluation

GROUP = Group("digits", "3f9a1c", "accuracy")
STUDY = """
data: digits
model: MLP
optimizer: {AdamW: {lr: {float: [1e-4, 1], log: true}}}
search: {sampler: Random, pruner: none}
"""


def evaluated(step: int, *scores: float, number: int = 0) -> TrialEvaluated:
    folds = tuple(
        Evaluation(step, step + 1.0, 0.25, one, {"f1": one / 2}, 0.125) for one in scores
    )
    return TrialEvaluated(number, step, sum(scores) / len(scores), max(scores), folds)


STARTED = TrialStarted(0, {"optimizer": "AdamW", "model.MLP.width[0]": 32, "training.l1": None}, 4)
CURVE = [evaluated(step, 0.5 + step / 8, 0.75 + step / 8) for step in range(3)]
FINISHED = TrialFinished(0, "complete", "", 0.875, 0.125, 2.5, STARTED.params, True)


class Listed:
    """A tracker that keeps what it is told."""

    def __init__(self, _: Group) -> None:
        self.told: list[SearchEvent] = []
        self.closed = False

    def start(self, trial: TrialStarted) -> None:
        self.told.append(trial)

    evaluate = finish = start

    def close(self) -> None:
        self.closed = True


class Broken(Listed):
    """Raises at every call."""

    def start(self, trial: Any) -> None:
        raise ConnectionError("nobody\nanswers at http://me:secret@host")

    evaluate = finish = start

    def close(self) -> None:
        raise OSError("disk full")


class Stuck(Listed):
    """Answers nothing until it is let go."""

    go = threading.Event()

    def start(self, trial: Any) -> None:
        self.go.wait()
        super().start(trial)

    evaluate = finish = start


class Telling(list[SearchEvent]):
    """Passes on to a mirror whatever a search tells, as the search does."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror

    def append(self, event: SearchEvent) -> None:
        super().append(event)
        self.mirror.tell(event)


def ended(mirror: Mirror) -> list[Notice]:
    mirror.end()
    mirror.join(60)
    return [*mirror.news()]


@pytest.fixture(scope="module")
def study() -> StudyFile:
    return StudyFile.from_text(STUDY, "digits.yaml").completed("classification", 100, {})


@pytest.fixture(scope="module")
def alone(study: StudyFile, tmp_path_factory: pytest.TempPathFactory) -> list[Trial]:
    """The trials of a search without trackers."""
    return drive(study, sqlite_url(tmp_path_factory.mktemp("alone") / "study.db"), n_total=4)


@pytest.mark.parametrize(
    "text", ["", "mlflow", "mlflow:", "tensorboard: ", "wand:x", "://", "x:y"]
)
def test_another_form_is_told_the_three_before_anything_is_read(tmp_path: Path, text: str) -> None:
    with pytest.raises(TrackerError, match="mlflow:URI, tensorboard:DIR or wandb:PROJECT"):
        Destination.parse(text)
    done = call_in(tmp_path, "search", "no_such_file.yaml", "--log", text, code=2)
    assert done.stderr.startswith("--log must be mlflow:URI")
    assert not [*tmp_path.iterdir()]


def test_a_target_may_hold_colons() -> None:
    assert Destination.parse("mlflow:http://host:5000") == Destination(
        "mlflow", "http://host:5000"
    )


def test_points_are_means_over_folds_and_each_fold() -> None:
    assert curve_points(CURVE[0], "accuracy") == {
        "accuracy": 0.625,
        "accuracy/fold_0": 0.5,
        "accuracy/fold_1": 0.75,
        "train_loss": 0.25,
        "lr": 0.125,
        "f1": 0.3125,
    }
    assert "accuracy/fold_0" not in curve_points(evaluated(0, 0.5), "accuracy")
    assert "value" not in figures(replace(FINISHED, value=None, outcome="failed"))


def test_all_that_is_told_arrives_in_order() -> None:
    tracker = Listed(GROUP)
    mirror = Mirror("listed:x", GROUP, lambda _: tracker)
    told = [STARTED, *CURVE, FINISHED]
    for event in (*told, Notice("of no trial")):
        mirror.tell(event)
    assert ended(mirror) == []
    assert tracker.told == told
    assert tracker.closed


def test_a_tracker_that_raises_is_told_once_and_changes_nothing(
    study: StudyFile, alone: list[Trial], tmp_path: Path
) -> None:
    told = Telling(Mirror("broken:x", GROUP, Broken))
    assert drive(study, sqlite_url(tmp_path / "study.db"), n_total=4, told=told) == alone
    [notice] = ended(told.mirror)
    assert notice.text.startswith(
        "--log broken:x: ConnectionError: nobody answers at http://host."
    )


def test_a_tracker_that_cannot_be_made_is_told_once_with_the_way_to_it() -> None:
    def connect(_: Group) -> Tracker:
        raise ModuleNotFoundError("No module named 'mlflow'", name="mlflow")

    mirror = Mirror("mlflow:x", GROUP, connect)
    for event in (STARTED, *CURVE, FINISHED):
        mirror.tell(event)
    [notice] = ended(mirror)
    assert "pip install 'tunecli[mlflow]'" in notice.text


def test_a_tracker_that_fails_for_a_while_is_tried_again() -> None:
    tries: list[Listed] = []

    def connect(group: Group) -> Tracker:
        tries.append(Listed(group))
        if len(tries) < 3:
            raise TimeoutError
        return tries[-1]

    mirror = Mirror("listed:x", GROUP, connect)
    for event in (STARTED, *CURVE):
        mirror.tell(event)
    assert [notice.text for notice in ended(mirror)] == [
        "--log listed:x: TimeoutError. The search continues; this tracker may miss events."
    ]
    assert tries[-1].told == CURVE[1:]


def test_a_search_never_waits_and_points_of_curves_are_left_out_first(
    study: StudyFile, alone: list[Trial], tmp_path: Path
) -> None:
    Stuck.go.clear()
    tracker = Stuck(GROUP)
    told = Telling(Mirror("stuck:x", GROUP, lambda _: tracker, n_waiting=10))
    try:  # were it to wait, this would never end
        assert drive(study, sqlite_url(tmp_path / "study.db"), n_total=4, told=told) == alone
        assert tracker.told == []
        assert 0 < told.mirror.n_dropped
    finally:
        Stuck.go.set()
    [notice] = ended(told.mirror)
    assert "too slow, so some points of its curves are dropped" in notice.text
    runs = [event for event in told if isinstance(event, TrialStarted | TrialFinished)]
    curves = [event for event in told if isinstance(event, TrialEvaluated)]
    assert [event for event in tracker.told if not isinstance(event, TrialEvaluated)] == runs
    assert len(tracker.told) == len(runs) + len(curves) - told.mirror.n_dropped


def test_the_end_waits_for_a_tracker_but_not_for_ever() -> None:
    Stuck.go.clear()
    mirror = Mirror("stuck:x", GROUP, Stuck)
    try:
        mirror.tell(STARTED)
        mirror.end()
        mirror.join(0.05)
        assert ["too slow" in notice.text for notice in mirror.news()] == [True]
    finally:
        Stuck.go.set()


def test_the_end_hardly_waits_for_a_tracker_that_was_never_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mirror_module, "LAST_CHANCE", 0.01)
    failed, second, go = threading.Event(), threading.Event(), threading.Event()

    def connect(_: Group) -> Tracker:
        if failed.is_set():
            second.set()
            go.wait()
        failed.set()
        raise ConnectionError

    mirror = Mirror("listed:x", GROUP, connect)
    for event in (STARTED, *CURVE):
        mirror.tell(event)
    assert second.wait(60)
    [notice] = ended(mirror)
    assert notice.text.startswith("--log listed:x: ConnectionError")
    go.set()


def test_a_study_keeps_its_key(tmp_path: Path) -> None:
    first = study_key(tmp_path)
    assert study_key(tmp_path) == first
    (tmp_path / "trackers.json").write_text("[]")
    assert study_key(tmp_path) != first
    assert study_key(tmp_path / "nowhere") != study_key(tmp_path / "nowhere")


def interrupted_and_resumed(connect: Any) -> None:
    """A trial that is interrupted after two evaluations, and told again from the start."""
    for told in ([STARTED, *CURVE[:2]], [STARTED, *CURVE, FINISHED]):
        tracker = connect()
        calls = {TrialStarted: "start", TrialEvaluated: "evaluate", TrialFinished: "finish"}
        for event in told:
            getattr(tracker, calls[type(event)])(event)
        tracker.close()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of packages that are not ours
def test_mlflow_shows_a_trial_as_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    from tunecli.search.events.trackers.mlflow_tracker import MlflowTracker

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    interrupted_and_resumed(lambda: MlflowTracker(uri, GROUP))
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("digits")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "optimizer": "AdamW",
        "model.MLP.width_0_": "32",
        "training.l1": "None",
    }
    assert run.data.tags["tunecli.outcome"] == "complete"
    assert run.data.metrics["value"] == 0.875
    assert run.data.metrics["seconds"] == 2.5
    for name in ("accuracy", "accuracy/fold_0", "accuracy/fold_1", "train_loss", "f1"):
        curve = client.get_metric_history(run.info.run_id, name)
        assert [(point.step, point.value) for point in curve] == [
            (event.step, curve_points(event, "accuracy")[name]) for event in CURVE
        ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_tensorboard_reads_each_point_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    from tunecli.search.events.trackers.tensorboard_tracker import TensorBoardTracker

    interrupted_and_resumed(lambda: TensorBoardTracker(tmp_path, GROUP))
    read = EventAccumulator(str(tmp_path / "digits-3f9a1c" / "trial-0000"))
    read.Reload()
    for name in ("accuracy", "accuracy/fold_0", "accuracy/fold_1", "train_loss", "f1"):
        assert [(point.step, point.value) for point in read.Scalars(name)] == [
            (event.step, curve_points(event, "accuracy")[name]) for event in CURVE
        ]
    assert [point.value for point in read.Scalars("trial/value")] == [0.875]
    [told] = read.Tensors("trial/outcome")
    assert told.tensor_proto.string_val[0] == b"complete"
    stored = read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = HParamsPluginData.FromString(stored).session_start_info.hparams
    assert hparams["optimizer"].string_value == "AdamW"
    assert hparams["model.MLP.width[0]"].number_value == 32


def logged(content: bytes) -> Iterator[bytes]:
    """The records of a .wandb file, in LevelDB's log format: blocks of 32 KiB, after 7 bytes."""
    assert content[:4] == b":W&B"
    at, whole = 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:  # what is left of a block is padding
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield whole
            whole = b""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_wandb_keeps_a_trial_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"MODE": "offline", "DIR": str(tmp_path), "SILENT": "true"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    from wandb.proto.wandb_internal_pb2 import Record

    from tunecli.search.events.trackers.wandb_tracker import WandbTracker

    tracker = WandbTracker("tune", GROUP)
    tracker.start(STARTED)
    for event in CURVE:
        tracker.evaluate(event)
    tracker.finish(FINISHED)
    tracker.close()
    wandb.teardown()
    [path] = tmp_path.rglob("run-digits-3f9a1c-0.wandb")
    records = [Record.FromString(data) for data in logged(path.read_bytes())]
    runs = [record.run for record in records if record.HasField("run")]
    assert (runs[0].project, runs[0].run_group, runs[0].display_name) == (
        "tune",
        "digits",
        "digits 0",
    )
    config = {item.key: json.loads(item.value_json) for item in runs[0].config.update}
    assert config["optimizer"] == "AdamW"
    shown = [
        {
            (item.key or item.nested_key[0]): json.loads(item.value_json)
            for item in one.history.item
        }
        for one in records
        if one.HasField("history")
    ]
    assert [(row["_step"], row["accuracy"], row["accuracy/fold_1"]) for row in shown] == [
        (event.step, event.score, event.folds[1].score) for event in CURVE
    ]
    told = {
        item.key: json.loads(item.value_json)
        for one in records
        if one.HasField("summary")
        for item in one.summary.update
    }
    assert told["outcome"] == "complete"
    assert told["value"] == 0.875


@pytest.mark.slow
def test_a_search_shows_its_trials_while_another_tracker_fails(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    (tmp_path / "digits.yaml").write_text(STUDY + "training: {epochs: 2}\n")
    (tmp_path / "file").touch()
    logs = ("--log", "tensorboard:tb", "--log", "tensorboard:file")
    done = run_in(tmp_path, "search", "digits.yaml", "--trials", "2", *logs)
    assert done.stderr.count("--log tensorboard:file: NotADirectoryError") == 1
    key = study_key(tmp_path / "runs" / "digits")
    shown = sorted(path.name for path in (tmp_path / "tb" / f"digits-{key}").iterdir())
    assert shown == ["trial-0000", "trial-0001"]
