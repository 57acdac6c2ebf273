"""A user's `predict` as a network: what it may return, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tunecli.data.user_code import import_user_code
from tunecli.errors import UserCodeError
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.training.outcome.output_meaning import OutputMeaning
from tunecli.training.step.losses import decode_outputs
from tunecli.training.user_loop.user_network import UserNetwork, refuse_without_predict

CODE = """
import json
import torch

def fit(config, fold, report):
    pass

def predict(folder, x):
    print("predicting")
    value = json.loads((folder / "returns.json").read_text())
    return torch.tensor(value, dtype=torch.bfloat16) if folder.name == "tensor" else value
"""


@pytest.fixture(autouse=True)
def permitted(tmp_path: Path) -> Iterator[None]:
    for name, text in {
        "own.py": CODE,
        "without.py": "def fit(config, fold, report): pass",
        "wrong.py": "def fit(config, fold): pass\ndef predict(x): pass",
        "broken.py": "1 / 0",
    }.items():
        (tmp_path / name).write_text(f"{text}\n# {tmp_path}\n")
    files = [str(path) for path in tmp_path.glob("*.py")]
    import_user_code.permit(AllowedCode.of(tmp_path, files))
    yield
    import_user_code.permit(AllowedCode(Path()))


def outputs(tmp_path: Path, returned: str, n_classes: int, name: str = "0") -> torch.Tensor:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "returns.json").write_text(returned)
    return UserNetwork("own.py:fit", folder, n_classes)(torch.zeros(2, 3))


@pytest.mark.parametrize("name", ["list", "tensor"])
def test_probabilities_and_values_pass_unchanged(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = outputs(tmp_path, "[[0.25, 0.75], [1, 0]]", 2, name)
    decoded = decode_outputs(OutputMeaning("probability"), found)
    np.testing.assert_array_equal(decoded, np.float32([[0.25, 0.75], [1, 0]]))
    assert capsys.readouterr() == ("", "predicting\n")  # standard output is for results


def test_values_stay_in_64_bits(tmp_path: Path) -> None:
    found = outputs(tmp_path, "[1e9, 1000000000.5]", 0)
    np.testing.assert_array_equal(
        decode_outputs(OutputMeaning("value"), found), [1e9, 1000000000.5]
    )


@pytest.mark.parametrize(
    ("returned", "n_classes", "message"),
    [
        ("[0.5, 0.5]", 2, r"must return probabilities .*, shape \(2, 2\), but got shape \(2,\)"),
        ("[[1], [1]]", 0, r"must return values \(rows,\), shape \(2,\), but got shape \(2, 1\)"),
        ("[[1.5, -0.5], [1, 0]]", 2, "of at least 0 that sum to 1 .* lowest number -0.5"),
        ("[[3, 1], [1, 0]]", 2, "a row with the sum 4 and .* Apply softmax"),
        ("[NaN, 1]", 0, "returned a number that is not finite"),
        ('"text"', 0, "must return an array of numbers, got str"),
    ],
)
def test_anything_else_is_refused(
    tmp_path: Path, returned: str, n_classes: int, message: str
) -> None:
    with pytest.raises(UserCodeError, match=rf"own\.py:predict.*{message}"):
        outputs(tmp_path, returned, n_classes)


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        ("without.py:fit", r"without\.py has no function predict\(folder, x\), which a model of"),
        ("wrong.py:fit", r"wrong\.py:predict: tunecli calls it as predict\(folder, x\)"),
        ("broken.py:fit", "ZeroDivisionError"),
        ("other.py:fit", "does not exist"),
    ],
)
def test_a_training_without_predict_is_refused(fit: str, message: str) -> None:
    refuse_without_predict("own.py:fit")
    with pytest.raises(UserCodeError, match=message):
        refuse_without_predict(fit)
