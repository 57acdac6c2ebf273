from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tunecli.data.rows.hardware import n_cores
from tunecli.errors import NoGpuError
from tunecli.search.workers import machine


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_around_a_study_file(tmp_path: Path) -> None:
    assert machine.git_commit(tmp_path) == ""
    git(tmp_path, "init", "-q")
    (tmp_path / "study.yaml").write_text("data: iris\n")
    git(tmp_path, "add", "study.yaml")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert machine.git_commit(tmp_path) == commit
    (tmp_path / "study.yaml").write_text("data: wine\n")
    assert machine.git_commit(tmp_path) == f"{commit}+"
    assert machine.git_commit(tmp_path / "nowhere") == ""


@pytest.mark.parametrize(
    "setting",
    ["core.fsmonitor", "filter.evil.clean", "filter.evil.process", "filter.a=b.clean", "hook", ""],
)
def test_no_program_that_a_repository_names_is_run(tmp_path: Path, setting: str) -> None:
    here = tmp_path / "here"
    here.mkdir()
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\ncat\n")
    evil.chmod(0o755)
    git(here, "init", "-q")
    (here / "study.yaml").write_text("data: iris\n")
    git(here, "add", "study.yaml")
    git(here, "commit", "-q", "-m", "first")
    commit = git(here, "rev-parse", "HEAD")
    (here / ".git/info/attributes").write_text("* filter=evil\n* filter=a=b\n")
    if setting == "hook":
        (here / ".git/hooks/post-index-change").symlink_to(evil)
    elif setting:
        git(here, "config", setting, str(evil))
        git(here, "config", "filter.evil.required", "true")
    os.utime(here / "study.yaml", (0, 0))  # so that its content is compared
    found = machine.git_commit(here)
    assert not (tmp_path / "ran").exists()
    assert found == commit


@pytest.mark.parametrize(
    ("visible", "names"), [("", []), ("-1", []), ("0", ["0"]), ("0, GPU-3a", ["0", "GPU-3a"])]
)
def test_gpus_are_those_that_cuda_shows(
    visible: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.gpus() == names
    assert machine.default_jobs(1, "auto") == (len(names) or n_cores())
    assert machine.default_jobs(n_cores() + 1, "cpu") == 1


@pytest.mark.parametrize("n_gpus", [1, 3])
@pytest.mark.parametrize("jobs_per_gpu", [1, 2, 5])
def test_jobs_are_spread_evenly_over_gpus(
    n_gpus: int, jobs_per_gpu: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"GPU-{letter}" for letter in "abc"[:n_gpus]]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(names))
    n_jobs = machine.default_jobs(1, "cuda", jobs_per_gpu)
    given = [machine.gpu_of(worker, machine.gpus()) for worker in range(n_jobs)]
    assert Counter(given) == dict.fromkeys(names, jobs_per_gpu)
    assert given[:n_gpus] == names  # the first ones have a GPU of their own
    assert machine.default_jobs(1, "cpu") == n_cores()


@pytest.mark.parametrize(
    ("device", "why"), [("auto", "no GPU is visible"), ("cpu", "trains on cpu")]
)
def test_jobs_by_gpu_need_gpus(device: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "" if device == "auto" else "0")
    with pytest.raises(NoGpuError, match=f"{why}. Use --jobs instead"):
        machine.default_jobs(1, device, 2)
    assert machine.gpu_of(3, []) is None
