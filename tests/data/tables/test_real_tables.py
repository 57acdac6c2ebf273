"""The study files for real tables, on the real tables; they lie beside the project, if at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from locations import DATA, STUDIES

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.summary import DataSummary
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset as load_data
from tunecli.search.workers.summarize_data import describe
from tunecli.study_file.settings.source_kinds import kind_of
from tunecli.study_file.space.walk import first_value
from tunecli.study_file.study_file import StudyFile, read_study_file

MOST_LINES = 15

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not there"),
]


def described(name: str, folder: Path) -> tuple[DataSummary, FoldStore]:
    (folder / "data").symlink_to(DATA)
    study = read_study_file(Path(shutil.copy(STUDIES / f"{name}.yaml", folder)))
    workspace = Workspace(folder, folder / "cache")
    dataset = load_data(study.data, workspace, study.validation)
    completed = study.completed(dataset.task, len(dataset.y), dataset.given)
    config = completed.resolve(lambda _, range_: first_value(range_))
    store = FoldStore(config.data, config.validation, workspace, dataset=dataset)
    return describe(config, store), store


@pytest.mark.parametrize(
    ("name", "rows", "columns", "features", "missing"),
    [
        ("adult", (32_561, 16_281), (6, 8), range(50, 80), 6_465),
        ("california_housing", (16_512, 4_128), (8, 1), range(12, 16), 207),
        ("covertype", (74_369, 18_593), (53, 0), range(53, 54), 0),
        ("concrete", (827, 203), (8, 0), range(8, 9), 0),
        ("protein", (36_537, 9_193), (9, 0), range(9, 10), 0),
    ],
)
def test_a_real_table_is_understood(
    tmp_path: Path,
    name: str,
    rows: tuple[int, int],
    columns: tuple[int, int],
    features: range,
    missing: int,
) -> None:
    summary, store = described(name, tmp_path)
    assert (summary.n_search, summary.n_test) == rows
    assert (summary.n_numeric, summary.n_categorical) == columns
    assert summary.n_features in features
    assert summary.n_missing == missing
    for fold in store.folds(FeatureForm(), standardize_target=True):
        assert isinstance(fold.x_train, torch.Tensor)
        assert fold.x_train.isfinite().all()


def test_patients_stay_in_one_part_and_rare_codes_together(tmp_path: Path) -> None:
    summary, store = described("diabetes130", tmp_path)
    assert 100 < summary.n_features < 250
    assert summary.n_rows == 101_766
    assert store.dataset.groups is not None
    groups = store.dataset.groups
    parts = [*store.split.folds[0], store.split.test_rows]
    patients = [set(groups[part].tolist()) for part in parts]
    assert sum(map(len, patients)) == len(set().union(*patients)) == 71_518


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda p: p.stem)
def test_a_study_of_a_table_is_short(path: Path) -> None:
    text = path.read_text()
    data = StudyFile.from_text(text, str(path)).data
    is_table = data.source.startswith("data/") and kind_of(data.source) == "table"
    if is_table and not data.text and "\nvariant:" not in text:
        assert len(text.splitlines()) <= MOST_LINES
