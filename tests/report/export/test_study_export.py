from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, strategies
from optuna.distributions import CategoricalDistribution
from planted_studies import Plant, planted
from study_makers import SUMMARY, adjustment_of, complete, made, mlp

from tunecli.database import urls
from tunecli.database.records import StudyRecord, read_study
from tunecli.model_folder.format import predicting
from tunecli.report.export import study_export
from tunecli.report.export.study_export import json_pieces, study_json, to_csv
from tunecli.report.findings.space.losing_options import isolations
from tunecli.report.phrases import foreign_text
from tunecli.training.outcome.evaluation import TrialResult

NASTY = 'a,"b"\n=1+1\x1b[31m'


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyRecord:
    nasty = {NASTY: (NASTY, CategoricalDistribution([NASTY, "b"]))}
    trials = [
        (mlp(0.1), complete(0.9, 0.8, metrics={"f1": 0.25, "roc_auc": math.nan})),
        (mlp(0.2, optimizer=None), TrialResult("failed", NASTY, traceback="Traceback")),
        (nasty, complete(0.5)),
        (mlp(0.3), None),
    ]
    look = {"trial": 0, "at": "2026-01-01T00:00:00+00:00", "score": 0.8, "low": 0.7, "high": 0.9}
    folder = tmp_path_factory.mktemp("export")
    attributes = {"test_looks": [look], "adjustment": asdict(adjustment_of(0))}
    return read_study(made(folder, trials, attributes=attributes))


def test_json_holds_everything(study: StudyRecord) -> None:
    whole = json.loads(study_json(study))
    assert whole["format"] == 2
    assert (whole["name"], whole["metric"], whole["direction"]) == (
        "digits",
        "accuracy",
        "maximize",
    )
    assert whole["best"] == 0
    (other,) = whole["standings"]["trials"]  # without fold scores
    assert other == {"number": 2, "verdict": "", **dict.fromkeys(("better", "equal", "worse"))}
    assert whole["counts"]["complete"] == 2
    assert whole["summary"] == json.loads(json.dumps(asdict(SUMMARY)))
    for stored, trial in zip(whole["trials"], study.trials, strict=True):
        assert stored["params"] == dict(trial.params)
        assert list(stored["params"]) == list(trial.params)
        assert stored["config"] == trial.config
        assert stored["value"] == trial.value
        assert stored["reason"] == trial.reason
        assert tuple(stored["fold_scores"]) == trial.fold_scores
        assert stored["ranges"].keys() == trial.ranges.keys()
        assert stored["start"] == trial.start.isoformat()
        curve = study.curve(trial)
        assert tuple(stored["curve"]["score"]) == curve.score
        assert [tuple(fold["train_loss"]) for fold in stored["curve"]["folds"]] == [
            fold.train_loss for fold in curve.folds
        ]
    assert whole["adjustment"] == json.loads(json.dumps(asdict(adjustment_of(0))))
    first = whole["trials"][0]
    assert first["metrics"] == {"f1": 0.25, "roc_auc": None}
    assert first["ranges"]["optimizer"] == {"choices": ["SGD", "AdamW", None]}
    assert first["ranges"]["model.MLP.width"] == {"low": 8, "high": 256, "log": True, "step": 1}


def test_every_key_of_the_json_is_described(study: StudyRecord) -> None:
    described = set(re.findall(r"\w+", study_export.__doc__ or ""))
    (choice,) = isolations(planted(Plant(optimizers={"SGD": -0.03, "AdamW": 0.0}), 0))
    isolation, whole = asdict(choice), json.loads(study_json(study))
    objects = [whole, *whole["trials"], *(trial["curve"] for trial in whole["trials"])]
    objects += [isolation, *isolation["branches"], *isolation["behind"], whole["importance"]]
    objects += [*whole["objectives"], *whole["test_looks"], *whole["findings"]]
    objects.append(whole["adjustment"])
    assert isolation["behind"]
    assert whole["test_looks"]
    assert {key for one in objects for key in one} <= described


def test_json_is_json(study: StudyRecord) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(study_json(study), parse_constant=refuse)


