"""`tunecli next` as a user calls it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from commands import call_in
from optuna.distributions import FloatDistribution
from room import no_room
from study_makers import complete, made

from tunecli.database.records import read_study
from tunecli.database.urls import sqlite_url
from tunecli.study_file.settings.ranges import FloatRange
from tunecli.study_file.study_file import StudyFile, read_study_file

TEXT = """\
study: digits
data: digits      # small
model: MLP
optimizer: {AdamW: {lr: {float: [1e-5, 1e-3], log: true}}}
"""
LR = FloatDistribution(1e-5, 1e-3, log=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a study that is the better the nearer its learning rate is to the upper end."""
    rates = [10 ** (-5 + 2 * n / 29) for n in range(30)]
    trials = [
        ({"optimizer.AdamW.lr": (lr, LR)}, complete(300 * lr + 0.5, 300 * lr + 0.51))
        for lr in rates
    ]
    made(tmp_path / "runs/digits", trials, attributes={"study_file": TEXT, "overrides": []})
    return tmp_path


def test_it_writes_a_file_that_goes_on_beyond_the_edge(folder: Path) -> None:
    done = call_in(folder, "next", "digits", "-o", "later.yaml")
    study = read_study_file(folder / "later.yaml")
    assert study.name == "later"
    [lr] = study.parameters
    assert isinstance(lr.range, FloatRange)
    assert lr.range.high > 1e-3
    text = (folder / "later.yaml").read_text()
    assert "# small" in text
    assert "# The next round after digits: 30 trials, best accuracy 0.805" in text
    told = [line for line in done.stderr.splitlines() if line.startswith("optimizer.AdamW.lr: ")]
    assert len(told) == 1
    assert "tunecli search later.yaml" in done.stderr
    assert done.stdout == ""


def test_the_report_advises_it_only_where_it_writes_a_file(folder: Path) -> None:
    assert "tunecli next digits -o digits-2.yaml" in call_in(folder, "report", "digits").stdout
    trials = [({"optimizer.AdamW.lr": (1e-4, LR)}, complete(0.5, 0.5))] * 6
    even = folder / "even"
    made(even / "runs/digits", trials, attributes={"study_file": TEXT, "overrides": []})
    call_in(even, "next", "digits", code=1)
    assert "tunecli next" not in call_in(even, "report", "digits").stdout


def test_without_a_file_it_prints(folder: Path) -> None:
    for option in ("--explore", "--exploit"):
        done = call_in(folder, "next", "digits", option)
        assert StudyFile.from_text(done.stdout, "x.yaml").name == "digits-2"


def test_a_file_that_is_there_stays_unless_forced(folder: Path) -> None:
    (folder / "later.yaml").write_text("mine")
    refused = call_in(folder, "next", "digits", "-o", "later.yaml", code=2)
    assert "later.yaml already exists. Use --force" in " ".join(refused.stderr.split())
    assert (folder / "later.yaml").read_text() == "mine"
    call_in(folder, "next", "digits", "-o", "later.yaml", "--force")
    assert read_study_file(folder / "later.yaml").name == "later"


@pytest.mark.parametrize(("n_trials", "more"), [(0, ""), (6, " --trials 12")])
@pytest.mark.parametrize("options", [(), ("-o", "later.yaml")])
def test_with_nothing_to_change_the_study_goes_on_and_no_file_is_written(
    tmp_path: Path, n_trials: int, more: str, options: tuple[str, ...]
) -> None:
    trials = [({"optimizer.AdamW.lr": (1e-4, LR)}, complete(0.5, 0.5))] * n_trials
    written = {"study_file": TEXT, "overrides": [], "file": "studies/digits.yaml"}
    made(tmp_path / "runs/digits", trials, attributes=written)
    done = call_in(tmp_path, "next", "digits", *options, code=1)
    assert f"Wrote no file: the findings of {n_trials} trials suggest no change" in done.stderr
    assert done.stderr.endswith(
        "resume digits instead of starting a new study:\n"
        f"  tunecli search studies/digits.yaml{more}\n"
    )
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_where_more_trials_may_not_help_the_command_says_so(tmp_path: Path) -> None:
    """The first trial stayed the best: the report advises against more of them."""
    scores = [0.9, *[0.5] * 24]
    trials = [({"optimizer.AdamW.lr": (1e-4, LR)}, complete(score, score)) for score in scores]
    written = {"study_file": TEXT, "overrides": [], "file": "studies/digits.yaml"}
    made(tmp_path / "runs/digits", trials, attributes=written)
    done = call_in(tmp_path, "next", "digits", code=1)
    assert "More trials in the same space may not help: `tunecli report` says why" in done.stderr
    assert done.stderr.endswith("  tunecli search studies/digits.yaml --trials 50\n")


