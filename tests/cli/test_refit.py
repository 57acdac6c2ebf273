"""The commands refit and predict, and what a report tells of the test set afterwards."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import call_in
from study_makers import complete, made, mlp

import tunecli
from tunecli.data.rows.workspace import Workspace
from tunecli.database.records import StudyRecord, read_study
from tunecli.database.urls import sqlite_url
from tunecli.errors import RefitError
from tunecli.model_folder.find import origin
from tunecli.model_folder.refit_study import _refuse_other_code, _refuse_other_models
from tunecli.model_folder.select_trial import by_name as chosen
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.catalogue.code_hashes import content_hash
from tunecli.study_file.catalogue.model_files import model_files
from tunecli.study_file.settings.code_names import CodeName
from tunecli.study_file.settings.settings import Component
from tunecli.training.outcome.evaluation import TrialResult

STUDY = """
data: {source: table.csv, target: y}
validation: {folds: 2}
model: {MLP: {width: {int: [4, 16]}}}
optimizer: {AdamW: {lr: 0.01}}
training: {epochs: 2}
search: {trials: 2}
"""


def table(folder: Path, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=100)
    frame = pd.DataFrame(
        {"x": x, "z": rng.choice(["a", "b"], 100), "y": np.where(x > 0, "p", "q")}
    )
    frame.to_csv(folder / "table.csv", index=False)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("searched")
    table(folder)
    (folder / "small.yaml").write_text(STUDY)
    call_in(folder, "search", "small.yaml", "--jobs", "1", "--quiet")
    return folder


FLAT = """
data: {source: digits, scale: standard, test: 0.3}
validation: {folds: 3}
model: {MLP: {width: 64, depth: 1}}
optimizer: {AdamW: {lr: 0.02}}
schedule: SCHEDULE
training: {epochs: 12, batch_size: 32}
objective: {maximize: accuracy, tolerance: 0.5}
search: {trials: 1, baselines: false}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schedule", "end"),
    [
        (
            "CosineAnnealingLR",
            "evaluation 12, the last one, where the learning rate is lowest; in the search it was "
            "practically equal to the best one, evaluation {best}",
        ),
        ("none", "evaluation {best}, the best one of the search"),
    ],
)
def test_a_refit_trains_to_an_equal_end_of_a_schedule(
    schedule: str, end: str, tmp_path: Path
) -> None:
    (tmp_path / "flat.yaml").write_text(FLAT.replace("SCHEDULE", schedule))
    call_in(tmp_path, "search", "flat.yaml", "--jobs", "1", "--quiet")
    best = read_study(sqlite_url(tmp_path / "runs/flat/study.db"), "flat").trial(0).best_step
    assert best is not None
    assert best < 11
    shown = call_in(tmp_path, "refit", "flat").stdout
    assert f"weights     of {end.format(best=best + 1)}\n" in shown


@pytest.mark.slow
def test_from_search_to_predictions(searched: Path) -> None:
    done = call_in(searched, "refit", "small", "--seeds", "2")
    assert "training on all rows outside the test set" in done.stderr
    first = done.stdout
    assert "test        accuracy" in first
    assert "over 2 training runs" in first
    assert "times so far" not in first
    folder = searched / "runs" / "small" / "model"
    metrics = json.loads((folder / "metrics.json").read_text())
    confusion = np.array(metrics["confusion"])
    assert confusion.sum() == metrics["n_test"] == 20
    score = metrics["test"]["accuracy"]
    assert score["score"] == confusion.trace() / confusion.sum()
    as_searched = (metrics["test_unadjusted"] or metrics["test"])["accuracy"]
    assert "have been scored" not in (folder / "README.md").read_text()

    told = call_in(searched, "predict", "small", "table.csv", "--proba").stdout
    found = pd.read_csv(StringIO(told))
    assert list(found.columns) == ["prediction", "probability_p", "probability_q"]
    assert len(found) == 100
    model = tunecli.load(folder)
    np.testing.assert_array_equal(found["prediction"], model.predict(searched / "table.csv"))
    call_in(searched, "predict", str(folder), "table.csv", "-o", "out.parquet")
    assert pd.read_parquet(searched / "out.parquet")["prediction"].equals(found["prediction"])

    call_in(searched, "predict", "small", "table.csv", "-o", "kept.csv", "--keep", "z")
    assert [*pd.read_csv(searched / "kept.csv").columns] == ["z", "prediction"]

    done = call_in(searched, "refit", "small.yaml", "--trial", "0")
    again = done.stdout
    assert "The earlier model was moved to runs/small/model-1." in done.stderr
    assert (folder.parent / "model-1" / "metrics.json").read_text() == json.dumps(
        metrics, indent=1
    ) + "\n"
    assert "test set    scored 2 times so far" in again
    assert "scored 2 times on the test set" in (folder / "README.md").read_text()
    report = call_in(searched, "report", "small").stdout
    assert "scored 2 times" in report
    looks = json.loads(call_in(searched, "report", "small", "--json").stdout)["test_looks"]
    assert looks[0]["score"] == as_searched["score"]
    assert (looks[0]["low"], looks[0]["high"]) == (as_searched["low"], as_searched["high"])