def test_json_in_pieces_is_that_of_the_whole(
    study: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = study_json(study)
    for n_trials in (1, 3, 4):
        monkeypatch.setattr(study_export, "_PART", n_trials)
        monkeypatch.setattr(study_export, "_PIECE", 7 * n_trials)
        pieces = [*json_pieces(study)]
        assert len(pieces) > 10
        assert "".join(pieces) == whole
    told = json.loads(whole)["trials"]
    assert [trial["number"] for trial in told] == [0, 1, 2, 3]
    assert [len(trial["curve"]["folds"]) for trial in told] == [2, 0, 1, 0]


def test_a_password_does_not_leave_the_house() -> None:
    url = "postgresql://me:secret@host/base"
    assert "secret" not in urls.without_password(url)
    assert "secret" not in urls.display_url(url)


def test_csv_reads_back(study: StudyRecord) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(study), newline="")))
    assert len(rows) == len(study.trials)
    for row, trial in zip(rows, study.trials, strict=True):
        assert int(row["number"]) == trial.number
        assert row["state"] == trial.state
        assert row["reason"] == foreign_text.plain(trial.reason)
        assert row["value"] == ("" if trial.value is None else repr(trial.value))
        for name, value in trial.params.items():
            written = "none" if value is None else foreign_text.plain(str(value))
            assert row[f"param.{foreign_text.plain(name)}"] == written
        for number, score in enumerate(trial.fold_scores):
            assert float(row[f"fold.{number}"]) == score
    assert rows[0]["metric.f1"] == "0.25"
    assert rows[0]["param.optimizer.None.lr"] == ""
    assert rows[2]["fold.1"] == ""
    assert rows[2][f"param.{foreign_text.plain(NASTY)}"] == foreign_text.plain(NASTY)


def test_an_empty_study(tmp_path: Path) -> None:
    study = read_study(made(tmp_path, []))
    assert json.loads(study_json(study))["trials"] == []
    assert to_csv(study).count("\n") == 1


def test_a_single_fold_has_an_empty_spread(tmp_path: Path) -> None:
    one = read_study(made(tmp_path, [(mlp(0.1), complete(0.9)), (mlp(0.1), complete(0.9, 0.9))]))
    assert [trial["spread"] for trial in json.loads(study_json(one))["trials"]] == [None, 0.0]
    rows = list(csv.DictReader(io.StringIO(to_csv(one))))
    assert [row["spread"] for row in rows] == ["", "0.0"]


FORMULAS = [
    "=1+1",
    "@SUM(A1)",
    "+cmd|'/c calc'!A0",
    "-2+3",
    " =1",
    "\t=1",
    "\r=1",
    "=\x1b[31m",
    "-",
    "\uff1d1",
]
HARMLESS = ["-0.5", "+1e-3", "-inf", "plain", "a=b", "1-2", "", "ünï"]


@pytest.mark.parametrize("text", [*FORMULAS, *HARMLESS, "\x1b[2J", "a\u202eb", "two\nlines"])
def test_no_cell_of_foreign_text_is_a_formula_or_moves_a_cursor(text: str) -> None:
    found = foreign_text.cell(text)
    assert found.isprintable()
    assert (found[:1] == "'") == (text in FORMULAS and text[0] not in "\t\r")
    assert found == text or text not in HARMLESS
    try:
        float(found)
    except ValueError:
        assert not found.lstrip().startswith(("=", "+", "-", "@"))


@given(strategies.text())
def test_that_holds_for_all_text(text: str) -> None:
    found = foreign_text.cell(text)
    assert found.isprintable()
    assert found.lstrip()[:1] not in tuple("=@")
    assert foreign_text.cell(found) == found


def test_predictions_are_written_by_the_same_rule() -> None:
    frame = pd.DataFrame({"prediction": ["=1+1", "a", "-1"], "probability_\x1b[2J": [-0.5, 1, 2]})
    out = io.StringIO()
    predicting.write_csv([frame], out)
    written = "prediction,probability_\\x1b[2J\n'=1+1,-0.5\na,1.0\n-1,2.0\n"
    assert out.getvalue() == written


@pytest.mark.parametrize("value", [-0.5, -3, True, None])
def test_numbers_stay_numbers(value: object) -> None:
    assert foreign_text.cell(value) is value
