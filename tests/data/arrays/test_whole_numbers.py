"""Whole numbers of a user's own arrays: as they are for code that embeds them, else floats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import call_in
from loaded_cases import Rows, loaded_rows
from torch import Tensor
from training_cases import component, trial

from tunecli.data.arrays.arrays import from_arrays, with_targets
from tunecli.data.arrays.user_data import load_user_data
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.preprocessing.preparation import Prepared, fit_preprocessing, prepared
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.features import as_features
from tunecli.data.rows.workspace import Workspace
from tunecli.data.user_code.import_user_code import permit
from tunecli.errors import DataError, TunecliError
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.settings.settings import Component, DataSettings, ValidationSettings
from tunecli.training.fold_data import takes_integers
from tunecli.training.step.augmentation import BatchChange

RANDOM = np.random.default_rng(0)
TOKENS = RANDOM.integers(2, 50, (40, 4))
TOKENS[:, 0] = 1  # begins each row
TOKENS[5, 3] = 2**53 + 1  # which no float holds
VOLUMES = RANDOM.integers(-(2**30), 2**30, (40, 2, 3, 3)).astype(np.int32)
Y = np.arange(40) % 2
DATA = DataSettings(source="own.py:load")
TRAIN, VALID = torch.arange(30), torch.arange(30, 40)
STANDARD = Component(name="standard")


def in_memory(x: np.ndarray) -> Dataset:
    return from_arrays("own.py:load", x, Y, DATA)


def loaded(x: np.ndarray) -> Dataset:
    rows = loaded_rows(Rows(x))
    return replace(with_targets("own.py:load", rows, Y, DATA), known_fingerprint="f")


def whole(found: Prepared) -> Tensor:
    parts = [(found.x_train, 30), (found.x_valid, 10)]
    return torch.cat([next(as_features(x).batches(None, [n])) for x, n in parts])


@pytest.mark.parametrize("x", [TOKENS, VOLUMES], ids=["tokens", "volumes"])
@pytest.mark.parametrize("source", [in_memory, loaded])
def test_a_model_of_one_s_own_gets_what_the_source_gave(source: object, x: np.ndarray) -> None:
    dataset = source(x)  # type: ignore[operator]
    found = whole(prepared(dataset, TRAIN, VALID, DATA, FeatureForm(integers=True)))
    assert found.dtype == torch.int64
    np.testing.assert_array_equal(found.numpy(), x)
    fitted = fit_preprocessing(dataset, TRAIN, DATA, FeatureForm(integers=True))
    assert fitted.kind == "integers"
    rows = next(as_features(fitted.features(dataset.x, VALID)).batches(None, [10]))
    assert torch.equal(rows, found[30:])


@pytest.mark.parametrize("scale", [None, STANDARD], ids=["none", "standard"])
@pytest.mark.parametrize("x", [TOKENS, VOLUMES], ids=["tokens", "volumes"])
@pytest.mark.parametrize("source", [in_memory, loaded])
def test_others_get_the_floats_that_float_arrays_give(
    source: object, x: np.ndarray, scale: Component | None
) -> None:
    found, expected = (
        whole(prepared(source(one), TRAIN, VALID, DATA, FeatureForm(scale)))  # type: ignore[operator]
        for one in (x, x.astype(np.float64))
    )
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_what_is_scaled_is_no_whole_number_for_anybody() -> None:
    found = prepared(in_memory(TOKENS), TRAIN, VALID, DATA, FeatureForm(STANDARD, integers=True))
    assert whole(found).dtype == torch.float32


def test_code_of_one_s_own_takes_whole_numbers() -> None:
    assert takes_integers(trial(model=Component(name="own.py:Net")))
    own = trial().model_copy(update={"train": Component(name="own.py:fit")})
    assert takes_integers(own)
    assert not takes_integers(trial(model=component("MLP")))


@pytest.mark.parametrize("setting", ["mixup", "input_noise"])
def test_whole_numbers_are_not_mixed(setting: str) -> None:
    config = trial(**{setting: 0.2})
    with pytest.raises(
        TunecliError, match=f"training.{setting}: the model gets unscaled integers"
    ):
        BatchChange(config, as_features(torch.from_numpy(TOKENS)), 0)


@pytest.mark.parametrize("x", [TOKENS * 1.0, VOLUMES * 1.0], ids=["table", "pixels"])
def test_numbers_that_end_nowhere_in_32_bits_need_a_scale(x: np.ndarray) -> None:
    x.reshape(40, -1)[7, 3] = 1e45
    dataset = in_memory(x)
    with pytest.raises(DataError, match=r"is 1e\+45 in row 8, but unscaled numbers"):
        prepared(dataset, TRAIN, VALID, DATA, FeatureForm())
    assert whole(prepared(dataset, TRAIN, VALID, DATA, FeatureForm(STANDARD))).isfinite().all()


def test_columns_far_from_zero_stay_apart_when_scaled() -> None:
    x = RANDOM.normal(size=(40, 2))
    moved = whole(prepared(in_memory(x + 1.7e9), TRAIN, VALID, DATA, FeatureForm(STANDARD)))
    found = whole(prepared(in_memory(x), TRAIN, VALID, DATA, FeatureForm(STANDARD)))
    assert torch.allclose(moved, found, atol=1e-5)


def test_frames_of_one_s_own_keep_the_names_of_their_columns(tmp_path: Path) -> None:
    code = (
        "import pandas as pd\n"
        "def load(names, test):\n"
        "    x = pd.DataFrame([[1, i, i * i] for i in range(40)], columns=list(names))\n"
        "    y = [i % 2 for i in range(40)]\n"
        "    return x, y, x[list(test)], y\n"
    )
    (tmp_path / "frames.py").write_text(code)
    allowed = AllowedCode.of(tmp_path, ["frames.py"])
    permit(allowed)

    def read(names: str, test: str) -> Dataset:
        arguments = {"names": names, "test": test}
        settings = DataSettings(source="frames.py:load", arguments=arguments)
        return load_user_data(settings, ValidationSettings(), Workspace(tmp_path, None, allowed))

    dataset = read("abc", "abc")
    assert [column.name for column in dataset.columns] == ["a", "b", "c"]
    assert dataset.x[3].tolist() == [1, 3, 9]  # type: ignore[union-attr]
    with pytest.raises(DataError, match="must have the same columns in the same order"):
        read("abc", "bac")
    with pytest.raises(DataError, match="have two columns named 'b'"):
        read("abb", "a")


USER_CODE = """
import numpy as np
from torch import nn
def load():
    x = np.random.default_rng(0).integers(2, 50, (200, 4))
    x[:, 0] = 1
    return x, x[:, 1] % 2
