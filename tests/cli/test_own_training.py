"""A training loop of one's own from the search to predictions, and what it prints on the way."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from commands import run_in
from locations import STUDIES
from sklearn.datasets import load_digits

STUDY = """
data: digits
validation: {folds: 2}
train: {own_training.py:fit: {lr: {float: [0.01, 0.5], log: true}, width: 16, epochs: 3}}
search: {trials: 3, parallel: 2, baselines: false}
"""

PRINTS = """
import os, subprocess, sys, warnings

def fit(config, fold, report):
    print(f"print of {fold.study} {fold.trial}")
    print("\\x1b[31merror", file=sys.stderr)
    os.write(1, b"descriptor\\n")
    subprocess.run(["echo", "process"])
    warnings.warn("careful")
    for step in range(3):
        if fold.trial == 1:
            os.write(2, b"last words, cut o")
            os.kill(os.getpid(), 9)
        report({"reward": config["x"]})
    sys.stdout.write("unfinished")
"""

PRINTING = """
train: {prints.py:fit: {x: {float: [0, 1]}}}
objective: {maximize: reward}
search: {trials: 3, parallel: 1, attempts: 2}
"""


def texts(path: Path) -> list[str]:
    return [line.partition(" ")[2] for line in path.read_text().splitlines()]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.mark.slow
def test_the_example_goes_from_search_to_predict(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(STUDY)
    (tmp_path / "own_training.py").write_text((STUDIES / "own_training.py").read_text())
    allowed = ("--code", "own_training.py")
    run_in(tmp_path, "search", "own.yaml", *allowed, "--jobs", "2", "--quiet")
    study = json.loads(run_in(tmp_path, "report", "own", "--json").stdout)
    best = max(study["trials"], key=lambda trial: trial["value"])
    [kept] = (tmp_path / "runs" / "own" / "best").iterdir()
    assert kept.name == str(best["number"])
    models = sorted(path.relative_to(kept).as_posix() for path in kept.rglob("*.pt"))
    assert models == ["keep/0/model.pt", "keep/1/model.pt"]

    for option in ((), ("--as-searched",)):
        done = run_in(tmp_path, "refit", "own", *option)
        assert "test        accuracy 0.9" in done.stdout
        assert "weights" not in done.stdout
        predicted = run_in(tmp_path, "predict", "own", "digits", *allowed).stdout.split()
        assert predicted[0] == "prediction"
        assert len(predicted) == 1798
    refused = run_in(tmp_path, "refit", "own", "--ensemble", "2", code=1)
    assert "has those of no trial" in refused.stderr  # the example reports none
    pytest.importorskip("onnxscript")
    written = run_in(tmp_path, "export", "own", "--to", "onnx", *allowed, "-o", "own.onnx").stdout
    assert re.search(r"differs from the model by at most \de-\d\d on 256 rows\n", written)
    network = onnxruntime.InferenceSession(tmp_path / "own.onnx")  # the mean of two folds
    told = network.run(None, {"rows": load_digits().images[:, None].astype(np.float32)})[0].argmax(
        1
    )
    assert told.astype(str).tolist() == predicted[1:]
    refused = run_in(tmp_path, "export", "own", "--to", "safetensors", code=1)
    assert refused.stdout == ""
    [line] = refused.stderr.splitlines()
    assert "was trained by own_training.py:fit, your own code, so it cannot be written" in line


@pytest.mark.slow
def test_what_trials_print_is_in_their_logs_and_shown(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(PRINTING)
    (tmp_path / "prints.py").write_text(PRINTS)
    done = run_in(tmp_path, "search", "own.yaml", "--code", "prints.py", "--jobs", "1")
    logs = tmp_path / "runs" / "own" / "logs"
    said = ["\x1b[31merror", "descriptor", "process"]
    warning = f"warning: careful (UserWarning, {tmp_path / 'prints.py'}:9)"
    assert texts(logs / "trial-0.log") == ["print of own 0", *said[:3], warning, "unfinished"]
    died = ["print of own 1", *said, "last words, cut o"]
    mark = "--- the trial was started again or resumed ---"
    assert texts(logs / "trial-1.log") == [*died, mark, *died]
    assert texts(logs / "trial-2.log") == ["print of own 2", *said, "unfinished"]
    assert texts(logs / "warnings.log") == [warning]
    lines = done.stderr.splitlines()
    assert r"trial 0 │ \x1b[31merror" in lines
    assert lines.count(f"trial 0 │ {warning}") == 1
    # Of many lines within a second, the last ones are only counted.
    counted = r"trial 1 │ (last words, cut o|… \d+ more lines in runs/own/logs/trial-1\.log)"
    assert any(re.fullmatch(counted, line) for line in lines)
    assert done.stdout == ""

    shown = run_in(tmp_path, "report", "own", "--trial", "1").stdout
    where = "runs/own/logs/trial-1.log"
    reason = " ".join(shown.split())
    assert f"worker died: killed by SIGKILL; its last lines are in {where}" in reason
    assert f"End of {where}" in shown
    assert r"\x1b[31merror" in shown
    assert "\x1b[31m" not in shown
    run_in(tmp_path, "remove", "own")
    [moved] = (tmp_path / "runs" / ".trash").iterdir()
    assert (moved / "logs" / "trial-1.log").is_file()


UNSAVED = """
def fit(config, fold, report):
    report({"reward": config["x"]})
    raise ValueError("cannot save")
