"""A study as DataFrames and figures: held against the record and the CSV."""

from __future__ import annotations

import io
import json
import math
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from page_studies import two_objectives, usual
from planted_studies import Plant, planted
from study_makers import complete, made, mlp

import tunecli
from tunecli.database.urls import sqlite_url
from tunecli.errors import (
    DatabaseError,
    MissingPackageError,
    StudyFileError,
    StudyNotFoundError,
    UserError,
)
from tunecli.notebook.frames import BASELINES, CURVES, FINDINGS, FOLDS, findings_frame
from tunecli.notebook.loaded_study import LoadedStudy, load_study
from tunecli.report.export.study_export import study_json, to_csv
from tunecli.report.findings.all_findings import all_findings
from tunecli.report.page.plots.plot import PALETTES

BASELINE = {
    "name": "logistic regression",
    "fold_scores": [0.7, 0.8],
    "seconds": 0.5,
    "metrics": {"f1": 0.6},
}
UNSCORED = {"name": "gradient-boosted trees", "note": "took too long"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    made(folder / "digits", usual(), attributes={"baselines": [BASELINE, UNSCORED]})
    return folder


@pytest.fixture(scope="module")
def study(runs: Path) -> LoadedStudy:
    return load_study("digits", runs)


def test_a_study_is_found_by_name_by_file_and_by_folder(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "digits.yaml"
    file.write_text("data: digits\nmodel: MLP\noptimizer: AdamW\n")
    monkeypatch.chdir(runs.parent)
    for named in ("digits", Path(runs.name, "digits"), f"{runs.name}/digits", file, str(file)):
        assert load_study(named, runs.name).record == load_study("digits", runs).record
    url = sqlite_url(runs / "digits" / "study.db")
    assert load_study("digits", storage=url).record == load_study("digits", runs).record


def test_another_current_folder_does_not_matter_later(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(runs)
    study = load_study("digits", ".")
    monkeypatch.chdir(tmp_path)
    assert len(study.curves)


def test_tunecli_offers_it() -> None:
    assert tunecli.load_study is load_study


def test_what_is_not_there_is_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyNotFoundError, match="other"):
        load_study("other", runs)
    with pytest.raises(StudyNotFoundError, match="not a valid study name"):
        load_study("..", tmp_path)
    with pytest.raises(StudyNotFoundError, match=r"study\.db"):
        load_study(tmp_path)
    with pytest.raises(StudyFileError, match=r"none\.yaml: cannot be read: No such file"):
        load_study("none.yaml", runs)
    (tmp_path / "study.db").write_text("no database")
    with pytest.raises(DatabaseError, match=r"study\.db"):
        load_study(tmp_path)


def test_it_says_what_it_is(study: LoadedStudy) -> None:
    best = study.record.trial(study.best or 0)
    assert repr(study) == (
        f"<digits: 28 trials, best is trial {best.number} with accuracy 0.9100 ± 0.0141>"
    )
    named = replace(study.record, metric_titles={"accuracy": "accuracy of 'yes'"})
    assert "with accuracy of 'yes' 0.9100" in repr(LoadedStudy.of(named))
    assert study.best == json.loads(study_json(study.record))["best"]
    assert study.trials.value.idxmax() == study.best


def test_trials_are_the_rows_of_the_csv(study: LoadedStudy) -> None:
    table = pd.read_csv(
        io.StringIO(to_csv(study.record)), index_col="number", keep_default_na=False
    )
    assert list(study.trials.columns) == list(table.columns)
    assert list(study.trials.index) == list(table.index)
    for name in ("value", "spread", "fold.1", "metric.f1", "seconds", "n_weights"):
        written = pd.to_numeric(table[name])
        pd.testing.assert_series_equal(
            study.trials[name].astype("float64"), written.astype("float64")
        )
    assert list(study.trials["param.optimizer"][:3]) == ["SGD", "AdamW", "none"]
    assert study.trials.index.name == "number"


def test_trials_have_types_also_where_nothing_is_known(study: LoadedStudy) -> None:
    kinds = study.trials.dtypes
    assert kinds["value"] == kinds["fold.0"] == "float64"
    assert kinds["n_weights"] == kinds["best_step"] == "Int64"
    assert str(kinds["start"]) == "datetime64[us, UTC]"
    running = study.trials.loc[27]
    assert running.state == "running"
    assert math.isnan(running.value)
    assert running.end is pd.NaT


def test_curves_and_folds_are_those_of_the_database(study: LoadedStudy) -> None:
    assert list(study.curves.columns) == [*CURVES]
    assert list(study.folds.columns) == [*FOLDS, "metric.f1"]
    record = study.record
    for trial in (record.trials[0], record.trials[25]):
        curve = record.curve(trial)
        mine = study.curves[study.curves.trial == trial.number]
        assert tuple(mine.step) == curve.step
        assert tuple(mine.score) == curve.score
        assert tuple(mine.train_loss) == curve.train_loss
        folds = study.folds[study.folds.trial == trial.number]
        assert folds.fold.nunique() == len(curve.folds)
        for number, fold in enumerate(curve.folds):
            rows = folds[folds.fold == number]
            assert tuple(rows.score) == fold.score
            assert tuple(rows.lr) == fold.lr
            assert tuple(rows["metric.f1"]) == tuple(one["f1"] for one in fold.metrics)


def test_the_means_of_the_folds_are_the_curves(study: LoadedStudy) -> None:
    means = study.folds.groupby(["trial", "step"], as_index=False)[["score", "train_loss"]].mean()
    pd.testing.assert_frame_equal(means, study.curves[["trial", "step", "score", "train_loss"]])


def test_findings_are_those_of_the_report(study: LoadedStudy) -> None:
    told = json.loads(study_json(study.record))["findings"]
    assert list(study.findings.columns) == [*FINDINGS]
    assert list(study.findings.sentence) == [one["sentence"] for one in told]
    assert list(study.findings.trials) == [tuple(one["trials"]) for one in told]


def test_a_finding_has_the_lines_to_change_and_whether_the_report_shows_it() -> None:
    evidence = planted(Plant(optimizers={"SGD": -0.03, "AdamW": 0.0}), 0)
    found = all_findings(evidence)
    frame = findings_frame(found, found[:1])
    assert list(frame.changes) == [tuple(c.line for c in one.changes) for one in found]
    assert any(frame.changes)
    assert list(frame.is_shown) == [True, *[False] * (len(found) - 1)]


def test_baselines_are_on_the_same_folds(study: LoadedStudy) -> None:
    first, second = (study.baselines.iloc[place] for place in (0, 1))
    assert list(study.baselines.columns) == [*BASELINES, "fold.0", "fold.1", "metric.f1"]
    assert (first["name"], first["value"], first["metric.f1"]) == (
        "logistic regression",
        statistics.fmean([0.7, 0.8]),
        0.6,
    )
    assert first["spread"] == statistics.stdev([0.7, 0.8])
    assert math.isnan(second["value"])
    assert second["note"] == "took too long"


def test_a_study_without_trials_has_empty_tables(tmp_path: Path) -> None:
    made(tmp_path / "digits", [])
    empty = load_study("digits", tmp_path)
    assert (empty.best, empty.figures) == (None, ())
    assert repr(empty) == "<digits: 0 trials>"
    frames = (empty.trials, empty.curves, empty.folds, empty.findings, empty.baselines)
    assert [len(frame) for frame in frames] == [0] * 5
    assert all(len(frame.columns) for frame in frames)
    with pytest.raises(UserError, match=r"has no figure 'history'\. It has none\."):
        empty.figure_data("history")


def test_a_study_of_another_program_is_read_as_far_as_possible(tmp_path: Path) -> None:
    two_objectives(tmp_path)
    study = load_study(tmp_path)
    assert study.name == "two"
    assert list(study.trials["value.value 2"][:2]) == [0.0, (1 / 12) ** 2]
    assert study.folds.empty
    assert study.trials["param.x"].dtype == "float64"


def test_figures_are_those_of_the_page_in_colour(study: LoadedStudy) -> None:
    assert {"history", "leaders", "baselines", f"learning:{study.best}"} <= {*study.figures}
    for name in study.figures:
        for theme in ("light", "dark"):
            text = json.dumps(study.figure_data(name, theme), allow_nan=False)
            assert '"@' not in text
            assert PALETTES[theme]["page"] in text
    history = study.figure_data("history")
    trials = [trace for trace in history["data"] if trace.get("customdata")]
    assert any("<b>trial 0</b>" in text for trace in trials for text in trace["hovertext"])
    assert history["layout"]["title"]["text"]


def test_plotly_takes_every_figure(study: LoadedStudy) -> None:
    graph_objects = pytest.importorskip("plotly.graph_objects")
    for name in study.figures:
        figure = study.figure(name)
        assert isinstance(figure, graph_objects.Figure)
        assert len(figure.data) == len(study.figure_data(name)["data"])


def test_without_plotly_the_package_is_named(
    study: LoadedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'tunecli\[notebook\]'"):
        study.figure("history")
    assert study.figure_data("history")["data"]


def test_an_unknown_figure_is_refused(study: LoadedStudy) -> None:
    with pytest.raises(UserError, match=r"no figure 'histroy'\. Did you mean `history`\?"):
        study.figure("histroy")
    with pytest.raises(UserError, match="Its figures are `history`"):
        study.figure_data("?")


def test_the_optuna_study_has_the_same_trials_and_cannot_be_changed(study: LoadedStudy) -> None:
    theirs = study.optuna_study()
    assert theirs.best_trial.number == study.best
    assert len(theirs.trials) == len(study.trials)

    def told() -> Any:
        return theirs.trials_dataframe().value.dropna().tolist()

    assert told() == study.trials.value.dropna().tolist()
    with pytest.raises(optuna.exceptions.StorageInternalError, match="during the commit"):
        theirs.ask()


def test_a_loaded_study_stays_as_it_was(tmp_path: Path) -> None:
    made(tmp_path / "digits", [(mlp(0.1), complete(0.9, 0.8))])
    before = load_study("digits", tmp_path)
    made(tmp_path / "digits", [(mlp(0.1), complete(0.9, 0.8)), (mlp(0.2), complete(0.95))])
    assert len(before.trials) == 1
    assert set(before.curves.trial) == {0}
    assert len(load_study("digits", tmp_path).trials) == 2
