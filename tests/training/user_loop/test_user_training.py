"""A training of the user's own: its turn, its reports on the disk, its end."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import command, environment, run_in
from locations import STUDIES
from training_cases import CPU, classification, component, trial

from tunecli.data.fold_store import FoldStore, NoData
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.user_code import import_user_code
from tunecli.errors import StudyFileError, UserCodeError
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    TrialConfig,
    ValidationSettings,
)
from tunecli.study_file.study_file import StudyFile
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.rehearsal import own_build_error, rehearse_own
from tunecli.training.user_loop.user_training import UserFoldTraining
from tunecli.training.user_loop.user_trial import UserTrial

CODE = '''
import random
import numpy as np
import torch
import tunecli

LOG = []

def fit(config, fold, report):
    """Draws from every generator, and goes on at its checkpoint."""
    file = fold.checkpoints / "step"
    first = int(file.read_text()) + 1 if file.exists() else 0
    LOG.append(("begin", fold.number, first, fold.resume_step))
    try:
        for step in range(first, config["n"]):
            drawn = torch.rand(1).item() + np.random.rand() + random.random()
            LOG.append((step, fold.number))
            report({"accuracy": drawn if config.get("draws") else step / 10}, step=step)
            if config.get("saves"):
                file.write_text(str(step))
    except tunecli.TrialStopped:
        LOG.append(("stopped", fold.number))
        raise

def generate(config, fold):
    for step in range(config["n"]):
        drawn = torch.rand(1).item() + np.random.rand() + random.random()
        yield {"accuracy": drawn if config.get("draws") else step / 10}

def uneven(config, fold, report):
    for step in range(2 + fold.number):
        report({"accuracy": torch.tensor(0.5)})

def silent(config, fold, report):
    pass

def wrong(config, fold, report):
    report(config["value"])

def raises(config, fold, report):
    report({"accuracy": 0.5})
    raise ZeroDivisionError("by zero")

def skips(config, fold, report):
    report({"accuracy": 0.5}, step=3)

def sees(config, fold):
    assert fold.x_train is None and fold.seed >= 0
    yield {"accuracy": fold.number, "lr": config["lr"], "train_loss": 0.1, "epoch": 7}

def knows_rows(config, fold):
    targets = torch.tensor(config["targets"])
    assert torch.equal(fold.y_train, targets[fold.train_rows])
    assert torch.equal(fold.y_valid, targets[fold.valid_rows])
    both = torch.cat([fold.train_rows, fold.valid_rows])
    yield {"accuracy": len(both.unique()) / (len(fold.y_train) + len(fold.y_valid))}

def predicts(config, fold, report):
    for step, score in enumerate(config["scores"]):
        rows = fold.valid_rows.float()
        report({"accuracy": score}, step, predictions=torch.stack([rows, rows + step], 1))

def yields_predictions(config, fold):
    for step, score in enumerate(config["scores"]):
        rows = fold.valid_rows.float()
        yield {"accuracy": score}, torch.stack([rows, rows + step], 1)

def mispredicts(config, fold):
    yield {"accuracy": 1.0}, config["value"]

def too_few(config):
    pass

NOW = [0.0]

def takes_time(config, fold, report):
    """On a clock of its own: the process starts once, each fold starts, each report takes."""
    NOW[0] += config["once"] if not NOW[0] else 0
    NOW[0] += config["fold"]
    for step in range(config["n"]):
        NOW[0] += config["report"]
        report({"accuracy": 0.5}, step=step)
'''


@pytest.fixture(autouse=True)
def log(tmp_path: Path) -> Iterator[list[tuple[object, ...]]]:
    (tmp_path / "own.py").write_text(CODE + f"# {tmp_path}\n")
    import_user_code.permit(AllowedCode.of(tmp_path, [str(tmp_path / "own.py")]))
    found: list[tuple[object, ...]] = import_user_code.load_object("own.py:fit").__globals__["LOG"]
    found.clear()
    yield found
    import_user_code.permit(AllowedCode(Path()))


def config(function: str, **arguments: object) -> TrialConfig:
    base = trial(epochs=None, batch_size=32)
    train = Component(name=f"own.py:{function}", arguments=arguments)
    return base.model_copy(update={"train": train})


def cross_validation(trained: TrialConfig, folder: Path | None = None) -> CrossValidation:
    trial = UserTrial(checkpoints=folder, kept=folder and folder / "best")
    return CrossValidation(trained, [classification(0), classification(1)], CPU, trial)


def all_scores(trained: TrialConfig, folder: Path | None = None) -> list[list[float]]:
    with closing(cross_validation(trained, folder)) as training:
        return [[e.score for e in row] for row in training]


def test_a_fold_tells_where_its_rows_stand_in_the_data_set() -> None:
    store = FoldStore(DataSettings(source="wine"), ValidationSettings(folds=3))
    trained = config("knows_rows", targets=store.dataset.y.tolist())
    with closing(CrossValidation(trained, store.folds(FeatureForm(), False), CPU)) as training:
        assert [[e.score for e in row] for row in training] == [[1.0] * 3]


@pytest.mark.parametrize("function", ["fit", "generate"])
def test_folds_advance_in_lockstep(function: str, log: list[tuple[object, ...]]) -> None:
    with closing(cross_validation(config(function, n=3))) as training:
        rounds = list(training)
    assert [[e.score for e in row] for row in rounds] == [[0, 0], [0.1, 0.1], [0.2, 0.2]]
    assert training.outcome == "complete"
    assert training.result().value == 0.2
    assert training.result().predictions is None
    steps = [entry for entry in log if entry[0] in (0, 1, 2)]
    if function == "fit":
        assert steps == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]


@pytest.mark.parametrize("function", ["fit", "generate"])
def test_each_fold_draws_from_its_own_generators(function: str) -> None:
    rounds = all_scores(config(function, n=4, draws=True))
    for fold in range(2):
        torch.manual_seed(5)  # the world outside changes nothing
        with closing(
            UserFoldTraining(config(function, n=4, draws=True), classification(fold), CPU)
        ) as alone:
            assert [next(alone).score for _ in range(4)] == [row[fold] for row in rounds]


def test_a_trial_that_is_over_ends_its_training(log: list[tuple[object, ...]]) -> None:
    training = cross_validation(config("fit", n=100))
    next(training)
    next(training)
    assert training.result("pruned").value == 0.1
    assert training.close()
    assert log[-2:] == [("stopped", 0), ("stopped", 1)]


def test_early_stopping_and_epochs_end_a_trial() -> None:
    base = config("generate", n=100)
    short = base.training.model_copy(update={"epochs": 4})
    with closing(cross_validation(base.model_copy(update={"training": short}))) as training:
        assert len(list(training)) == 4
    assert training.outcome == "complete"


def test_the_first_fold_that_ends_ends_the_trial() -> None:
    with closing(cross_validation(config("uneven"))) as training:
        assert len(list(training)) == 2
        assert training.result().fold_scores == (0.5, 0.5)


@pytest.mark.parametrize("saves", [True, False])
def test_a_killed_trial_goes_on_to_the_same_result(
    tmp_path: Path, saves: bool, log: list[tuple[object, ...]]
) -> None:
    trained = config("fit", n=6, saves=saves, draws=not saves)
    whole = all_scores(trained)
    first = cross_validation(trained, tmp_path / "0")
    told = [[e.score for e in next(first)] for _ in range(3)]  # and no word to it after that
    log.clear()
    with closing(cross_validation(trained, tmp_path / "0")) as again:
        rounds = [[e.score for e in row] for row in again]
        assert again.take_notes() == []
    assert told + rounds[3:] == rounds == whole
    # The third step was reported, but its checkpoint not yet written.
    assert log[0] == ("begin", 0, 2 if saves else 0, 3)
    first.close()


def test_training_that_does_not_repeat_itself_is_told(tmp_path: Path) -> None:
    trained = config("fit", n=3)
    with closing(cross_validation(trained, tmp_path / "0")) as first:
        next(first)
    file = tmp_path / "0" / "own" / "0" / "reports.jsonl"
    file.write_text(file.read_text().replace('"score": 0.0', '"score": 0.25'))
    with closing(cross_validation(trained, tmp_path / "0")) as again:
        assert [e.score for e in next(again)] == [0.25, 0.0]
        next(again)
        [note] = again.take_notes()
    assert "step 0 of fold 0 scored 0 when trained again, but 0.25 before" in note


@pytest.mark.parametrize(
    "name", ["own", "own/0", "own/0/reports.jsonl", "own/0/predictions", "own/0/checkpoints"]
)
def test_no_link_is_written_through(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "7.npy").write_text("mine")
    link = tmp_path / "0" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(victim / "7.npy" if name.endswith("jsonl") else victim)
    with pytest.raises(OSError, match="is a symbolic link to"):
        all_scores(config("fit", n=3), tmp_path / "0")
    assert [path.name for path in victim.iterdir()] == ["7.npy"]
    assert (victim / "7.npy").read_text() == "mine"


def test_a_report_that_was_cut_off_is_trained_again(tmp_path: Path) -> None:
    trained = config("fit", n=3)
    with closing(cross_validation(trained, tmp_path / "0")) as first:
        next(first)
        next(first)
    file = tmp_path / "0" / "own" / "1" / "reports.jsonl"
    file.write_bytes(file.read_bytes()[:-5])
    with closing(cross_validation(trained, tmp_path / "0")) as again:
        assert [[e.score for e in row] for row in again] == [[0, 0], [0.1, 0.1], [0.2, 0.2]]
    assert len(file.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("function", "value", "message"),
    [
        ("wrong", 3, "a report must be a mapping of numbers, but got int"),
        ("wrong", {"f1": 0.3}, "the study needs accuracy, but the report has only f1"),
        ("wrong", {"accuracy": 0.3, "step": "one"}, "a step must be a whole number of at least 0"),
        ("skips", None, "expected a report of step 0, but got step 3"),
        ("raises", None, r"ZeroDivisionError: by zero \(own.py, line "),
    ],
)
def test_wrong_reports_and_errors_are_told(function: str, value: object, message: str) -> None:
    training = cross_validation(config(function, value=value))
    with closing(training), pytest.raises(UserCodeError, match=message):
        list(training)


@pytest.mark.parametrize(
    ("value", "outcome", "reason"),
    [
        ({"accuracy": "good"}, "failed", "accuracy of fold 0 is 'good'"),
        ({"accuracy": float("nan")}, "diverged", "accuracy of fold 0 is nan"),
        ({"accuracy": 1, "train_loss": float("inf")}, "diverged", "train_loss of fold 0 is inf"),
    ],
)
def test_odd_values_go_through_the_gate(value: object, outcome: str, reason: str) -> None:
    training = cross_validation(config("wrong", value=value))
    with closing(training):
        assert list(training) == []
    assert training.outcome == outcome
    assert reason in training.reason


def _check_predictions(training: CrossValidation, best: int) -> None:
    archive = training.result().predictions
    assert archive is not None
    found = np.load(io.BytesIO(archive))
    for number, fold in enumerate([classification(0), classification(1)]):
        rows = fold.valid_rows.numpy()
        assert np.array_equal(found[f"rows_{number}"], rows)
        expected = np.stack([rows, rows + best], 1)
        assert np.array_equal(found[f"outputs_{number}"], expected)


@pytest.mark.parametrize("function", ["predicts", "yields_predictions"])
def test_predictions_of_the_best_evaluation_are_kept(function: str, tmp_path: Path) -> None:
    with closing(cross_validation(config(function, scores=[0.3, 0.8, 0.5, 0.2]), tmp_path)) as cv:
        assert len(list(cv)) == 4
        _check_predictions(cv, best=1)
    kept = sorted(path.name for path in tmp_path.rglob("*.npy"))
    assert kept == ["1.npy", "1.npy", "3.npy", "3.npy"]


@pytest.mark.parametrize("saved_at", [None, 1, 2, 4])
@pytest.mark.parametrize("n_before", [1, 2, 3, 4])
def test_predictions_survive_a_kill(n_before: int, saved_at: int | None, tmp_path: Path) -> None:
    """Killed after so many evaluations, with a checkpoint of an earlier one or without."""
    trained = config("predicts", scores=[0.3, 0.2, 0.8, 0.5])
    state = None
    with closing(cross_validation(trained, tmp_path)) as killed:
        for n, _ in zip(range(1, n_before + 1), killed, strict=False):
            state = killed.state_dict() if n == saved_at else state
    with closing(cross_validation(trained, tmp_path)) as again:
        if state is not None:
            again.load_state_dict(state)
        list(again)
        _check_predictions(again, best=2)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([0.5], r"one row per validation row, shape \(\d+,\) .* but got shape \(1,\)"),
        (0.5, r"but got shape \(\)"),
        (["a", "b"], "predictions must be an array of numbers"),
    ],
)
def test_predictions_of_another_shape_are_told(value: object, message: str) -> None:
    training = cross_validation(config("mispredicts", value=value))
    with closing(training), pytest.raises(UserCodeError, match=message):
        list(training)


def test_a_training_without_a_report_fails() -> None:
    with closing(cross_validation(config("silent"))) as training:
        assert list(training) == []
    assert training.result().outcome == "failed"
    assert training.result().reason == "error: the training ended without a report"


def test_without_data_there_are_folds_without_rows() -> None:
    trained = config("sees", lr=0.5).model_copy(update={"data": DataSettings(source="none")})
    folds = NoData(ValidationSettings(folds=3)).folds()
    with closing(CrossValidation(trained, folds, CPU)) as training:
        [row] = list(training)
    assert [(e.score, e.lr, e.train_loss, e.epoch) for e in row] == [
        (number, 0.5, 0.1, 7) for number in range(3)
    ]


def test_what_cannot_be_called_is_found_first() -> None:
    assert "tunecli calls it as fit(config, fold, report), which" in own_build_error(
        config("too_few")
    )
    assert own_build_error(config("fit")) == ""
    folds = [classification()]
    assert "ended without a report" in rehearse_own(config("silent"), folds).error
    assert (
        "but must be a number"
        in rehearse_own(config("wrong", value={"accuracy": "x"}), folds).error
    )
    assert rehearse_own(config("fit", n=1), folds).error == ""


@pytest.mark.parametrize(
    ("epochs", "n", "once", "seconds"),
    [
        (10, 10, 20.0, 3 + 10 * 2),
        (1, 1, 20.0, 3 + 2),
        (None, 10, 20.0, 3 + 2),
        (10, 1, 20.0, 3 + 2),  # it ends after its first report
        (10, 10, 95.0, 10 * (95 + 3 + 2)),  # not waited for again
    ],
)
def test_what_a_process_does_once_is_no_time_of_a_trial(
    epochs: int | None, n: int, once: float, seconds: float
) -> None:
    trained = config("takes_time", n=n, once=once, fold=3.0, report=2.0)
    own = trained.training.model_copy(update={"epochs": epochs})
    trained = trained.model_copy(update={"training": own})
    folds = [classification(), classification(1)]
    now = import_user_code.load_object("own.py:fit").__globals__["NOW"]
    now[0] = 0.0
    found = rehearse_own(trained, folds, clock=lambda: float(now[0]))
    assert (found.error, found.seconds) == ("", 2 * seconds)


# The study file


def study(text: str) -> StudyFile:
    return StudyFile.from_text(text, "own.yaml")


def mistakes(text: str) -> list[str]:
    with pytest.raises(StudyFileError) as raised:
        study(text)
    return [f"{problem.path}: {problem.message}" for problem in raised.value.problems]


def test_model_and_data_are_optional() -> None:
    read = study("train: {own.py:fit: {lr: {float: [0, 1]}}}\nobjective: {maximize: reward}")
    completed = read.completed("regression", 0, ("test", "validation"))
    found = completed.resolve(lambda name, range_: 0.25)
    assert found.train == component("own.py:fit", lr=0.25)
    assert found.data.source == "none"
    assert [parameter.name for parameter in read.parameters] == ["train.fit.lr"]
    again = study(completed.to_yaml())
    assert again.completed("regression", 0, ("test", "validation")) == completed


def test_own_training_says_what_it_needs() -> None:
    assert mistakes("train: own.py:fit") == [
        "objective: required without data. Write {maximize: NAME}, where NAME is a metric that "
        "your train function reports."
    ]
    [text] = mistakes("data: iris\ntrain: own.py:fit\ntraining: {batch_size: 8}")
    assert "Write batch_size under train" in text
    [text] = mistakes("data: iris\ntrain: own.py:fit\nsearch: {pruner: Hyperband}")
    assert "write training: {epochs: …}" in text
    [text] = mistakes("data: iris\ntrain: fit")
    assert "'fit' is not the name of a function" in text


# Whole searches


STUDY = """
data: digits
validation: {folds: 2}
train: {own_training.py:fit: {lr: {float: [0.01, 0.5], log: true}, width: 16, epochs: 4}}
search: {trials: 3, parallel: 2}
"""


def table(folder: Path) -> list[dict[str, object]]:
    done = run_in(folder, "report", "own", "--json")
    trials: list[dict[str, object]] = json.loads(done.stdout)["trials"]
    return [{key: t[key] for key in ("value", "fold_scores", "params")} for t in trials]


@pytest.mark.slow
def test_a_search_that_is_killed_and_resumed_finds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    example = STUDIES / "own_training.py"
    slow = example.read_text().replace(
        "        is_best = report(", "        time.sleep(0.2)\n        is_best = report("
    )
    tables = []
    for name in ("whole", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "own_training.py").write_text("import time\n" + slow)
        (folder / "own.yaml").write_text(STUDY)
        words = ("search", "own.yaml", "--code", "own_training.py", "--jobs", "2", "--quiet")
        if name == "killed":
            begun = subprocess.Popen(command(*words), cwd=folder, env=environment())
            reports = folder / "runs" / "own" / "checkpoints" / "0" / "own" / "1" / "reports.jsonl"
            while not (reports.exists() and len(reports.read_text().splitlines()) >= 2):
                assert begun.poll() is None
                time.sleep(0.02)
            os.kill(begun.pid, signal.SIGKILL)
            begun.wait()
        run_in(folder, *words)
        tables.append(table(folder))
        assert not list((folder / "runs" / "own" / "checkpoints").glob("*"))
    assert tables[0] == tables[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["own_training", "fine_tuning", "own_parts", "lightning_training"]
)
def test_the_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "lightning_training" and find_spec("lightning") is None:
        pytest.skip("lightning is not installed, and no dependency")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    words = ("search", str(STUDIES / f"{name}.yaml"), "--code", str(STUDIES / f"{name}.py"))
    done = run_in(tmp_path, *words, "--trials", "1", "--jobs", "1")
    assert "1 complete" in done.stderr


@pytest.mark.filterwarnings("ignore")  # lightning's own
def test_a_trial_that_is_over_ends_lightning_s_trainer() -> None:
    pytest.importorskip("lightning")
    file = STUDIES / "lightning_training.py"
    import_user_code.permit(AllowedCode.of(STUDIES, [str(file)]))
    train = component("lightning_training.py:fit", lr=0.01, width=8, epochs=100)
    training = cross_validation(config("fit").model_copy(update={"train": train}))
    next(training)
    assert training.close()
