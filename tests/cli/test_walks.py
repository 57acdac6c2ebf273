"""From `init` to `predict` as a new user goes, and what each command says is true."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
from commands import call_in
from locations import STUDIES
from sales_table import N_NEW, N_STORES, N_WEEKS, write_sales
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import root_mean_squared_error

import tunecli
from tunecli.database.records import read_study
from tunecli.database.urls import sqlite_url
from tunecli.training.outcome.objectives import dominates

SMALL = """
study: small
data: digits
validation: {holdout: 0.3}
model: {MLP: {width: {int: [8, 2048], log: true}}}
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
training: {epochs: 3, batch_size: 128}
objective: [{maximize: accuracy}, {minimize: size}]
constraints: {n_weights: {max: 10000}}
search: {trials: 8, baselines: false}
"""


@pytest.mark.slow
def test_sales_by_store_and_week(tmp_path: Path) -> None:
    write_sales(tmp_path)
    asked = call_in(tmp_path, "init", "sales.csv", code=2).stderr
    lines = [line.split() for line in asked.splitlines()[:7]]
    assert lines[0] == ["column", "kind", "example"]
    assert [line[0] for line in lines[1:]] == [*pd.read_csv(tmp_path / "sales.csv").columns]
    assert asked.endswith("\n  tunecli init sales.csv --target units\n")

    call_in(tmp_path, "init", "sales.csv", "--target", "units")
    file = tmp_path / "sales.yaml"
    text = file.read_text()
    n_past = N_STORES * N_WEEKS
    assert f"# The {n_past} rows have {N_STORES} different values of the column below." in text
    assert "  # group: store\n" in text
    assert "# The rows are sorted by the date below." in text
    quick = text.replace("  # time: week", "  time: week").replace("trials: 30", "trials: 4")
    file.write_text(quick.replace("epochs: 40", "epochs: 6"))

    searched = call_in(tmp_path, "search", "sales.yaml", "--jobs", "1").stderr
    assert "sales is finished: 4 of 4 trials done." in searched
    assert "5 folds, validated on later rows" in searched
    page = call_in(tmp_path, "report", "sales", "--html", "sales.html")
    assert "Wrote the report to sales.html." in page.stderr + page.stdout

    refitted = call_in(tmp_path, "refit", "sales", "-o", "deployed").stdout
    held_out = pd.read_csv(tmp_path / "sales.csv").tail(n_past // 5)
    predicted = tunecli.load(tmp_path / "deployed").predict(held_out.drop(columns="units"))
    rmse = root_mean_squared_error(held_out["units"], predicted)
    assert f"test        rmse {rmse:.4f} " in refitted
    assert f", {len(held_out)} rows)" in refitted

    words = ("predict", "deployed", "next.csv", "-o", "out.csv")
    told = call_in(tmp_path, *words, "--keep", "order_id", "--keep", "week").stderr
    new = pd.read_csv(tmp_path / "next.csv", dtype={"order_id": str})
    n_missing = int(new["price"].isna().sum())
    assert told.splitlines() == [
        f"out.csv: {N_STORES * N_NEW} rows, columns `order_id`, `week` and `prediction`",
        "3 rows have categories that training did not have, treated as rare: region (3)",
        f"{n_missing} rows have missing cells, treated as in training: price ({n_missing})",
    ]
    out = pd.read_csv(tmp_path / "out.csv", dtype={"order_id": str})
    pd.testing.assert_frame_equal(out[["order_id", "week"]], new[["order_id", "week"]])
    later = tunecli.load(tmp_path / "deployed").predict(new)
    np.testing.assert_array_equal(out["prediction"], later)

    pytest.importorskip("onnxscript")
    call_in(tmp_path, "export", "deployed", "--to", "onnx")
    props = {p.key: p.value for p in onnx.load(tmp_path / "deployed.onnx").metadata_props}
    names = [column["name"] for column in json.loads(props["columns"])]
    assert names == ["store", "region", "price", "promo"]
    assert json.loads(props["target"]) == "units"


@pytest.mark.slow
def test_sales_of_stores_that_training_did_not_see(tmp_path: Path) -> None:
    write_sales(tmp_path)
    call_in(tmp_path, "init", "sales.csv", "--target", "units")
    file = tmp_path / "sales.yaml"
    quick = file.read_text().replace("  # group: store", "  group: store")
    quick = quick.replace("trials: 30", "trials: 2").replace("  start_with: tuned", "  # first")
    file.write_text(quick.replace("epochs: 40", "epochs: 4"))

    searched = call_in(tmp_path, "search", "sales.yaml", "--jobs", "1").stderr
    assert "sales is finished: 2 of 2 trials done." in searched
    assert "validation  5 folds, groups kept whole" in searched
    assert f"note        {N_STORES} groups of store are kept whole." in searched
    report = json.loads(call_in(tmp_path, "report", "sales", "--json").stdout)
    best = min(report["trials"], key=lambda trial: trial["value"])
    assert best["value"] == pytest.approx(np.mean(best["fold_scores"]))
    assert f"Best: trial {best['number']}\n" in call_in(tmp_path, "report", "sales").stdout

    refitted = call_in(tmp_path, "refit", "sales", "-o", "deployed").stdout
    past = pd.read_csv(tmp_path / "sales.csv")
    past["missed"] = past["units"] - tunecli.load(tmp_path / "deployed").predict(
        past.drop(columns="units")
    )
    found = re.search(r"test        rmse (\S+) .*, (\d+) rows\)", refitted)
    assert found is not None
    n_held_out, rest = divmod(int(found[2]), N_WEEKS)
    assert rest == 0
    squares = (past["missed"] ** 2).groupby(past["store"]).mean()
    whole = [f"{np.mean(some) ** 0.5:.4f}" for some in combinations(squares, n_held_out)]
    assert whole.count(found[1]) == 1  # the rmse of whole stores

    words = ("predict", "deployed", "next.csv", "-o", "out.csv", "--keep", "store")
    told = call_in(tmp_path, *words).stderr
    assert told.startswith(f"out.csv: {N_STORES * N_NEW} rows, columns `store` and `prediction`\n")
    new = pd.read_csv(tmp_path / "next.csv")
    predicted = pd.read_csv(tmp_path / "out.csv")["prediction"]
    np.testing.assert_array_equal(predicted, tunecli.load(tmp_path / "deployed").predict(new))


@pytest.mark.slow
def test_accuracy_against_size(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    searched = call_in(tmp_path, "search", "small.yaml", "--jobs", "2").stderr
    study = read_study(sqlite_url(tmp_path / "runs" / "small" / "study.db"))
    untrained = [trial for trial in study.trials if trial.is_untrained]
    complete = [trial for trial in study.trials if trial.outcome == "complete"]
    assert (len(complete), study.n_charged) == (8, 8)
    assert all((trial.n_weights or 0) > 10_000 for trial in untrained)
    assert "small is finished: 8 of 8 trials done." in searched
    n = len(untrained)
    assert f"trials      8 complete · {n} infeasible ({n} before training)" in searched

    front = [
        trial
        for trial in complete
        if not any(
            dominates(one.values, trial.values, ("maximize", "minimize")) for one in complete
        )
    ]
    assert f"front       {len(front)} of 8 complete trials, not beaten by any other" in searched
    shown = searched.split("not beaten by any other\n")[1].split("next")[0].splitlines()
    numbers = [int(line.split()[1]) for line in shown]
    best_first = sorted(front, key=lambda trial: (-trial.values[0], trial.number))
    assert numbers == [trial.number for trial in best_first]
    told = json.loads(call_in(tmp_path, "report", "small", "--json").stdout)
    assert (told["n_untrained"], told["spares_untrained"]) == (n, True)
    report = call_in(tmp_path, "report", "small").stdout
    assert f"8 complete · {n} infeasible ({n} before training)" in report
    assert "tunecli search small.yaml --trials 16" in report

    again = call_in(tmp_path, "search", "small.yaml").stderr
    assert "small is already finished: 8 of 8 trials done." in again
    refitted = call_in(tmp_path, "refit", "small", "--pareto", "1")
    assert f"small: trial {numbers[0]}, training on all rows" in refitted.stderr
    predicted = call_in(tmp_path, "predict", "small", "digits", "-o", "out.csv")
    assert predicted.stderr == "out.csv: 1,797 rows, column `prediction`\n"
    assert len(pd.read_csv(tmp_path / "out.csv")) == 1797


@pytest.mark.slow
def test_a_search_without_a_feasible_model_ends_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL.replace("max: 10000", "max: 10"))
    told = call_in(tmp_path, "search", "small.yaml", "--jobs", "2", "--trials", "3", code=1)
    assert "Stopped: no trial met the limits. n_weights of " in told.stderr
    assert "30 infeasible (30 before training)" in told.stderr
    again = call_in(tmp_path, "search", "small.yaml", "--trials", "3", code=1).stderr
    assert "no trial met the limits" in again


def without(text: str, *sections: str) -> str:
    """A study file without some of its sections."""
    blocks = text.split("\n\n")
    return "\n\n".join(one for one in blocks if one.partition(":")[0].strip() not in sections)


@pytest.mark.slow
def test_from_a_first_file_to_a_loop_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "loop.py").write_text((STUDIES / "own_training.py").read_text())
    call_in(tmp_path, "init", "digits")
    text = (tmp_path / "digits.yaml").read_text()
    own = without(text, "model", "optimizer", "schedule", "training").replace("30 ", "2 ")
    own += "train: {loop.py:fit: {lr: {float: [0.01, 0.2], log: true}, width: 16, epochs: 3}}\n"
    (tmp_path / "loop.yaml").write_text(own.replace("metrics: [", "# metrics: ["))
    refused = call_in(tmp_path, "search", "loop.yaml", code=2).stderr
    assert "--code loop.py" in " ".join(refused.split())

    allowed = ("--code", "loop.py")
    searched = call_in(tmp_path, "search", "loop.yaml", *allowed, "--jobs", "1").stderr
    assert "loop is finished: 2 of 2 trials done." in searched
    report = json.loads(call_in(tmp_path, "report", "loop", "--json").stdout)
    best = max(report["trials"], key=lambda trial: trial["value"])
    assert report["best"] == best["number"]
    assert best["value"] == pytest.approx(np.mean(best["fold_scores"]))
    refitted = call_in(tmp_path, "refit", "loop").stdout
    [found] = [line for line in refitted.splitlines() if line.startswith("test  ")]
    told = call_in(tmp_path, "predict", "loop", "digits", *allowed, "-o", "out.csv").stderr
    assert told == "out.csv: 1,797 rows, column `prediction`\n"
    right = pd.read_csv(tmp_path / "out.csv")["prediction"] == load_digits().target
    assert right.mean() > 0.9
    metrics = json.loads((tmp_path / "runs/loop/model/metrics.json").read_text())
    assert f"accuracy {metrics['test']['accuracy']['score']:.4f} " in found
    assert metrics["of_fold_models"]["accuracy"] > 0.8


@pytest.mark.slow
def test_from_a_first_file_to_two_objectives_and_a_limit_with_its_average(tmp_path: Path) -> None:
    call_in(tmp_path, "init", "breast_cancer")
    file = tmp_path / "breast_cancer.yaml"
    [line] = [line for line in file.read_text().splitlines() if line.startswith("objective:")]
    goals = "objective: [{maximize: roc_auc}, {minimize: n_weights}]\n"
    goals += "constraints: {f1: {average: macro, min: 0.6}}"
    text = file.read_text().replace(line, goals).replace("trials: 30", "trials: 5")
    file.write_text(text.replace("epochs: 40", "epochs: 4"))
    checked = call_in(tmp_path, "check", "breast_cancer.yaml").stdout
    assert "objectives  maximize roc_auc, minimize n_weights" in checked
    assert "limits      f1 at least 0.6" in checked
    searched = call_in(tmp_path, "search", "breast_cancer.yaml", "--jobs", "1").stderr
    study = read_study(sqlite_url(tmp_path / "runs" / "breast_cancer" / "study.db"))
    complete = [trial for trial in study.trials if trial.outcome == "complete"]
    assert complete
    assert all(trial.metrics["f1"] >= 0.6 for trial in complete)
    beyond = [trial for trial in study.trials if trial.outcome == "infeasible"]
    assert all("f1 of " in trial.reason and "is below 0.6" in trial.reason for trial in beyond)
    assert f"of {len(complete)} complete trials" in searched
    report = json.loads(call_in(tmp_path, "report", "breast_cancer", "--json").stdout)
    [place, *_] = report["front"]
    refitted = call_in(tmp_path, "refit", "breast_cancer", "--pareto", "1")
    assert f"breast_cancer: trial {place}, training on" in refitted.stderr
    predicted = call_in(tmp_path, "predict", "breast_cancer", "breast_cancer", "-o", "out.csv")
    assert predicted.stderr == "out.csv: 569 rows, column `prediction`\n"
    data = load_breast_cancer()
    right = pd.read_csv(tmp_path / "out.csv")["prediction"] == data.target_names[data.target]
    assert right.mean() > 0.8
