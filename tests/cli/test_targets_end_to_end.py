"""Several targets from a study file to predictions, and labels against logistic regression."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import call_in, table
from sklearn.datasets import make_multilabel_classification, make_regression

from tunecli import load
from tunecli.database.records import read_study
from tunecli.database.urls import sqlite_url

LABELS = (
    "data: {source: t.csv, targets: [a, b, c]}\n"
    "loss: {BCEWithLogitsLoss: {pos_weight: balanced}}\nmetrics: [average_precision]\n"
)
VALUES = "data: {source: t.csv, targets: [a, b, c]}\nmetrics: [r2]\n"
MODEL = """
model: {MLP: {width: {int: [4, 16]}, depth: 1}}
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
validation: {folds: 2}
training: {epochs: 3}
search: {trials: 4, parallel: 2}
"""


def _table(folder: Path, task: str) -> pd.DataFrame:
    if task == "multilabel":
        x, y = make_multilabel_classification(150, 6, n_classes=3, random_state=0)
    else:
        x, y = make_regression(150, 6, n_targets=3, random_state=0)
        y = y * [1, 100, 0.01] + [0, 1e6, 5]
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(6)])
    frame[["a", "b", "c"]] = y
    frame.to_csv(folder / "t.csv", index=False)
    return frame


@pytest.mark.parametrize(("task", "text"), [("multilabel", LABELS), ("regression", VALUES)])
def test_from_a_study_file_to_predictions(task: str, text: str, tmp_path: Path) -> None:
    frame = _table(tmp_path, task)
    (tmp_path / "s.yaml").write_text(text + MODEL)
    call_in(tmp_path, "search", "s.yaml", "--jobs", "1")
    out = call_in(tmp_path, "refit", "s").stdout
    assert ("thresholds" in out) == (task == "multilabel")
    results = json.loads((tmp_path / "runs/s/model/metrics.json").read_text())
    assert results["of_targets"].keys() == {"a", "b", "c"}
    study = read_study(sqlite_url(tmp_path / "runs/s/study.db"))
    for trial, scores in zip(
        study.trials, study.target_scores(study.trials).values(), strict=True
    ):
        assert scores.keys() == {"a", "b", "c"}
        score = "average_precision" if task == "multilabel" else study.metric
        mean = np.mean([one[score] for one in scores.values()])
        known = trial.metrics | {study.metric: trial.value}
        assert mean == pytest.approx(known[score])
        if task == "multilabel":
            shares = [one["prevalence"] for one in scores.values()]
            np.testing.assert_allclose(shares, frame[["a", "b", "c"]].mean(), atol=0.1)
    assert [baseline.name for baseline in study.baselines if baseline.of_targets]
    for baseline in study.baselines:
        known = baseline.metrics | {study.metric: np.mean(baseline.fold_scores)}
        mean = np.mean([one[score] for one in baseline.of_targets.values()])
        assert mean == pytest.approx(known[score])
    call_in(tmp_path, "report", "s", "--html", "s.html")
    objective = "f1" if task == "multilabel" else "rmse"
    for text in (
        call_in(tmp_path, "report", "s").stdout,
        call_in(tmp_path, "report", "s", "--markdown").stdout,
        (tmp_path / "s.html").read_text(),
    ):
        assert "Scores of each target" in text
        assert f"{objective} of each target compared with untuned models" in text
    assert "Scores of each target" in call_in(tmp_path, "report", "s", "--trial", "0").stdout
    card = (tmp_path / "runs/s/model/README.md").read_text()
    assert ("| target | prevalence | f1 |" if task == "multilabel" else "| rmse | r2 |") in card
    assert ("which of 3 labels a row has" if task == "multilabel" else "3 values") in card
    assert "| a |" in card
    call_in(tmp_path, "predict", "s", "t.csv", "-o", "out.csv", "--keep", "x0")
    written = pd.read_csv(tmp_path / "out.csv")
    assert list(written.columns) == ["x0", "a", "b", "c"]
    model = load(tmp_path / "runs/s/model")
    predicted = model.predict(frame)
    np.testing.assert_allclose(written[["a", "b", "c"]], predicted, rtol=1e-12)
    if task == "multilabel":
        assert set(np.unique(predicted)) <= {0, 1}
        probabilities = model.predict_proba(frame)
        thresholds = model.facts.thresholds or (0.5,) * 3
        assert np.array_equal(probabilities.astype(float) >= thresholds, predicted == 1)
    else:
        assert np.corrcoef(predicted[:, 1], frame["b"])[0, 1] > 0
        assert abs(predicted[:, 1].mean() - 1e6) < 3 * frame["b"].std()
    refused = call_in(tmp_path, "predict", "s", "t.csv", "--keep", "a", code=2)
    assert "the predictions have a column 'a', too" in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("task", "text"), [("multilabel", LABELS), ("regression", VALUES)])
def test_jobs_and_halves_give_the_same_table(task: str, text: str, tmp_path: Path) -> None:
    _table(tmp_path, task)
    (tmp_path / "s.yaml").write_text(text + MODEL)
    for runs, jobs in (("one", "1"), ("two", "2")):
        call_in(tmp_path, "search", "s.yaml", "--jobs", jobs, "--runs", runs)
    call_in(tmp_path, "search", "s.yaml", "--trials", "2", "--jobs", "1", "--runs", "half")
    call_in(tmp_path, "search", "s.yaml", "--jobs", "2", "--runs", "half")
    one, two, half = (table(tmp_path / runs / "s/study.db") for runs in ("one", "two", "half"))
    assert one == two
    assert one == half


@pytest.mark.slow
def test_yeast_is_better_than_a_logistic_regression_per_label(tmp_path: Path) -> None:
    """Logistic regression has an F1 of 0.6277 and a Hamming loss of 0.2066 on five folds."""
    river = pytest.importorskip("river.datasets", reason="yeast is in the package river")
    content = gzip.decompress(Path(river.Yeast().path).read_bytes())
    (tmp_path / "yeast.csv").write_bytes(content)
    names = ", ".join(f"Class{number}" for number in range(1, 15))
    (tmp_path / "yeast.yaml").write_text(
        f"data: {{source: yeast.csv, test: 0, targets: [{names}]}}\n"
        "model: {MLP: {width: {int: [128, 256]}, depth: 2, dropout: {float: [0.3, 0.6]}}}\n"
        "optimizer: {AdamW: {lr: {float: [7e-4, 2e-3], log: true}, weight_decay: 0.2}}\n"
        "training: {epochs: 20, batch_size: 64}\n"
        "metrics: [hamming]\nsearch: {trials: 2}\n"
    )
    call_in(tmp_path, "search", "yeast.yaml", "--jobs", "1")
    study = read_study(sqlite_url(tmp_path / "runs/yeast/study.db"))
    best = max(study.trials, key=lambda trial: trial.value or 0)
    [linear] = [one for one in study.baselines if one.name == "logistic regression"]
    assert best.value is not None
    assert best.value > max(0.6277, np.mean(linear.fold_scores))
    assert best.metrics["hamming"] < min(0.2066, linear.metrics["hamming"])