@pytest.mark.slow
def test_a_model_elsewhere_is_found_by_its_folder(searched: Path) -> None:
    done = call_in(searched, "refit", "small", "--trial", "1", "-o", "models/mine")
    assert done.stdout.endswith("model       models/mine\n")
    assert "moved" not in done.stderr
    predicted = call_in(searched, "predict", "models/mine", "table.csv")
    assert len(predicted.stdout.splitlines()) == 101
    assert predicted.stderr == "stdout: 100 rows, column `prediction`\n"
    call_in(searched, "export", "models/mine", "--to", "safetensors")
    assert (searched / "models" / "mine.safetensors").is_file()
    (searched / "models" / "mine" / "notes.txt").write_text("mine")
    refused = call_in(searched, "refit", "small", "-o", "models/mine", code=1)
    assert "models/mine cannot be replaced: it contains 'notes.txt'" in refused.stderr
    assert "training on all rows" not in refused.stderr


@pytest.mark.slow
def test_what_the_search_did_not_keep_is_refused_before_anything_is_said(searched: Path) -> None:
    [kept] = (searched / "runs" / "small" / "best").iterdir()
    other = str(1 - int(kept.name))
    refused = call_in(searched, "refit", "small", "--trial", other, "--as-searched", code=1)
    assert "has no models to average" in refused.stderr
    assert "averaging" not in refused.stderr


@pytest.mark.slow
def test_a_folder_that_only_has_the_name_of_the_study_is_not_the_study(searched: Path) -> None:
    call_in(searched, "refit", "small", "-o", "other/small/mine")
    assert origin(searched / "other" / "small" / "mine", searched / "runs")[0] == searched / "runs"


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        (".", "must be a separate folder"),
        ("a/../..", "separate folder"),
        ("", "must not be empty"),
    ],
)
def test_a_folder_that_cannot_be_a_models(tmp_path: Path, folder: str, message: str) -> None:
    refused = call_in(tmp_path, "refit", "small", "-o", folder, code=2)
    assert message in " ".join(refused.stderr.replace("│", " ").split())


@pytest.mark.slow
@pytest.mark.parametrize("way", [(), ("--as-searched",)])
def test_other_data_than_that_of_the_search_is_refused_before_anything_is_said(
    searched: Path, way: tuple[str, ...]
) -> None:
    table(searched, seed=1)
    told = " ".join(call_in(searched, "refit", "small", *way, code=1).stderr.split())
    assert told.startswith("the data table.csv has changed since study small was searched")
    table(searched)


