"""A cluster that cannot train the study is one line, before any trial."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import call_in
from ray_cluster import RayCluster, none_left

STUDY = "data: iris\nmodel: MLP\noptimizer: AdamW\nsearch: {trials: 1}\n"
MODULES = [f"tunecli.search.workers.cluster.{name}.__version__" for name in ("nodes", "cluster")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_clusters_that_cannot_train_the_study(
    cluster: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)

    def told(*words: str) -> str:
        on_ray = ("search", "study.yaml", "--ray", cluster.address)
        return call_in(tmp_path, *on_ray, *words, code=2).stderr

    few = told("--cpus-per-job", "3")
    assert "a worker needs 3 CPU, but no node of the cluster has that much" in few
    assert "(2 nodes: 1 CPU and 0 GPU)" in few
    assert "a worker needs 1 CPU and 0.5 GPU" in told("--gpus-per-job", "0.5")
    for module in MODULES:
        monkeypatch.setattr(module, "9.9")
    other = told()
    assert "has tunecli 0.1.0, but this machine has 9.9. Install tunecli 9.9 on all" in other
    assert not list(tmp_path.glob("runs/study/*.db"))
    assert none_left(cluster)
