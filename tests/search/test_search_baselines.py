"""Untuned models beside the trials of a search: stored once, and no trial is another for them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import pytest
from commands import call_in, table
from driver_studies import BRANCHES, study
from driver_studies import table as rows
from in_process import baseline, drive
from study_makers import SUMMARY

from tunecli.database.records import read_study
from tunecli.database.write import StudyDatabase
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.search.events.events import (
    BaselinesAwaited,
    BaselinesScored,
    Notice,
    SearchEvent,
    TrialStarted,
)
from tunecli.search.resume import StoredStudy
from tunecli.search.trial_budget import TrialBudget
from tunecli.study_file.study_file import StudyFile
from tunecli.training.outcome.evaluation import BASELINES, Baseline

ALL = tuple(baseline(name) for name in BASELINES["classification"])


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


def stored(url: str) -> tuple[Baseline, ...]:
    return read_study(url).baselines


def scored(told: list[SearchEvent]) -> list[tuple[Baseline, ...]]:
    return [event.baselines for event in told if isinstance(event, BaselinesScored)]


def file(extra: str = "") -> StudyFile:
    return study(BRANCHES, "TPE", "Median", extra=extra)


@pytest.mark.parametrize("n_workers", [1, 3])
def test_the_trials_are_the_same_with_and_without(
    url: str, tmp_path: Path, n_workers: int
) -> None:
    other = f"sqlite:///{tmp_path / 'other.db'}"
    told: list[SearchEvent] = []
    with_them = drive(file(), url, 12, n_workers, told=told)
    without = drive(file(", baselines: false"), other, 12, n_workers)
    assert rows(with_them) == rows(without)
    assert stored(url) == ALL
    assert stored(other) == ()
    assert scored(told) == [ALL]
    assert all(isinstance(event, TrialStarted) for event in told[:n_workers])


def test_it_tells_which_are_awaited_and_how_long_they_take(url: str) -> None:
    told: list[SearchEvent] = []
    drive(file(), url, 3, told=told)
    awaited = [event for event in told if isinstance(event, BaselinesAwaited)]
    names = [set(event.names) for event in awaited]
    assert names[0] == set(BASELINES["classification"])
    assert [len(left) for left in names] == [3, 2, 1, 0]
    assert all(later < earlier for earlier, later in pairwise(names))
    assert awaited[-1].seconds == 0
    assert told.index(awaited[-1]) < told.index(BaselinesScored(ALL))


def test_a_later_call_tells_them_without_computing_them(url: str) -> None:
    drive(file(), url, 3)
    told: list[SearchEvent] = []
    drive(file(), url, 6, told=told, deaths=0.0)
    assert told[0] == BaselinesScored(ALL)
    assert scored(told) == [ALL]


@pytest.mark.slow
def test_wherever_a_search_is_killed_the_next_one_has_them_all(tmp_path: Path) -> None:
    partly = set()
    for stop_after in range(0, 24, 2):
        url = f"sqlite:///{tmp_path / f'{stop_after}.db'}"
        drive(file(), url, 4, n_workers=2, seed=stop_after, stop_after=stop_after)
        left = stored(url)
        assert all(found in ALL for found in left)
        partly.add(len(left))
        drive(file(), url, 4, n_workers=2, seed=1)
        assert sorted(stored(url), key=ALL.index) == list(ALL)
    assert len(partly) > 1


def test_a_worker_that_dies_costs_its_baseline_alone(url: str) -> None:
    told: list[SearchEvent] = []
    trials = drive(file(), url, 3, told=told, deaths=1.0)
    assert [trial.outcome for trial in trials] == ["failed"] * 3
    notices = [event.text for event in told if isinstance(event, Notice)]
    for name in BASELINES["classification"]:
        assert (
            notices.count(f"The baseline {name} has no score: worker died: killed by SIGKILL.")
            == 1
        )
    assert [baseline.fold_scores for baseline in stored(url)] == [(), (), ()]
    assert {baseline.note for baseline in stored(url)} == {"worker died: killed by SIGKILL"}
    assert Evidence.of(read_study(url)).baselines == ()


def test_a_study_without_data_has_none(url: str) -> None:
    text = "train: {fit.py:fit: {}}\nobjective: {maximize: reward}\n"
    without = StudyFile.from_text(text, "study.yaml").completed("regression", 0)
    told: list[SearchEvent] = []
    assert len(drive(without, url, 2, told=told)) == 2
    assert scored(told) == []
    assert stored(url) == ()


def test_a_study_that_was_finished_without_them_stays_so(url: str) -> None:
    """Of a version that had none; one that was killed before its last is completed."""
    drive(file(", baselines: false"), url, 2)
    database = StudyDatabase.open(url, "study")
    assert database is not None
    assert database.attribute("baselines") is None
    attributes = database.attributes()
    old = StoredStudy(file(), SUMMARY, attributes, [], database.trials(), knows_baselines=False)
    new = replace(old, knows_baselines=True)
    killed = replace(new, attributes=replace(attributes, baselines=ALL[:2]))
    whole = replace(new, attributes=replace(attributes, baselines=ALL))
    database.close()
    assert [stored.is_finished(TrialBudget(2)) for stored in (old, killed, whole)] == [
        True,
        False,
        True,
    ]


SMALL = """
data: iris
validation: {folds: 2}
model: {MLP: {width: {int: [4, 16]}, depth: 1}}
optimizer: AdamW
training: {epochs: 2}
metrics: [f1]
search: {trials: 3, pruner: none}
"""


@pytest.mark.slow
def test_real_workers_score_them_as_a_report_shows(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(SMALL)
    done = call_in(tmp_path, "search", "study.yaml", "--jobs", "1")
    assert "baselines   logistic regression 0." in done.stderr
    found = read_study(f"sqlite:///{tmp_path / 'runs/study/study.db'}")
    assert [baseline.name for baseline in found.baselines] == list(BASELINES["classification"])
    assert all(len(baseline.fold_scores) == 2 for baseline in found.baselines)
    assert found.summary is not None
    guess = found.summary.guess["accuracy"]
    assert fmean(found.baselines[0].fold_scores) == pytest.approx(guess)
    assert all(set(baseline.metrics) == {"f1"} for baseline in found.baselines)
    shown = call_in(tmp_path, "report", "study").stdout
    assert "gradient-boosted trees 0." in shown
    (tmp_path / "study.yaml").write_text(SMALL.replace("3,", "3, baselines: false,"))
    call_in(tmp_path, "search", "study.yaml", "--jobs", "2", "--runs", "without")
    one, two = (table(tmp_path / f"{runs}/study/study.db") for runs in ("runs", "without"))
    assert one == two


DEADLY = """
import os, sys

def share_right(y_true, y_pred):
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "fit_baseline":
            os._exit(3)
        frame = frame.f_back
    return float((y_true == y_pred).mean())
"""


@pytest.mark.slow
def test_code_that_kills_its_worker_in_a_baseline_ends_no_search(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    text = SMALL + "objective: {maximize: 'deadly.py:share_right'}\n"
    (tmp_path / "study.yaml").write_text(text)
    done = call_in(tmp_path, "search", "study.yaml", "--jobs", "1", "--code", "deadly.py")
    assert done.stderr.count(" has no score: ") == 3
    assert "3 complete" in done.stderr
    assert not any(
        found.fold_scores for found in stored(f"sqlite:///{tmp_path}/runs/study/study.db")
    )