@pytest.mark.parametrize("imported", [False, True])
def test_other_code_than_that_of_the_search_is_refused(tmp_path: Path, imported: bool) -> None:
    (tmp_path / "helper.py").write_text("RATE = 0.1\n")
    code = tmp_path / "own.py"
    code.write_text("import helper\n" if imported else "")
    allowed = AllowedCode.of(tmp_path, [str(code)])
    record = StudyRecord(
        "",
        1,
        "own",
        "accuracy",
        "maximize",
        code={"own.py": str(allowed.hash_of(CodeName("own.py", "Net")))},
        loaded_code={"helper.py": content_hash(tmp_path / "helper.py")} if imported else {},
    )
    _refuse_other_code(record, Workspace(tmp_path, None, allowed))
    changed = tmp_path / ("helper.py" if imported else "own.py")
    changed.write_text("RATE = 0.2\n")
    now = AllowedCode.of(tmp_path, [str(code)])
    with pytest.raises(RefitError, match=rf"{changed.name} has changed since study own was sear"):
        _refuse_other_code(record, Workspace(tmp_path, None, now))
    _refuse_other_code(record, Workspace(tmp_path, None, AllowedCode(tmp_path)))  # nothing runs


def test_other_word_vectors_than_those_of_the_search_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("good 1 2\n")
    record = StudyRecord("", 1, "text", "accuracy", "maximize")
    known = replace(record, model_files=model_files(["words.txt"], tmp_path, {}))
    model = Component(name="TextCNN", arguments={"vectors": "words.txt"})
    _refuse_other_models(known, model, tmp_path)
    file.write_text("good 1 3\n")
    with pytest.raises(RefitError, match=r"^words.txt has changed since study text was searched"):
        _refuse_other_models(known, model, tmp_path)
    _refuse_other_models(known, Component(name="TextCNN"), tmp_path)
    _refuse_other_models(record, model, tmp_path)  # a study of an earlier version


@pytest.mark.slow
def test_what_is_not_there_is_told(searched: Path) -> None:
    missing = call_in(searched, "predict", "none", "table.csv", code=1)
    assert "model 'none' does not exist" in missing.stderr
    told = call_in(searched, "predict", "small", "table.csv", "-o", "out.txt", code=2).stderr
    assert "must end in .csv or .parquet" in told


def test_which_trial_is_meant(tmp_path: Path) -> None:
    pruned = TrialResult("pruned", "pruned", value=0.5, best_step=1, fold_scores=(0.5, 0.5))
    few = complete(0.919, 0.879, n_weights=10)  # a quarter of the spread behind, at most
    url = made(
        tmp_path,
        [
            (mlp(0.1), complete(0.92, 0.88)),
            (mlp(0.2), few),
            (mlp(0.3), pruned),
            (mlp(0.4), None),
        ],
    )
    study = read_study(url)
    assert chosen(study, "best").number == 0
    assert chosen(study, "simplest").number == 1
    assert chosen(study, "1").number == 1
    with pytest.raises(RefitError, match="trial 2 is pruned, but only a complete trial"):
        chosen(study, "2")
    with pytest.raises(RefitError, match="trial 3 is running"):
        chosen(study, "3")
    with pytest.raises(RefitError, match="best, simplest or a number, got 'worst'"):
        chosen(study, "worst")


def test_a_study_without_a_complete_trial_has_no_best(tmp_path: Path) -> None:
    study = read_study(made(tmp_path, [(mlp(0.1), None)]))
    with pytest.raises(RefitError, match="no complete trial yet"):
        chosen(study, "best")


BUNDLED = """
data: wine
validation: {folds: 2}
model: {MLP: {width: {int: [4, 8]}}}
optimizer: {AdamW: {lr: 0.01}}
training: {epochs: 2}
search: {pruner: none}
"""


@pytest.mark.slow
def test_a_study_outlives_the_folder_that_it_was_searched_from(tmp_path: Path) -> None:
    """Data that ships with scikit-learn is found from anywhere; a table is not."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "tiny.yaml").write_text(BUNDLED)
    (home / "own.csv").write_text("a,b\n" + "".join(f"{i},{i % 2}\n" for i in range(40)))
    (home / "own.yaml").write_text(BUNDLED.replace("wine", "{source: own.csv, target: b}"))
    for name in ("tiny", "own"):
        call_in(tmp_path, "search", f"home/{name}.yaml", "--trials", "1")
    shutil.rmtree(home)
    call_in(tmp_path, "refit", "tiny")
    assert "whose folder does not exist here" in call_in(tmp_path, "refit", "own", code=1).stderr
