"""What a sampler learns from trials of other studies, and that it stays the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from in_process import drive
from optuna.trial import TrialState
from study_makers import SUMMARY

from tunecli.database.attributes import Learned, Lesson
from tunecli.database.write import StudyDatabase
from tunecli.errors import StudyFileError
from tunecli.search.resume import create_study
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.suggest.suggester import Suggester
from tunecli.search.suggest.visible_trials import VisibleTrials
from tunecli.search.transfer import learn, start_points
from tunecli.search.workers.messages import DataReady
from tunecli.study_file.study_file import StudyFile

TEXT = """
data: digits
validation: {folds: 2}
model: {MLP: {width: {int: [8, 256], log: true}}}
optimizer: {choice: {SGD: {lr: {float: [1e-4, 1], log: true}}, AdamW: {lr: 0.01}}}
training: {epochs: 9}
objective: {maximize: accuracy}
"""


def study(name: str, text: str = TEXT, search: str = "") -> StudyFile:
    whole = f"study: {name}\n{text}\nsearch: {{parallel: 2, pruner: none, {search}}}"
    return StudyFile.from_text(whole, f"{name}.yaml").completed("classification", 1797)


def later(text: str = TEXT, search: str = "learn_from: earlier") -> StudyFile:
    return study("later", text, search)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished study of 20 trials."""
    folder = tmp_path_factory.mktemp("runs")
    place, file = StudyFolder(folder, "earlier"), study("earlier", search="sampler: Random")
    place.folder.mkdir()
    create_study(place, file, DataReady(0, SUMMARY), []).close()
    drive(file, place.url, 20)
    return folder


def test_trials_that_lie_in_the_space_are_learned(runs: Path) -> None:
    place = StudyFolder(runs, "later")
    [all_of_them] = learn(later(), SUMMARY, place)
    assert all_of_them.n_trials == 20
    assert len(all_of_them.lessons) + sum(all_of_them.left_out.values()) == 20
    narrow = later(TEXT.replace("[1e-4, 1]", "[1e-3, 1e-1]"))
    [some] = learn(narrow, SUMMARY, place)
    inside = [
        lesson
        for lesson in all_of_them.lessons
        if 1e-3 <= float(lesson.params.get("optimizer.SGD.lr") or 0.01) <= 1e-1
    ]
    assert some.lessons == tuple(inside)
    assert some.left_out["optimizer.SGD.lr outside its range"] > 0
    assert str(some).startswith(f"from {len(inside)} of 20 trials of earlier; left out: ")


def test_a_fixed_parameter_and_a_longer_training_leave_out_what_differs(runs: Path) -> None:
    fixed = later(TEXT.replace("{int: [8, 256], log: true}", "32"))
    longer = later(TEXT.replace("epochs: 9", "epochs: 10"))
    for file in (fixed, longer):
        [learned] = learn(file, SUMMARY, StudyFolder(runs, "later"))
        assert learned.lessons == ()
        assert sum(learned.left_out.values()) == 20


def first_points(runs: Path, text: str = TEXT, repeat: str = "false") -> list[dict[str, object]]:
    file = later(text, f"start_with: {{study: earlier, best: 9, repeat: {repeat}}}")
    return [dict(point) for point in start_points(file, SUMMARY, StudyFolder(runs, "later"))]


def test_no_trial_of_the_other_study_is_repeated_unless_asked(runs: Path) -> None:
    assert first_points(runs) == []
    assert len(first_points(runs, repeat="true")) == 9


def test_what_differs_in_the_new_space_is_tried_once(runs: Path) -> None:
    best = first_points(runs, repeat="true")
    narrow = TEXT.replace("[8, 256]", "[8, 32]")
    cut_off = [
        {name: value for name, value in point.items() if name != "model.MLP.width"}
        for point in best
        if int(str(point["model.MLP.width"])) > 32
    ]
    once = [point for n, point in enumerate(cut_off) if point not in cut_off[:n]]
    assert len(once) > 1
    assert first_points(runs, narrow) == once


def test_a_longer_training_tries_the_best_again(runs: Path) -> None:
    best = first_points(runs, repeat="true")
    points = first_points(runs, TEXT.replace("epochs: 9", "epochs: 18"))
    assert points == [point for n, point in enumerate(best) if point not in best[:n]]