def test_a_new_sampler_is_a_round_of_its_own(tmp_path: Path) -> None:
    made(tmp_path / "runs/digits", [], attributes={"study_file": TEXT, "overrides": []})
    for option in ("--explore", "--exploit"):
        done = call_in(tmp_path, "next", "digits", option)
        assert "No changes: digits-2 keeps the search space of digits." in done.stderr
        assert StudyFile.from_text(done.stdout, "x.yaml").parameters


def test_a_study_of_another_program_has_no_file(tmp_path: Path) -> None:
    made(tmp_path / "runs/digits", [])
    done = call_in(tmp_path, "next", "digits", code=2)
    assert "It has no study file, which a next round needs" in done.stderr


def test_wrong_calls_are_refused(folder: Path) -> None:
    both = call_in(folder, "next", "digits", "--explore", "--exploit", code=2).stderr
    assert "mutually exclusive" in both
    nowhere = call_in(folder, "next", "digits", "-o", "nowhere/x.yaml", code=2).stderr
    assert "Folder nowhere does not exist" in " ".join(nowhere.replace("│", " ").split())


@pytest.mark.slow
def test_a_second_round_runs_unchanged_and_learns(tmp_path: Path) -> None:
    text = (
        "data: iris\nvalidation: {folds: 2}\nmodel: MLP\ntraining: {epochs: 3}\n"
        "optimizer: {AdamW: {lr: {float: [1e-5, 1e-1], log: true}}}\nsearch: {trials: 6}\n"
    )
    (tmp_path / "first.yaml").write_text(text)
    call_in(tmp_path, "search", "first.yaml", "--jobs", "1")
    call_in(tmp_path, "next", "first", "--exploit", "-o", "second.yaml")
    call_in(tmp_path, "check", "second.yaml")
    done = call_in(tmp_path, "search", "second.yaml", "--jobs", "1")
    learned = re.search(r"from [56] of 6 trials of first", done.stderr)
    assert learned
    again = call_in(tmp_path, "report", "second")
    assert learned[0] in again.stdout
    edited = (tmp_path / "second.yaml").read_text().replace("learn_from: first", "learn_from: []")
    (tmp_path / "second.yaml").write_text(edited)
    refused = call_in(tmp_path, "search", "second.yaml", code=2)
    assert "search.learn_from" in refused.stderr


@pytest.mark.slow
def test_the_command_that_next_prints_makes_two_rounds_one(tmp_path: Path) -> None:
    text = (
        "data: iris\nvalidation: {folds: 2}\nmodel: MLP\ntraining: {epochs: 2}\n"
        "optimizer: {AdamW: {lr: {float: [1e-5, 1e-1], log: true}}}\n"
        "search: {trials: 12, baselines: false}\n"
    )
    for name in ("halved", "whole"):
        (tmp_path / f"{name}.yaml").write_text(text)
    call_in(tmp_path, "search", "whole.yaml", "--jobs", "1")
    call_in(tmp_path, "search", "halved.yaml", "--jobs", "1", "--trials", "6")
    advised = call_in(tmp_path, "next", "halved", code=1).stderr.splitlines()[-1]
    call_in(tmp_path, *shlex.split(advised)[1:], "--jobs", "1")
    halved, whole = (
        read_study(sqlite_url(tmp_path / f"runs/{name}/study.db"), name).trials
        for name in ("halved", "whole")
    )
    assert [(t.params, t.value) for t in halved] == [(t.params, t.value) for t in whole]
    assert len(halved) == 12


@pytest.mark.parametrize("there", [True, False])
def test_with_the_disk_full_the_old_file_stays(folder: Path, there: bool) -> None:
    if there:
        (folder / "later.yaml").write_text("mine")
    with no_room(100):
        done = call_in(folder, "next", "digits", "-o", "later.yaml", "--force", code=1)
    assert "--output: later.yaml cannot be written (File too large)" in done.stderr
    left = {path.name: path for path in folder.iterdir() if path.name != "runs"}
    assert {name: path.read_text() for name, path in left.items()} == (
        {"later.yaml": "mine"} if there else {}
    )
