"""A search on a cluster of which somebody else uses one node."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from commands import run_in, table
from ray_cluster import RayCluster, none_left

STUDY = """
data: iris
validation: {folds: 2}
model: {MLP: {width: {int: [4, 16]}, depth: 1}}
optimizer: AdamW
training: {epochs: 2}
search: {trials: 4, parallel: 2, baselines: false}
"""
HOLD = """
import sys, time, ray
ray.init(sys.argv[1], log_to_driver=False, configure_logging=False)

@ray.remote(num_cpus=1)
def hold():
    time.sleep(600)

held = [hold.remote() for _ in range(int(sys.argv[2]))]
while ray.available_resources().get("CPU", 0) > 2 - len(held):
    time.sleep(0.1)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def somebody_else(cluster: RayCluster, n_cpus: int) -> Iterator[subprocess.Popen[str]]:
    """Occupy CPUs of a cluster within the block."""
    words = [sys.executable, "-c", HOLD, cluster.address, str(n_cpus)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(words, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", ["1", "2"])
def test_a_search_trains_on_the_node_that_is_free(
    n_jobs: str, cluster: RayCluster, tmp_path: Path
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    on_ray = ("--ray", cluster.address, "--jobs", n_jobs)
    with somebody_else(cluster, 1):
        run_in(tmp_path, "search", "study.yaml", *on_ray)
    assert len(table(tmp_path / "runs/study/study.db")) >= 4
    assert none_left(cluster)
