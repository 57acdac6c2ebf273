"""The same study file gives the same table, whatever the workers do: with real processes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from pathlib import Path

import pytest
from commands import (
    call_in,
    command,
    environment,
    kept_predictions,
    rows,
    run_in,
    table,
    wait_for,
)

from tunecli.database.records import read_study
from tunecli.database.urls import sqlite_url

BRANCHES = """
data: iris
validation: {folds: 2}
model: {choice: {MLP: {width: {int: [4, 64], log: true}, depth: 1, dropout: 0.1}, Linear: {}}}
optimizer:
  choice:
    SGD: {lr: {float: [1e-3, 1], log: true}}
    AdamW: {lr: {float: [1e-4, 1e-1], log: true}}
training: {epochs: 9, l1: {float: [1e-8, 1e-4], log: true, or: 0}}
"""
FLAT = """
data: iris
validation: {folds: 2}
model: {MLP: {width: {int: [4, 64], log: true}, depth: 1}}
optimizer: {AdamW: {lr: {float: [1e-4, 1e-1], log: true}, weight_decay: {float: [0, 1]}}}
schedule: OneCycleLR
training: {epochs: 9}
"""
SEVERAL = (
    FLAT
    + """
compression: {prune: {amount: {float: [0, 0.8]}}, finetune_epochs: 1}
objective: [{maximize: accuracy}, {minimize: size}]
constraints: {n_weights: {max: 350}, f1: {min: 0.4}}
"""
)
TABLES = """
data: iris
validation: {folds: 2}
model:
  choice:
    TabM:
      k: 2
      d_block: {int: [4, 16]}
      num_embeddings: {choice: [none, piecewise_linear]}
      n_bins: 4
    RealMLP: {width: {int: [4, 16]}, depth: 1}
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
schedule: {choice: [none, CosLogLR]}
training: {epochs: 5, fade_out: {float: [0.3, 0.7]}}
"""
CASES = [
    (TABLES, "TPE", "Median"),
    (SEVERAL, "TPE", "Median"),
    (SEVERAL, "NSGAII", "none"),
    (BRANCHES, "TPE", "Median"),
    (BRANCHES, "Random", "Hyperband"),
    (BRANCHES, "NSGAII", "Median"),
    (FLAT, "QMC", "Median"),
    (FLAT, "CmaEs", "Hyperband"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("text", "sampler", "pruner"), CASES)
def test_jobs_and_halves_give_the_same_table(
    text: str, sampler: str, pruner: str, tmp_path: Path
) -> None:
    search = f"search: {{trials: 16, parallel: 4, sampler: {sampler}, pruner: {pruner}}}\n"
    (tmp_path / "study.yaml").write_text(text + search)
    for runs, jobs in (("one", "1"), ("two", "2")):
        call_in(tmp_path, "search", "study.yaml", "--jobs", jobs, "--runs", runs)
    call_in(tmp_path, "search", "study.yaml", "--trials", "7", "--jobs", "2", "--runs", "half")
    call_in(tmp_path, "search", "study.yaml", "--jobs", "2", "--runs", "half")
    one, two, half = (table(tmp_path / runs / "study/study.db") for runs in ("one", "two", "half"))
    study = read_study(sqlite_url(tmp_path / "one" / "study" / "study.db"))
    assert sum(not trial.is_untrained for trial in study.trials) == 16
    assert one == two
    assert one == half


@pytest.mark.slow
def test_a_ray_of_this_machine_gives_the_same_table(tmp_path: Path) -> None:
    """Clusters of several nodes: `tests/search/workers/cluster/test_same_table.py`."""
    search = "search: {trials: 12, parallel: 4, sampler: TPE, pruner: Median}\n"
    (tmp_path / "study.yaml").write_text(BRANCHES + search)
    before = {*Path("/tmp").glob("tunecli-ray-*")}
    run_in(tmp_path, "search", "study.yaml", "--ray", "--jobs", "2", "--runs", "on_ray")
    call_in(tmp_path, "search", "study.yaml", "--jobs", "2", "--runs", "local")
    on_ray, local = (table(tmp_path / runs / "study/study.db") for runs in ("on_ray", "local"))
    assert on_ray == local
    assert {*Path("/tmp").glob("tunecli-ray-*")} <= before


@pytest.mark.slow
def test_an_edited_study_goes_on_alike_in_one_go_and_in_two(tmp_path: Path) -> None:
    text = FLAT + "search: {trials: 4, parallel: 2, sampler: QMC, pruner: none}\n"
    for runs, totals in (("one", [10]), ("two", [7, 10])):
        study = tmp_path / "study.yaml"
        study.write_text(text)
        call_in(tmp_path, "search", "study.yaml", "--jobs", "2", "--runs", runs)
        study.write_text(text.replace("parallel: 2", "parallel: 4"))
        for total in totals:
            words = ("--trials", str(total), "--jobs", "2", "--runs", runs)
            call_in(tmp_path, "search", "study.yaml", *words)
    one, two = (table(tmp_path / runs / "study/study.db") for runs in ("one", "two"))
    assert one == two
    rates = {row[3] for row in one if row[2] == "optimizer.AdamW.lr"}
    assert len(rates) == 10, "a sequence that starts over suggests the same points again"


@pytest.mark.slow
@pytest.mark.parametrize("text", [BRANCHES, TABLES], ids=["branches", "tables"])
def test_the_ensemble_is_the_same_whatever_the_workers_do(text: str, tmp_path: Path) -> None:
    search = "search: {trials: 10, parallel: 4, keep_predictions: 6}\n"
    (tmp_path / "study.yaml").write_text(text + search)
    call_in(tmp_path, "search", "study.yaml", "--jobs", "1", "--runs", "one")
    words = command("search", "study.yaml", "--jobs", "2", "--runs", "killed", "--quiet")
    driver = subprocess.Popen(words, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL)
    database = tmp_path / "killed" / "study" / "study.db"
    wait_for(lambda: database.is_file() and len(completed(database)) > 2, seconds=300)
    driver.kill()
    driver.wait()
    call_in(tmp_path, "search", "study.yaml", "--jobs", "2", "--runs", "killed")
    call_in(tmp_path, "search", "study.yaml", "--trials", "5", "--jobs", "2", "--runs", "half")
    call_in(tmp_path, "search", "study.yaml", "--trials", "10", "--jobs", "2", "--runs", "half")
    files = []
    for runs in ("one", "killed", "half"):
        call_in(tmp_path, "refit", "study", "--ensemble", "5", "--runs", runs)
        model = tmp_path / runs / "study" / "model"
        metrics = json.loads((model / "metrics.json").read_text())
        files.append(
            (json.loads((model / "model.json").read_text())["files"], metrics["ensemble"])
        )
        assert len(kept_predictions(tmp_path / runs / "study" / "study.db")) == 6
    assert files[0] == files[1] == files[2]
    one, killed, half = (
        table(tmp_path / runs / "study/study.db") for runs in ("one", "killed", "half")
    )
    assert one == killed == half


def completed(database: Path) -> list[tuple[object, ...]]:
    try:
        return rows(database, "SELECT number FROM trials WHERE state = 'COMPLETE'")
    except sqlite3.OperationalError:  # its tables come later
        return []