"""


@pytest.mark.slow
def test_a_model_that_cannot_be_saved_changes_no_trial(tmp_path: Path) -> None:
    study = PRINTING.replace("prints", "unsaved") + "training: {epochs: 1}\n"
    (tmp_path / "own.yaml").write_text(study)
    (tmp_path / "unsaved.py").write_text(UNSAVED)
    done = run_in(tmp_path, "search", "own.yaml", "--code", "unsaved.py", "--jobs", "1")
    told = "Trial 0: its models could not be kept: error: unsaved.py:fit: ValueError: cannot save"
    assert told in " ".join(done.stderr.split())
    trials = json.loads(run_in(tmp_path, "report", "own", "--json").stdout)["trials"]
    assert [trial["outcome"] for trial in trials] == ["complete"] * 3
    assert not [*(tmp_path / "runs" / "own").glob("best/*")]


@pytest.mark.slow
def test_quiet_prints_only_to_the_logs(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(PRINTING.replace("trials: 3", "trials: 1"))
    (tmp_path / "prints.py").write_text(PRINTS)
    done = run_in(tmp_path, "search", "own.yaml", "--code", "prints.py", "--quiet")
    assert "│" not in done.stderr
    assert (tmp_path / "runs" / "own" / "logs" / "trial-0.log").is_file()


DIES_WHILE_SAVING = """
import os, time

def fit(config, fold, report):
    for step in range(2):
        if report({"reward": config["x"] * (step + 1)}):
            (fold.keep / "model").write_text("a part of it")
            if step and config["end"] == "death":
                os.kill(os.getpid(), 9)
            if step and config["end"] == "timeout":
                time.sleep(100)
"""

SAVING = """
train: {saves.py:fit: {x: {choice: [0.25, 0.5, 0.75]}, end: END}}
training: {epochs: 2, max_time: 4s}
objective: {maximize: reward}
search: {trials: 3, parallel: 3, sampler: BruteForce, pruner: none, keep_models: 1}
"""


@pytest.mark.slow
@pytest.mark.parametrize(("end", "n_jobs"), [("death", "1"), ("timeout", "3")])
def test_no_outcome_depends_on_what_is_saved(tmp_path: Path, end: str, n_jobs: str) -> None:
    (tmp_path / "saves.py").write_text(DIES_WHILE_SAVING)
    (tmp_path / "own.yaml").write_text(SAVING.replace("END", end))
    options = ("--code", "saves.py", "--jobs", n_jobs)
    done = run_in(tmp_path, "search", "own.yaml", *options)
    trials = json.loads(run_in(tmp_path, "report", "own", "--json").stdout)["trials"]
    assert [(one["outcome"], one["reason"]) for one in trials] == [("complete", "")] * 3
    assert {one["value"] for one in trials} == {0.5, 1.0, 1.5}
    notices = re.findall(
        r"Trial (\d) is complete, but (.*) after its last evaluation", done.stderr
    )
    causes = {"death": "its worker died (killed by SIGKILL", "timeout": "it ran longer than "}
    assert notices
    assert all(cause.startswith(causes[end]) for _, cause in notices)
    assert [path.name for path in (tmp_path / "runs" / "own").glob("checkpoints/*")] == []
