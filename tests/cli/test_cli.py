from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from commands import (
    call_in,
    command,
    environment,
    processes_in,
    rows,
    run_in,
    table,
    wait_for,
)

TINY = """
data: iris
validation: {folds: 2}
model: {MLP: {width: {int: [4, 16]}, depth: 1}}
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
training: {epochs: 3}
search: {trials: 4, parallel: 2, pruner: none}
"""
LONG = TINY.replace("epochs: 3", "epochs: 3000")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return partial(call_in, tmp_path)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def searched_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("searched")
    (folder / "tiny.yaml").write_text(TINY)
    done = run_in(folder, "search", "tiny.yaml", "--jobs", "2")
    (folder / "stdout").write_text(done.stdout)
    (folder / "stderr").write_text(done.stderr)
    return folder


@pytest.fixture
def finished(searched_once: Path, tmp_path: Path) -> Path:
    """A folder with a study file and its finished study."""
    shutil.copytree(searched_once, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_help_names_every_command(tmp_path: Path) -> None:
    text = run_in(tmp_path, "--help").stdout
    assert "..." not in text.partition("Commands:")[2], "summaries fit into 80 columns"
    for name in ("search", "report", "check", "schema", "remove"):
        assert f" {name} " in text
        assert "Example: tunecli " in run_in(tmp_path, name, "--help").stdout


def test_a_search_tells_what_it_does_and_what_to_type_next(finished: Path) -> None:
    assert (finished / "stdout").read_text() == ""
    told = (finished / "stderr").read_text()
    assert told.startswith("tiny: ")
    assert "guessing" in told
    assert told.count("\ntrial ") == 4
    assert "tunecli report tiny" in told
    assert "\x1b" not in told
    events = (finished / "runs/tiny/events.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in events].count("TrialFinished") == 4


def test_a_report_in_every_form(finished: Path, run: Run) -> None:
    report = run("report", "tiny").stdout
    assert "search: {trials: 1}" in report
    assert "\x1b" not in report
    assert max(map(len, report.splitlines())) <= 80
    assert run("report", "tiny.yaml").stdout == report
    assert "Best: trial" in run("report", "tiny", "--all", "--wide").stdout
    assert "tiny" in run("report").stdout
    assert len(json.loads(run("report", "tiny", "--json").stdout)["trials"]) == 4
    assert len(run("report", "tiny", "--csv").stdout.splitlines()) == 5
    assert "Trial 2 of tiny" in run("report", "tiny", "--trial", "2").stdout


def test_one_trial_for_programs(finished: Path, run: Run) -> None:
    one = json.loads(run("report", "tiny", "--trial", "2", "--json").stdout)
    assert [trial["number"] for trial in one["trials"]] == [2]
    assert len(run("report", "tiny", "--trial", "2", "--csv").stdout.splitlines()) == 2


@pytest.mark.parametrize(
    "words",
    [
        ("report", "--json"),
        ("report", "tiny", "--json", "--csv"),
        ("search", "x.yaml", "--as", ""),
        ("search", "x.yaml", "--jobs", "2", "--jobs-per-gpu", "2"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words, code=2).stdout == ""


def test_trials_is_a_total(finished: Path, run: Run) -> None:
    again = run("search", "tiny.yaml")
    assert "tiny is already finished: 4 of 4 trials done." in again.stderr
    before = table(finished / "runs/tiny/study.db")
    more = run("search", "tiny.yaml", "--trials", "6")
    assert more.stderr.count("\ntrial ") == 2
    assert [row for row in table(finished / "runs/tiny/study.db") if row[0] in range(4)] == before


@pytest.mark.slow
def test_the_printed_best_study_reproduces_its_score(finished: Path, run: Run) -> None:
    study = json.loads(run("report", "tiny", "--json").stdout)
    best = max(study["trials"], key=lambda trial: (trial["value"], -trial["number"]))
    report = run("report", "tiny", "--trial", str(best["number"])).stdout
    printed = report[report.index("study: ") :]
    (finished / "again.yaml").write_text(printed)
    run("search", "again.yaml", "--runs", "elsewhere")
    name = printed.splitlines()[0].removeprefix("study: ")
    query = (
        "SELECT step, fold, score, train_loss FROM tunecli_curves JOIN trials USING (trial_id) "
        "WHERE number = {} ORDER BY step, fold"
    )
    again = rows(finished / "elsewhere" / name / "study.db", query.format(0))
    assert again == rows(finished / "runs/tiny/study.db", query.format(best["number"]))


def test_ten_mistakes_are_reported_at_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("data: digit\nmodel: MPL\noptimiser: {Adam: {}}\n")
    done = run("search", "bad.yaml", code=2)
    assert "bad.yaml:1:7: data: " in done.stderr
    assert "Did you mean `digits`?" in done.stderr
    assert "Did you mean `MLP`?" in done.stderr
    assert "Did you mean `optimizer`?" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("search", "none.yaml"), "none.yaml: cannot be read"),
        (("report", "nothing"), "nothing"),
        (("report", "nothing", "--json"), "nothing"),
        (("remove", "nothing"), "There is no study nothing in "),
        (("check", "none.yaml"), "none.yaml: cannot be read"),
    ],
)
def test_a_users_mistake_is_one_message(run: Run, words: tuple[str, ...], message: str) -> None:
    done = run(*words, code=2)
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("search", "tiny.yaml", "--storage", "nonsense"), 2, "must be a database URL"),
        (("report", "tiny", "--storage", "nonsense"), 2, "must be a database URL"),
        (("report", "--storage", "nonsense"), 2, "must be a database URL"),
        (("search", "tiny.yaml", "--storage", "mysql://me:secret@host/db"), 2, "MySQLdb"),
        (("remove", "tiny", "--storage", "mysql://me:secret@host/db"), 2, "MySQLdb"),
        (("search", "tiny.yaml", "--runs", "tiny.yaml"), 2, "tiny.yaml/tiny cannot be written"),
        (("search", "tiny.yaml", "--runs", "/proc/x"), 2, "/proc/x/tiny cannot be written"),
        (("remove", ".."), 2, "'..' is not a valid study name"),
        (("remove", "."), 2, "'.' is not a valid study name"),
        (("report", ".trash"), 2, "'.trash' is not a valid study name"),
    ],
)
def test_a_place_that_cannot_be_is_one_message(
    run: Run, tiny: Path, tmp_path: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    (tmp_path / "runs/other").mkdir(parents=True)
    done = run(*words, code=code)
    assert message in done.stderr
    assert "secret" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "tiny.yaml"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["other"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("epochs: 3", "epochs: 4", "training.epochs: 3 → 4"),
        ("data: iris", "data: wine", "data.source: iris → wine"),
        ("{folds: 2}", "{folds: 3}", "validation.folds: 2 → 3"),
        ("model: {MLP: {width", "model: {choice: {Linear: {}, MLP: {width", "model"),
        ("data: iris", "seed: 1\ndata: iris", "seed: 0 → 1"),
    ],
)
def test_an_edit_that_makes_scores_incomparable_is_refused(
    finished: Path, run: Run, old: str, new: str, told: str
) -> None:
    before = table(finished / "runs/tiny/study.db")
    text = TINY.replace(old, new)
    if "choice" in new:
        text = text.replace("depth: 1}}", "depth: 1}}}")
    (finished / "tiny.yaml").write_text(text)
    refused = run("search", "tiny.yaml", code=2)
    assert told in refused.stderr
    assert "--as NAME" in refused.stderr
    assert "--restart" in refused.stderr
    assert table(finished / "runs/tiny/study.db") == before


