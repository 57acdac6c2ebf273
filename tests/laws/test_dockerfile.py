"""The Dockerfile's own lines, replayed in a fresh virtual environment: no engine is needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest
from locations import ROOT


def instructions() -> list[tuple[str, str]]:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    kept = [line for line in lines if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in kept)]


def value(name: str) -> str:
    (found,) = [rest for word, rest in instructions() if word == name]
    return found


def fresh_environment(place: Path) -> Mapping[str, str]:
    """A new virtual environment that finds this one's dependencies, but not tunecli."""
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return kept | {"PATH": path, "VIRTUAL_ENV": str(place), "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_its_lines_install_tunecli_and_search(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.mkdir()
    environment = fresh_environment(tmp_path / "venv")
    owner = f"--owner={os.geteuid()}", f"--group={os.getegid()}"
    for word, rest in instructions():
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                into = image / target.lstrip("/")
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, into)
                else:
                    into.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, into)
        elif word == "RUN":
            line = rest.replace(" /", f" {image}/")
            line = line.replace("--owner=1000", owner[0]).replace("--group=1000", owner[1])
            subprocess.run(["bash", "-c", line], cwd=image, env=environment, check=True)
    (entry,) = json.loads(value("ENTRYPOINT"))
    assert shutil.which(entry, path=environment["PATH"]) == str(tmp_path / "venv/bin" / entry)
    work = image / value("WORKDIR").lstrip("/")
    words = [entry, "search", "studies/quick.yaml", "--trials", "1", "--set", "training.epochs=2"]
    done = subprocess.run(words, cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (image / value("VOLUME").lstrip("/") / "quick/study.db").exists()


def test_it_runs_as_nobody_in_particular_and_keeps_its_studies() -> None:
    assert value("USER") == "1000:1000"
    assert value("VOLUME") == f"{value('WORKDIR')}/runs"
