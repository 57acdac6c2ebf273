"""A file of the current folder never passes for a library: no command runs it without `--code`."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from commands import environment

from tunecli import import_path

STUDY = """
data: iris
validation: {folds: 2}
model: {MLP: {width: 4}}
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
training: {epochs: 1}
search: {trials: 1, baselines: false}
"""
SCRIPT = [str(Path(sys.executable).with_name("tunecli"))]
STARTS = """
import multiprocessing
from tunecli.import_path import leave_out_the_current_folder
if __name__ == "__main__":
    leave_out_the_current_folder()
    for method in ("forkserver", "spawn"):
        process = multiprocessing.get_context(method).Process(target=len, args=("",))
        process.start()
        process.join()
        assert process.exitcode == 0, method
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A study file among modules that have the names of all libraries, and leave a trace."""
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "ran").mkdir()
    (here / "study.yaml").write_text(STUDY)
    for name in {*sys.stdlib_module_names, *packages_distributions(), "tunecli"}:
        if name.isidentifier():
            (here / f"{name}.py").write_text(f"open({str(tmp_path / 'ran' / name)!r}, 'w')\n")
    return here


def ran(folder: Path) -> set[str]:
    return {path.name for path in (folder.parent / "ran").iterdir()}


def call(folder: Path, *words: str, **variables: str) -> str:
    done = subprocess.run(
        words, cwd=folder, env=environment() | variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def remove_what_runs_before_any_guard(folder: Path) -> None:
    """Remove what Python and the script of pip look for before tunecli: nobody can guard that.

    The finder of an editable install does so too; `ntpath` then looks for modules of Windows.
    """
    script = "import re, runpy, sys; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", script], text=True).split()
    for name in {*loaded, "sitecustomize", "usercustomize", "tunecli"}:
        (folder / f"{name}.py").unlink(missing_ok=True)
    call(folder, sys.executable, "-c", script, PYTHONPATH=str(folder))
    for name in ran(folder):  # looked for, and not loaded elsewhere since it does not exist
        (folder / f"{name}.py").unlink()
        (folder.parent / "ran" / name).unlink()


@pytest.mark.slow
def test_no_command_runs_a_module_of_the_current_folder(folder: Path) -> None:
    for words in (["check", "study.yaml"], ["search", "study.yaml", "--jobs", "1"], ["report"]):
        call(folder, *SCRIPT, *words)
        assert ran(folder) == set(), words


def test_nor_does_help(folder: Path) -> None:
    assert "search" in call(folder, *SCRIPT, "--help")
    assert ran(folder) == set()


@pytest.mark.parametrize("entry", ["", ".", "../here"])
def test_an_entry_that_is_relative_counts_for_nothing(folder: Path, entry: str) -> None:
    remove_what_runs_before_any_guard(folder)
    assert "search" in call(folder, *SCRIPT, "--help", PYTHONPATH=f"{entry}:/nowhere")
    assert "search" in call(folder, sys.executable, "-m", "tunecli", "--help")
    assert ran(folder) == set()


def test_processes_of_multiprocessing_look_elsewhere_too(folder: Path) -> None:
    (folder.parent / "starts.py").write_text(STARTS)
    call(folder, sys.executable, str(folder.parent / "starts.py"))
    assert ran(folder) == set()


def test_absolute_entries_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here, other = str(tmp_path), str(tmp_path / "other")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    installed = [*sys.path[sys.path.index(import_path._STDLIB) :], here]
    for written, kept in ((f":{other}", [other]), (f"{here}:", [here]), (f"x:{here}", [here])):
        monkeypatch.setenv("PYTHONPATH", written)
        found = [here, *map(os.path.abspath, written.split(":"))]
        monkeypatch.setattr(sys, "path", [*found, *installed])
        import_path.leave_out_the_current_folder()
        assert set(sys.path[: -len(installed)]) == set(kept)
        assert sys.path[-len(installed) :] == installed  # what `site` added: an editable install
        assert os.environ["PYTHONPATH"] == os.pathsep.join(kept)


def test_allowed_code_starts_python_as_its_users_shell_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    import_path.leave_out_the_current_folder()
    assert os.environ["PYTHONSAFEPATH"]
    import_path.restore_for_allowed_code()
    assert "PYTHONSAFEPATH" not in os.environ
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    import_path.leave_out_the_current_folder()
    import_path.restore_for_allowed_code()
    assert os.environ["PYTHONSAFEPATH"] == "1"
