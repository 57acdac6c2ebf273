from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from commands import call_in
from training_in_process import TrainingExecutor

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.workspace import Workspace
from tunecli.data.user_code.import_user_code import permit
from tunecli.database.write import StudyDatabase
from tunecli.errors import StudyFileError
from tunecli.search.workers.executor import EXECUTORS
from tunecli.search.workers.summarize_data import measuring_notes, refuse_what_cannot_be_measured
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.space.walk import first_value
from tunecli.study_file.study_file import StudyFile

BASE = """\
data: {source: t.csv, target: y, test: 0}
model: Linear
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
validation: {column: fold}
training: {epochs: 1}
search: {trials: 2, parallel: 2, baselines: false}
"""
NUMBERS = BASE.replace("target: y", "target: z")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Rows of which those that validate have one class and one value."""
    rows = [f"{i},{'yes' if i % 3 else 'no'},{i % 7},train" for i in range(20)]
    rows += [f"{20 + i},no,3,valid" for i in range(6)]
    (tmp_path / "t.csv").write_text("\n".join(["a,y,z,fold", *rows]) + "\n")
    (tmp_path / "m.py").write_text(
        "def half(y, p):\n    return 1 / (p == y).sum() if p.max() < 0 else float('inf')\n"
        "def fails(y, p):\n    raise ZeroDivisionError('nothing is above 0')\n"
    )
    return tmp_path


def looked_at(text: str, folder: Path) -> tuple[StudyFile, FoldStore]:
    code = AllowedCode.of(folder, ["m.py"])
    study = StudyFile.from_text(text, "a.yaml", (), folder, code)
    permit(code)
    workspace = Workspace(folder, code=code)
    store = FoldStore(study.data, study.validation, workspace)
    dataset = store.dataset
    return study.completed(dataset.task, len(dataset.y), dataset.given), store


def refusal(text: str, folder: Path) -> str:
    study, store = looked_at(text, folder)
    try:
        refuse_what_cannot_be_measured(study, study.resolve(lambda _, r: first_value(r)), store)
    except StudyFileError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        (BASE + "objective: {maximize: roc_auc}\n", "7:23: objective.maximize", "class 'yes'"),
        (BASE + "objective: {maximize: mcc}\n", "7:23: objective.maximize", "to one class"),
        (NUMBERS + "objective: {maximize: r2}\n", "7:23: objective.maximize", "targets are equal"),
        (
            BASE + "objective: [{maximize: f1}, {maximize: roc_auc}]\n",
            "7:40: objective[1].maximize",
            "fold 0",
        ),
        (BASE + "constraints: {roc_auc: {min: 0.5}}\n", "7:15: constraints.roc_auc", "fold 0"),
    ],
)
def test_what_cannot_tell_trials_apart_is_refused_at_its_line(
    text: str, place: str, why: str, folder: Path
) -> None:
    found = refusal(text, folder)
    assert found.startswith(f"a.yaml:{place}: ")
    assert why in found


@pytest.mark.parametrize("metric", ["accuracy", "f1", "balanced_accuracy", "recall"])
def test_what_one_class_has_a_value_of_may_be_searched_by(metric: str, folder: Path) -> None:
    assert refusal(f"{BASE}objective: {{maximize: {metric}}}\n", folder) == ""


def test_log_loss_and_rmse_have_a_value_of_any_rows(folder: Path) -> None:
    assert refusal(BASE + "objective: {minimize: log_loss}\n", folder) == ""
    assert refusal(NUMBERS, folder) == ""


def test_shown_metrics_and_those_of_the_user_are_noted(folder: Path) -> None:
    study, store = looked_at(BASE + "metrics: [roc_auc, 'm.py:half', 'm.py:fails']\n", folder)
    notes = measuring_notes(study.resolve(lambda _, r: first_value(r)), store)
    assert [note.partition(":")[0] for note in notes] == [
        "roc_auc is not defined everywhere",
        "half is not finite if every prediction is the same constant",
        "fails is not finite if every prediction is the same constant",
    ]
    assert "ZeroDivisionError: nothing is above 0" in notes[2]


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `search` train in this process."""
    monkeypatch.setitem(EXECUTORS, "local", TrainingExecutor)
    monkeypatch.setattr("tunecli.search.workers.local.start_server", lambda: None)


@pytest.mark.usefixtures("training")
def test_every_form_of_the_report_shows_that_a_metric_is_not_defined(folder: Path) -> None:
    (folder / "s.yaml").write_text(BASE + "metrics: [roc_auc, log_loss, 'm.py:half']\n")
    call_in(folder, "search", "s.yaml", "--quiet", "--code", "m.py")
    report = call_in(folder, "report", "s").stdout
    assert "roc_auc not defined" in report
    assert "roc_auc is not defined in fold 0: it needs rows of every class" in report
    assert "half is not defined in fold 0: its value is inf." in report
    assert "roc_auc not defined" in call_in(folder, "report", "s", "--trial", "1").stdout
    assert "roc\\_auc is not defined" in call_in(folder, "report", "s", "--markdown").stdout
    told = call_in(folder, "report", "s", "--json").stdout
    trial = json.loads(told, parse_constant=lambda word: pytest.fail(word))["trials"][0]
    assert trial["metrics"]["roc_auc"] is None
    assert [*trial["undefined"]] == ["roc_auc", "half"]
    assert trial["metrics"]["half"] is None
    rows = [*csv.DictReader(io.StringIO(call_in(folder, "report", "s", "--csv").stdout))]
    assert (
        {row["metric.roc_auc"] for row in rows} == {row["metric.half"] for row in rows} == {"nan"}
    )
    call_in(folder, "report", "s", "--html", "s.html")
    page = (folder / "s.html").read_text()
    assert "not defined" in page
    assert ">inf<" not in page
    call_in(folder, "search", "s.yaml", "--as", "t", "--quiet", "--code", "m.py")
    for form in ((), ("--json",), ("--markdown",), ("--html", "x.html")):
        call_in(folder, "report", "s", "t", *form)


