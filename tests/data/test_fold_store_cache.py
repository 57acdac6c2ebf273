"""Data that is searched: each value of an argument of the function is a data set of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from commands import call_in, rows
from training_cases import trial

from tunecli.data.fold_store import FoldStore, FoldStoreCache
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.workspace import Workspace
from tunecli.data.user_code import import_user_code
from tunecli.errors import DataError, StudyFileError
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.edits import changes
from tunecli.study_file.settings.ranges import IntRange, Range
from tunecli.study_file.settings.settings import DataSettings, TrialConfig, ValidationSettings
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.scalars import Scalar

CODE = """
import numpy as np

def load(n_lags, noise=0.0, classes=False):
    series = np.sin(np.arange(80) / 3).astype("float32")
    x = np.stack([series[10 - lag : -lag] for lag in range(1, n_lags + 1)], 1)
    y = series[10:]
    return x, ((y > 0).astype(int) if classes else y)
"""

STUDY = """
data: {source: {lags.py:load: {n_lags: {int: [1, 3]}, noise: 0.5}}, test: 0.2}
model: Linear
optimizer: {SGD: {lr: 0.05}}
training: {epochs: 2}
validation: {folds: 2}
search: {trials: 3, sampler: Grid, baselines: false}
"""


@pytest.fixture(autouse=True)
def _permitted(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "lags.py").write_text(CODE)
    import_user_code.permit(_code(tmp_path))
    yield
    import_user_code.permit(AllowedCode(Path()))


def _code(folder: Path) -> AllowedCode:
    return AllowedCode.of(folder, [str(folder / "lags.py")])


def _study(folder: Path, text: str = STUDY) -> StudyFile:
    return StudyFile.from_text(text, "lags.yaml", (), folder, _code(folder))


def _config(**arguments: object) -> TrialConfig:
    data = DataSettings(source="lags.py:load", arguments=arguments, test=0.2)
    changed = {"data": data, "validation": ValidationSettings(folds=2)}
    return trial(metric="rmse").model_copy(update=changed)


def _values(folder: Path, study: str) -> Sequence[tuple[object, ...]]:
    """Lags (none where they are fixed) and score of each trial."""
    return rows(
        folder / "runs" / study / "study.db",
        "SELECT param_value, value FROM trials JOIN trial_values USING (trial_id) "
        "LEFT JOIN trial_params USING (trial_id) ORDER BY number",
    )


def test_an_argument_is_a_parameter_like_any_other(tmp_path: Path) -> None:
    study = _study(tmp_path)
    assert {p.name: p.range for p in study.parameters} == {
        "data.source.load.n_lags": IntRange(1, 3)
    }
    assert study.data.arguments == {"n_lags": 1, "noise": 0.5}

    def three(name: str, range_: Range) -> Scalar:
        return 3

    config = study.completed("regression", 70).resolve(three)
    assert config.data.arguments == {"n_lags": 3, "noise": 0.5}
    assert study.code_in_use.keys() == {"lags.py"}
    assert _study(tmp_path, study.to_yaml()) == study


def test_start_with_gives_it_as_it_is_written(tmp_path: Path) -> None:
    entry = "start_with: [{data: {source: {lags.py:load: {n_lags: 2}}}}], sampler: Grid"
    study = _study(tmp_path, STUDY.replace("sampler: Grid", entry))
    assert study.start_with == ({"data.source.load.n_lags": 2},)


def test_only_another_range_leaves_scores_comparable(tmp_path: Path) -> None:
    def effects(old: str, new: str) -> list[str]:
        return [
            c.effect for c in changes(_study(tmp_path), _study(tmp_path, STUDY.replace(old, new)))
        ]

    assert effects("[1, 3]", "[2, 5]") == ["space"]
    assert effects("noise: 0.5", "noise: 0.25") == ["refused"]
    assert "refused" in effects("{int: [1, 3]}", "2")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("n_lags:", "n_legs:", "load has no argument `n_legs`. Did you mean `n_lags`"),
        (
            "load: {n_lags: {int: [1, 3]}, noise: 0.5}",
            "load: {int: [1, 3]}",
            "replace all arguments",
        ),
        (
            "lags.py:load: {n_lags: {int: [1, 3]}, noise: 0.5}",
            "choice: [iris, wine]",
            "cannot be a range",
        ),
        (
            "test: 0.2",
            "test: {float: [0.1, 0.2]}",
            "the arguments of a function that is data.source",
        ),
    ],
)
def test_what_cannot_be_searched_is_told(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(StudyFileError) as told:
        _study(tmp_path, STUDY.replace(old, new))
    assert message in str(told.value)


def test_without_code_no_range_runs_it(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match="add --code"):
        StudyFile.from_text(STUDY, "lags.yaml", (), tmp_path, AllowedCode(tmp_path))


def test_the_last_two_data_sets_are_kept(tmp_path: Path) -> None:
    stores = FoldStoreCache(Workspace(tmp_path, None, _code(tmp_path)))
    found = [stores.of(_config(n_lags=n)) for n in (1, 2, 1, 3, 1, 2)]
    assert [fold.shape for store in found for fold in store.folds(FeatureForm(), True)[:1]] == [
        (1,), (2,), (1,), (3,), (1,), (2,)
    ]  # fmt: skip
    assert found[0] is found[2] is found[4]
    assert found[1] is not found[5]


def test_rows_are_split_alike_whatever_the_arguments_are(tmp_path: Path) -> None:
    stores = FoldStoreCache(Workspace(tmp_path, None, _code(tmp_path)))
    one, other = (stores.of(_config(n_lags=n)) for n in (1, 3))
    assert isinstance(one, FoldStore)
    assert isinstance(other, FoldStore)
    assert one.split.test_rows.tolist() == other.split.test_rows.tolist()
    for mine, its in zip(one.split.folds, other.split.folds, strict=True):
        assert [rows.tolist() for rows in mine] == [rows.tolist() for rows in its]


def test_data_for_another_task_is_refused(tmp_path: Path) -> None:
    stores = FoldStoreCache(Workspace(tmp_path, None, _code(tmp_path)))
    with pytest.raises(
        DataError, match="returns data for classification, but the study's objective"
    ):
        stores.of(_config(n_lags=1, classes=True))


@pytest.mark.slow
def test_a_trial_scores_as_a_study_of_its_data_alone(tmp_path: Path) -> None:
    (tmp_path / "lags.yaml").write_text(STUDY)
    (tmp_path / "three.yaml").write_text(
        STUDY.replace("{int: [1, 3]}", "3").replace("trials: 3, sampler: Grid", "trials: 1")
    )
    for name, jobs in (("lags", "2"), ("three", "1")):
        file = f"{name}.yaml"
        call_in(tmp_path, "search", file, "--code", "lags.py", "--jobs", jobs, "--quiet")
    by_lags = dict(_values(tmp_path, "lags"))
    [(_, alone)] = _values(tmp_path, "three")
    assert sorted(by_lags) == [1, 2, 3]
    assert by_lags[3] == alone != by_lags[2]

    wider = STUDY.replace("[1, 3]", "[2, 4]").replace("trials: 3", "trials: 4")
    (tmp_path / "lags.yaml").write_text(wider)
    call_in(tmp_path, "search", "lags.yaml", "--jobs", "1", "--quiet")
    assert len(_values(tmp_path, "lags")) == 4