class Net(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.embedding, self.head = nn.Embedding(50, 3), nn.Linear(12, num_classes)
    def forward(self, x):
        assert x.shape[1] == 4 and (x.is_floating_point() or (x[:, 0] == 1).all())
        return self.head(self.embedding(x).flatten(1))
class Numbers(nn.Linear):
    def __init__(self, num_classes):
        super().__init__(4, num_classes)
"""


def write_tokens(folder: Path, scale: str, model: str = "Net") -> None:
    (folder / "tokens.py").write_text(USER_CODE)
    (folder / "study.yaml").write_text(
        f"data: {{source: tokens.py:load, scale: {scale}}}\nmodel: tokens.py:{model}\n"
        "optimizer: AdamW\ntraining: {epochs: 1}\nvalidation: {folds: 2}\n"
    )


def test_check_gives_tokens_to_a_model_as_they_are(tmp_path: Path) -> None:
    write_tokens(tmp_path, "none")
    done = call_in(tmp_path, "check", "study.yaml", "--code", "tokens.py")
    assert "gets the features unscaled, as whole numbers (int64)" in done.stdout


@pytest.mark.parametrize("command", ["check", "search"])
def test_tokens_that_are_scaled_are_an_error_with_advice(tmp_path: Path, command: str) -> None:
    write_tokens(tmp_path, "standard")
    done = call_in(tmp_path, command, "study.yaml", "--code", "tokens.py", code=2)
    shown = " ".join((done.stdout if command == "check" else done.stderr).split())
    assert (
        "The integers of the data are scaled (standard, float32). If they are tokens or codes, "
        "write data: {scale: none}." in shown
    )


def test_check_notes_that_integers_are_scaled(tmp_path: Path) -> None:
    write_tokens(tmp_path, "standard", "Numbers")
    done = call_in(tmp_path, "check", "study.yaml", "--code", "tokens.py")
    assert (
        "Your own code gets the features, which are integers, scaled (standard, float32). If "
        "they are tokens or codes, write data: {scale: none}." in " ".join(done.stdout.split())
    )