def test_on_other_data_nothing_is_known(runs: Path) -> None:
    file = later(search="start_with: {study: earlier, best: 9, repeat: false}")
    changed = replace(SUMMARY, fingerprint="1" * 64)
    assert len(start_points(file, changed, StudyFolder(runs, "later"))) > 1


@pytest.mark.parametrize(
    ("text", "search", "summary", "message"),
    [
        (TEXT.replace("folds: 2", "folds: 3"), "", SUMMARY, "has different validation"),
        (TEXT.replace("accuracy", "f1"), "", SUMMARY, "has different objectives"),
        (TEXT, "", replace(SUMMARY, fingerprint="1" * 64), "has different data"),
        (TEXT, "learn_from: nowhere", SUMMARY, "study nowhere does not exist in "),
        (TEXT, "learn_from: later", SUMMARY, "later cannot learn from itself"),
    ],
)
def test_scores_that_mean_something_else_are_refused(
    runs: Path, text: str, search: str, summary: object, message: str
) -> None:
    file = later(text, search or "learn_from: earlier")
    with pytest.raises(StudyFileError, match=rf"search\.learn_from: .*{message}"):
        learn(file, summary, StudyFolder(runs, "later"))  # type: ignore[arg-type]


@pytest.mark.parametrize("sampler", ["Random", "CmaEs", "QMC", "NSGAII", "BruteForce"])
def test_samplers_that_learn_from_no_other_trials_are_refused(sampler: str) -> None:
    with pytest.raises(StudyFileError, match=rf"search\.learn_from: {sampler} cannot learn from"):
        later(search=f"learn_from: earlier, sampler: {sampler}")


LESSONS = [
    Lesson({"optimizer.SGD.lr": 0.1, "optimizer": "SGD", "model.MLP.width": 32}, *end)
    for end in [
        ("complete", "", 0.9, 3),
        ("pruned", "", 0.4, 2),
        ("diverged", "nan", None, 1),
        ("failed", "out of memory", None, 0),
        ("failed", "error: no", None, 0),
    ]
]


def test_tpe_sees_lessons_as_it_sees_its_own_trials() -> None:
    seen = Suggester(later(), [], [], VisibleTrials([(0, 2)]), lessons=LESSONS)._study.get_trials()
    assert [trial.state for trial in seen] == [TrialState.COMPLETE] + [TrialState.PRUNED] * 3
    assert seen[1].intermediate_values == {1: 0.4}
    assert seen[3].constraints == {"memory": 1.0}


def test_lessons_outside_todays_ranges_are_not_told() -> None:
    narrow = later(TEXT.replace("[1e-4, 1]", "[1e-4, 1e-2]"))
    assert not Suggester(
        narrow, [], [], VisibleTrials([(0, 2)]), lessons=LESSONS
    )._study.get_trials()


@pytest.mark.parametrize("sampler", ["TPE", pytest.param("GP", marks=pytest.mark.slow)])
def test_a_search_that_goes_on_suggests_the_same(sampler: str, tmp_path: Path, runs: Path) -> None:
    file = later(search=f"learn_from: earlier, sampler: {sampler}")
    [learned] = learn(file, SUMMARY, StudyFolder(runs, "later"))
    whole = drive(file, f"sqlite:///{tmp_path / 'a.db'}", 12, lessons=learned.lessons)
    for stop in (20, 60):
        url = f"sqlite:///{tmp_path / f'{stop}.db'}"
        drive(file, url, 12, n_workers=2, stop_after=stop, lessons=learned.lessons)
        again = drive(file, url, 12, seed=1, lessons=learned.lessons)
        assert [trial.params for trial in again] == [trial.params for trial in whole]
    without = drive(file, f"sqlite:///{tmp_path / 'b.db'}", 12)
    assert [trial.params for trial in without] != [trial.params for trial in whole]


def test_it_is_told_in_words() -> None:
    learned = Learned("digits", 50, tuple(LESSONS), {"no result": 40, "another model": 5})
    told = "from 5 of 50 trials of digits; left out: 40 with no result, 5 with another model"
    assert str(learned) == told


def test_the_database_of_a_study_keeps_it(tmp_path: Path, runs: Path) -> None:
    learned = learn(later(), SUMMARY, StudyFolder(runs, "later"))
    place = StudyFolder(tmp_path, "later")
    place.folder.mkdir()
    create_study(place, later(), DataReady(0, SUMMARY), [], learned).close()
    database = StudyDatabase.open(place.url, "later")
    assert database is not None
    assert database.attributes().learned == learned
    database.close()
