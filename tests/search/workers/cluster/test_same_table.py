"""A search on a cluster gives the table of local workers, with shared files and without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import call_in, run_in, table
from locations import ROOT
from picture_files import make_folders
from ray_cluster import RayCluster, none_left

COMPRESSED = """
data: iris
validation: {folds: 2}
model: {MLP: {width: {int: [8, 32]}, depth: 1}}
optimizer: AdamW
training: {epochs: 4}
compression: {prune: {amount: {float: [0, 0.8]}}, finetune_epochs: 1}
search: {trials: 6, parallel: 3, baselines: false}
"""
PICTURES = """
data: pictures/
validation: {folds: 2}
model: {CNN: {channels: {int: [4, 8]}}}
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
training: {epochs: 3, batch_size: 8}
search: {trials: 6, parallel: 3, baselines: false}
"""
STUDIES = {"compressed": COMPRESSED, "pictures": PICTURES}
NAMES = ["digits", *STUDIES, "own_training"]


def prepared(folder: Path, name: str) -> tuple[str, ...]:
    """Write a study and what it needs; returns the options of its search."""
    if name == "own_training":
        for suffix in (".yaml", ".py"):
            shutil.copy(ROOT / "studies" / f"{name}{suffix}", folder)
        (folder / f"{name}.yaml").rename(folder / "study.yaml")
        return "--as", "study", "--trials", "5", "--code", "own_training.py"
    if name == "digits":
        shutil.copy(ROOT / "studies" / "digits.yaml", folder / "study.yaml")
        sampler = "search.sampler={TPE: {n_startup_trials: 4}}"  # so that it learns, and prunes
        return "--as", "study", "--trials", "12", "--set", sampler, "--set", "search.parallel=4"
    (folder / "study.yaml").write_text(STUDIES[name])
    if name == "pictures":
        make_folders(folder / "pictures", {"": [8, 8]})
    return ()


def kept_files(runs: Path) -> set[str]:
    """The files of the best models, by path."""
    best = runs / "study/best"
    return {str(path.relative_to(best)) for path in best.rglob("*")}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_two_nodes_give_the_table_of_local_workers(
    name: str, cluster: RayCluster, tmp_path: Path
) -> None:
    options = prepared(tmp_path, name)
    on_ray = ("--ray", cluster.address, "--runs", "on_ray")
    run_in(tmp_path, "search", "study.yaml", *options, *on_ray)
    run_in(tmp_path, "search", "study.yaml", *options, "--jobs", "2", "--runs", "local")
    one, other = (table(tmp_path / runs / "study/study.db") for runs in ("local", "on_ray"))
    assert len(one) > 20
    assert one == other
    assert name != "digits" or any("PRUNED" in row for row in one)
    assert kept_files(tmp_path / "local") == kept_files(tmp_path / "on_ray")
    log = (tmp_path / "on_ray/study/events.jsonl").read_text().splitlines()
    placed = [told["node"] for told in map(json.loads, log) if told["event"] == "TrialPlaced"]
    assert len(set(placed)) == 2
    assert none_left(cluster)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray is imported in this process
@pytest.mark.parametrize("name", ["pictures", "own_training"])
def test_nodes_that_see_no_file_of_the_driver_are_sent_them(
    name: str, cluster: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = prepared(tmp_path, name)
    on_ray = ("--ray", cluster.address, "--runs", "on_ray")
    monkeypatch.setattr("tunecli.search.workers.cluster.cluster._sees", lambda *_: (False, False))
    told = call_in(tmp_path, "search", "study.yaml", *options, *on_ray).stderr
    assert "does not see the study's files, so it gets copies of them." in told
    assert "send their checkpoints and models to this machine." in told
    run_in(tmp_path, "search", "study.yaml", *options, "--jobs", "2", "--runs", "local")
    one, other = (table(tmp_path / runs / "study/study.db") for runs in ("local", "on_ray"))
    assert one == other
    assert kept_files(tmp_path / "local") == kept_files(tmp_path / "on_ray")
    assert none_left(cluster)