@pytest.mark.usefixtures("training")
def test_a_refit_tells_of_a_test_that_a_metric_does_not_measure(folder: Path) -> None:
    with (folder / "t.csv").open("a") as file:
        file.write("".join(f"{50 + i},no,{i},train\n" for i in range(30)))
    text = BASE.replace("test: 0", "test: v.csv") + "metrics: [roc_auc, 'm.py:fails']\n"
    text = text.replace("'m.py:fails'", "'m.py:half'")
    (folder / "v.csv").write_text("a,y,z,fold\n" + "".join(f"{i},no,1,train\n" for i in (81, 82)))
    (folder / "s.yaml").write_text(text)
    call_in(folder, "search", "s.yaml", "--quiet", "--code", "m.py")
    told = call_in(folder, "refit", "s.yaml", "--code", "m.py").stdout
    assert "roc_auc is not defined on the test rows" in told
    card = (folder / "runs/s/model/README.md").read_text()
    assert "| roc_auc | not defined | not defined |" in card
    assert "half is not defined on the test rows: it gave no finite number." in card
    metrics = json.loads((folder / "runs/s/model/metrics.json").read_text())
    assert metrics["test"]["roc_auc"]["score"] is None


@pytest.mark.usefixtures("training")
@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("optimizer: {SGD: {lr: {float: [1e37, 2e38]}}}", "Stopped: all trials diverged."),
        ("constraints: {n_weights: {max: 1}}", "Stopped: no trial met the limits."),
    ],
)
def test_a_search_without_a_value_does_not_end_well(part: str, told: str, folder: Path) -> None:
    kept = [line for line in BASE.splitlines() if line.split(":")[0] != part.split(":")[0]]
    (folder / "s.yaml").write_text("\n".join([*kept, part]).replace("epochs: 1", "epochs: 3"))
    found = call_in(folder, "search", "s.yaml", "--quiet", code=1)
    assert told in found.stderr


@pytest.mark.usefixtures("training")
def test_a_search_keeps_no_model_if_it_is_told_to(folder: Path) -> None:
    (folder / "s.yaml").write_text(BASE)
    call_in(folder, "search", "s.yaml", "--quiet", "--set", "search.keep_models=0")
    assert not (folder / "runs/s/best").exists()


@pytest.mark.usefixtures("training")
def test_the_end_of_a_search_lists_its_front(folder: Path) -> None:
    goals = "objective: [{maximize: accuracy}, {minimize: n_weights}]\n"
    (folder / "s.yaml").write_text(BASE + goals)
    told = call_in(folder, "search", "s.yaml", "--quiet").stderr
    assert "front       " in told
    assert "trial 0  accuracy " in told
    assert "n_weights " in told


@pytest.mark.usefixtures("training")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--runs", ""), "the folder must not be empty"),
        (("--as", ""), "--as requires a name"),
        (("--as", "none"), "--as requires a name"),
        (("--timeout", "0"), "search.timeout: must be above 0"),
        (("--trials", "0"), "'--trials'"),
        (("--storage", "word"), "--storage must be a database URL"),
    ],
)
def test_options_that_are_empty_or_wrong_are_refused(
    options: tuple[str, ...], told: str, folder: Path
) -> None:
    (folder / "s.yaml").write_text(BASE)
    assert told in call_in(folder, "search", "s.yaml", "--quiet", *options, code=2).stderr
    assert not (folder / "runs").exists()


@pytest.mark.usefixtures("training")
def test_options_that_are_off_are_left_out(folder: Path) -> None:
    (folder / "s.yaml").write_text(BASE)
    off = ("--storage", "", "--timeout", "")
    call_in(folder, "search", "s.yaml", "--quiet", *off)
    assert (folder / "runs/s/study.db").is_file()
    assert "s: maximize accuracy" in call_in(folder, "report", "s", "--storage", "none").stdout


@pytest.mark.usefixtures("training")
def test_a_study_whose_empty_test_meant_a_fifth_is_not_resumed_without_one(folder: Path) -> None:
    (folder / "s.yaml").write_text(BASE.replace("test: 0", "test: null"))
    call_in(folder, "search", "s.yaml", "--quiet")
    database = StudyDatabase.open(f"sqlite:///{folder}/runs/s/study.db", "s")
    assert database is not None
    summary = database.attribute("summary")
    assert summary["n_test"] == 0
    database.set_attributes({"summary": {**summary, "n_test": 5}})
    database.close()
    told = call_in(folder, "search", "s.yaml", "--quiet", "--trials", "4", code=2).stderr
    assert "holds out 5 test rows, but its data.test is off" in told