@pytest.mark.parametrize(
    ("edits", "told"),
    [
        ({"[4, 16]": "[4, 64]", "trials: 4": "trials: 6"}, "model.MLP.width: "),
        pytest.param(
            {"trials: 4": "trials: 6, sampler: Random"},
            "search.sampler: ",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"trials: 4": "trials: 6", "parallel: 2": "parallel: 4"},
            "search.parallel: 2 → 4",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_an_edit_that_keeps_scores_comparable_goes_on(
    finished: Path, run: Run, edits: dict[str, str], told: str
) -> None:
    before = table(finished / "runs/tiny/study.db")
    text = TINY
    for old, new in edits.items():
        text = text.replace(old, new)
    (finished / "tiny.yaml").write_text(text)
    assert told in run("search", "tiny.yaml").stderr
    after = table(finished / "runs/tiny/study.db")
    assert [row for row in after if row[0] < 4] == list(before)
    assert max(row[0] for row in after) == 5
    study = json.loads(run("report", "tiny", "--json").stdout)
    assert study["edits"][0]["first_trial"] == 4


@pytest.mark.slow
def test_as_and_restart_start_anew(run: Run, tiny: Path, tmp_path: Path) -> None:
    run("search", "tiny.yaml", "--trials", "2")
    run("search", "tiny.yaml", "--trials", "2", "--as", "beside", "--set", "training.epochs=1")
    assert (tmp_path / "runs/beside/study.db").exists()
    first = table(tmp_path / "runs/tiny/study.db")
    run("search", "tiny.yaml", "--trials", "2", "--restart", "--set", "training.epochs=1")
    assert table(tmp_path / "runs/tiny/study.db") != first
    (trash,) = (tmp_path / "runs/.trash").iterdir()
    assert table(trash / "study.db") == first


@pytest.mark.slow
def test_a_resume_without_set_goes_on_with_the_stored_one(run: Run, tiny: Path) -> None:
    run("search", "tiny.yaml", "--trials", "2", "--set", "training.epochs=1")
    assert (
        "Keeping --set training.epochs=1 from the last call"
        in run("search", "tiny.yaml", "--trials", "3").stderr
    )
    trials = json.loads(run("report", "tiny", "--json").stdout)["trials"]
    assert {trial["config"]["training"]["epochs"] for trial in trials} == {1}
    different = run("search", "tiny.yaml", "--set", "training.epochs=2", code=2)
    assert "training.epochs: 1 → 2" in different.stderr


def test_remove_moves_a_study_to_the_trash(finished: Path, run: Run) -> None:
    run("remove", "tiny")
    assert not (finished / "runs/tiny").exists()
    assert list((finished / "runs/.trash").glob("tiny-*/study.db"))
    run("report", "tiny", code=2)


@pytest.mark.slow
def test_another_storage(run: Run, tiny: Path, tmp_path: Path) -> None:
    storage = ("--storage", f"sqlite:///{tmp_path / 'all.db'}")
    run("search", "tiny.yaml", "--trials", "1", *storage)
    run("search", "tiny.yaml", "--trials", "1", "--as", "second", *storage)
    assert "second-0" in run("report", "second", *storage).stdout
    run("remove", "tiny", *storage)
    run("report", "tiny", *storage, code=2)
    assert "second-0" in run("report", "second", *storage).stdout


@pytest.mark.slow
def test_restart_with_another_storage_renames_the_study_there(
    run: Run, tiny: Path, tmp_path: Path
) -> None:
    storage = ("--storage", f"sqlite:///{tmp_path / 'all.db'}")
    run("search", "tiny.yaml", "--trials", "1", "--set", "training.epochs=1", *storage)
    run("search", "tiny.yaml", "--trials", "2", "--restart", *storage)
    study = json.loads(run("report", "tiny", "--json", *storage).stdout)
    assert [trial["config"]["training"]["epochs"] for trial in study["trials"]] == [3, 3]
    run("search", "tiny.yaml", "--trials", "1", "--as", "second", *storage)
    listed = run("report", *storage).stdout
    assert "tiny" in listed
    assert "second" in listed
    run("search", "tiny.yaml", "--trials", "2", "--as", "second", *storage)
    query = "SELECT value_json FROM study_user_attributes WHERE key LIKE 'tunecli:%s'"
    stored = rows(tmp_path / "all.db", query % "overrides") + rows(
        tmp_path / "all.db", query % "edits"
    )
    assert stored
    assert all(str(value).count("study=") <= 1 for (value,) in stored)


@pytest.mark.slow
def test_a_study_file_that_is_refused_leaves_the_old_study(finished: Path, run: Run) -> None:
    before = table(finished / "runs/tiny/study.db")
    text = TINY.replace("pruner: none", "pruner: {Percentile: {percentile: 150}}")
    (finished / "tiny.yaml").write_text(text)
    run("search", "tiny.yaml", "--restart", code=2)
    assert table(finished / "runs/tiny/study.db") == before


@pytest.mark.slow
def test_one_database_has_one_driver_wherever_it_is_started(run: Run, tmp_path: Path) -> None:
    storage = ("--storage", f"sqlite:///{tmp_path / 'all.db'}")
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tiny.yaml").write_text(LONG)
    process = subprocess.Popen(
        command("search", "tiny.yaml", "--jobs", "1", *storage),
        cwd=tmp_path / "first",
        env=environment(),
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for((tmp_path / "all.db").exists)
        done = run_in(tmp_path / "second", "search", "tiny.yaml", *storage, code=1)
        assert f"Study tiny is in use by process {process.pid} on " in done.stderr
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
    numbers = rows(tmp_path / "all.db", "SELECT number FROM trials")
    assert len(numbers) == len(set(numbers)) > 0


def test_optunas_own_tools_read_the_database(finished: Path, run: Run) -> None:
    storage = f"sqlite:///{finished / 'runs/tiny/study.db'}"
    code = "import sys; from optuna.cli import main; sys.exit(main())"
    words = ["best-trial", "--storage", storage, "--study-name", "tiny", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    best = json.loads(done.stdout)
    trials = json.loads(run("report", "tiny", "--json").stdout)["trials"]
    assert best["value"] == max(trial["value"] for trial in trials)
    assert best["params"] == trials[best["number"]]["params"]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.5, 2.0])
def test_ctrl_c_in_the_first_seconds_is_silent_and_leaves_no_process(
    tmp_path: Path, seconds: float
) -> None:
    (tmp_path / "tiny.yaml").write_text(LONG)
    process = subprocess.Popen(
        command("search", "tiny.yaml", "--jobs", "2"),
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for(lambda: _catches(process.pid, signal.SIGTERM), seconds=10)  # Python alone does not
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, told = process.communicate(timeout=30)
    assert "Traceback" not in told
    assert "Aborted" not in told
    assert process.returncode == 130
    wait_for(lambda: not processes_in(tmp_path), seconds=2)


def _catches(process: int, number: int) -> bool:
    """Whether a process has a handler of its own for a signal, where the system tells."""
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        time.sleep(0.5)
        return True
    caught = int(status.read_text().split("SigCgt:")[1].split()[0], 16)
    return bool(caught >> (number - 1) & 1)


def test_the_command_hears_signals_before_it_imports_anything_of_weight(tmp_path: Path) -> None:
    asked = (
        "import signal, sys; before = set(sys.modules); from tunecli import __main__, signals\n"
        "def hear():\n"
        "    print(*sorted(set(sys.modules) - before))\n"
        "    sys.exit()\n"
        "signals.leave_at_once = hear\n"
        "__main__.main()"
    )
    told = subprocess.run(
        [sys.executable, "-c", asked], cwd=tmp_path, env=environment(), capture_output=True
    )
    imported = set(told.stdout.decode().split())
    assert {name for name in imported if name.startswith("tunecli")} == {
        "tunecli",
        "tunecli.__main__",
        "tunecli.import_path",
        "tunecli.signals",
    }
    assert not {"dataclasses", "typer", "yaml", "inspect"} & imported


@pytest.mark.slow
def test_nohup_outlives_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(LONG)
    process = subprocess.Popen(
        ["nohup", *command("search", "tiny.yaml", "--jobs", "1")],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    events = tmp_path / "runs/tiny/events.jsonl"
    wait_for(lambda: events.exists() and "TrialEvaluated" in events.read_text())
    os.killpg(process.pid, signal.SIGHUP)
    told = events.read_text().count("TrialEvaluated")
    wait_for(lambda: events.read_text().count("TrialEvaluated") > told + 10)
    assert "WorkerDied" not in events.read_text()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130


def test_what_cannot_be_built_is_found_before_the_first_trial(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        "data: digits\nmodel: {choice: [MLP, alexnet]}\noptimizer: SGD\n"
    )
    done = run("search", "bad.yaml", "--quiet", code=2)
    assert "bad.yaml:2:23: model.alexnet: alexnet takes pictures of at least 63" in done.stderr
    assert not (tmp_path / "runs/bad/study.db").exists()
