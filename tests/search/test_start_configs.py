from __future__ import annotations

from pathlib import Path

import pytest
from in_process import drive
from study_makers import SUMMARY

from tunecli.database.write import StudyDatabase
from tunecli.errors import StudyFileError
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.transfer import start_points, start_sources
from tunecli.study_file.study_file import StudyFile

LINE = r"\.yaml:\d+:\d+: search\.start_with\.study"
TEXT = """
data: digits
model: {MLP: {width: {int: [8, 256], log: true}}}
optimizer: {choice: {SGD: {lr: {float: [1e-4, 1e-2], log: true}}, AdamW: {lr: 0.01}}}
training: {epochs: 9}
objective: {maximize: accuracy}
"""


def study(text: str = TEXT, search: str = "trials: 9") -> StudyFile:
    whole = f"study: later\n{text}\nsearch: {{{search}, parallel: 1, sampler: Random}}"
    return StudyFile.from_text(whole, "later.yaml").completed("classification", 1797)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished study of another name."""
    folder = tmp_path_factory.mktemp("runs")
    place = StudyFolder(folder, "earlier")
    place.folder.mkdir()
    earlier = StudyFile.from_text(
        f"study: earlier\n{TEXT}\nsearch: {{parallel: 1, sampler: Random, pruner: none}}", "e.yaml"
    ).completed("classification", 1797)
    drive(earlier, place.url, 9)
    database = StudyDatabase.open(place.url, "earlier")
    assert database is not None
    database.set_attributes({"objective": {"metric": "accuracy", "direction": "maximize"}})
    database.close()
    return folder


def best_of(runs: Path) -> list[dict[str, object]]:
    database = StudyDatabase.open(StudyFolder(runs, "earlier").url, "earlier")
    assert database is not None
    complete = [trial for trial in database.trials() if trial.outcome == "complete"]
    database.close()
    return [t.params for t in sorted(complete, key=lambda t: -(t.value or 0))]


def test_the_best_trials_of_another_study_come_first(runs: Path) -> None:
    later = study(search="start_with: {study: earlier, best: 3}")
    assert start_points(later, SUMMARY, StudyFolder(runs, "later")) == best_of(runs)[:3]


def test_values_outside_todays_ranges_are_left_to_the_sampler(runs: Path) -> None:
    narrow = TEXT.replace("[8, 256]", "[8, 9]").replace("choice: {SGD", "choice: {SGD2: SGD, SGD")
    later = study(narrow, search="start_with: {study: earlier, best: 9}")
    ranges = {parameter.name for parameter in later.parameters}
    points = start_points(later, SUMMARY, StudyFolder(runs, "later"))
    assert any("optimizer" in point for point in points)
    for point in points:
        assert point.keys() <= ranges
        assert point.get("model.MLP.width", 8) in (8, 9)
    trials = drive(later, f"sqlite:///{runs / 'later.db'}", 9, points=points)
    for trial, point in zip(trials, points, strict=False):
        assert point.items() <= trial.params.items()


def test_a_study_that_optimizes_something_else_lends_nothing(runs: Path) -> None:
    other = TEXT.replace("maximize: accuracy", "minimize: log_loss")
    later = study(other, search="start_with: {study: earlier, best: 3}")
    with pytest.raises(StudyFileError, match=f"{LINE}: study earlier does not minimize log_loss"):
        start_points(later, SUMMARY, StudyFolder(runs, "later"))


def test_a_study_that_is_not_there_is_said(runs: Path) -> None:
    later = study(search="start_with: {study: nowhere, best: 3}")
    with pytest.raises(StudyFileError, match=f"{LINE}: study nowhere does not exist in "):
        start_points(later, SUMMARY, StudyFolder(runs, "later"))


TUNED = """
data: digits
model:
  choice:
    MLP: {width: {int: [8, 800]}, num_embeddings: {choice: [none, piecewise_linear]}}
    TabM: {k: 2, d_block: {choice: [8, 16]}, num_embeddings: piecewise_linear, n_bins: 4}
optimizer: {AdamW: {lr: {float: [1e-4, 1e-2], log: true}}}
training: {epochs: 1, batch_size: 128}
objective: {maximize: accuracy}
"""


def test_published_configurations_come_first_and_are_named(tmp_path: Path) -> None:
    later = study(TUNED, search="start_with: tuned")
    points = start_points(later, SUMMARY, StudyFolder(tmp_path, "later"))
    assert points == [
        {"model": "TabM", "optimizer.AdamW.lr": 0.002},
        {
            "model": "MLP",
            "model.MLP.width": 736,
            "model.MLP.num_embeddings": "piecewise_linear",
            "optimizer.AdamW.lr": 0.00036,
        },
    ]
    first, second = start_sources(later, SUMMARY)
    assert first == (
        "trial 0 starts with the published defaults of TabM (2 parameters; Gorishniy et al. 2025, "
        "arXiv:2410.24210); not applied: scale quantile, k 32, d_block 512, n_bins 48, arch mini, "
        "weight_decay 0.0003, batch_size 256, clip_norm 1.0"
    )
    assert second == (
        "trial 1 starts with the published defaults of MLP (4 parameters; Gorishniy et al. 2025, "
        "arXiv:2410.24210); not applied: scale quantile, dropout 0.3, n_bins 110, "
        "num_size 20, weight_decay 0.00065, batch_size 256, clip_norm 1.0"
    )
    trials = drive(later, f"sqlite:///{tmp_path / 'later.db'}", 3, points=points)
    for trial, point in zip(trials, points, strict=False):
        assert point.items() <= trial.params.items()


def test_a_list_has_no_sources() -> None:
    assert list(start_sources(study(), SUMMARY)) == []
