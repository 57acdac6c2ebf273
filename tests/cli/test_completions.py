"""What the shell completes after TAB, in a folder with studies, files and models."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import environment

START = """
import sys
sys.argv = ["tunecli"]
from tunecli.__main__ import main
try:
    main()
finally:
    heavy = {"torch", "optuna", "pandas", "numpy", "sqlalchemy"} & {*sys.modules}
    print(sorted(heavy), file=sys.stderr)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for study in ("digits", "digits-2", "sales"):
        (tmp_path / "runs" / study).mkdir(parents=True)
        (tmp_path / "runs" / study / "study.db").touch()
    for model in (tmp_path / "runs" / "digits" / "model", tmp_path / "deployed"):
        model.mkdir()
        (model / "model.json").touch()
    (tmp_path / "runs" / ".trash" / "old").mkdir(parents=True)
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "others" / "mine").mkdir(parents=True)
    (tmp_path / "others" / "mine" / "study.db").touch()
    for file in ("digits.yaml", "sales.yml", ".hidden.yaml", "data.csv"):
        (tmp_path / file).touch()
    return tmp_path


def completed(place: Path, *words: str, **variables: str) -> list[str]:
    """What bash is offered after these words, of which the last is incomplete."""
    done = subprocess.run(
        [sys.executable, "-c", START],
        cwd=place,
        env=environment()
        | variables
        | {
            "_TUNECLI_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(["tunecli", *words]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "[]\n", "TAB must not wait for imports"
    return done.stdout.split()


@pytest.mark.parametrize("command", ["report", "next", "refit", "remove", "dashboard"])
def test_studies_and_study_files(command: str, place: Path) -> None:
    assert completed(place, command, "d") == ["digits", "digits-2", "digits.yaml"]


def test_every_study_is_offered_without_a_beginning(place: Path) -> None:
    found = completed(place, "report", "")
    assert found == ["digits", "digits-2", "sales", "digits.yaml", "sales.yml"]


@pytest.mark.parametrize("command", ["predict", "export"])
def test_models(command: str, place: Path) -> None:
    assert completed(place, command, "") == ["digits", "deployed"]


def test_compress_takes_both(place: Path) -> None:
    assert completed(place, "compress", "d") == ["digits", "digits-2", "digits.yaml", "deployed"]


def test_studies_of_another_folder(place: Path) -> None:
    assert completed(place, "report", "--runs", "others", "m") == ["mine"]
    assert completed(place, "report", "m", TUNECLI_RUNS="others") == ["mine"]


def test_studies_of_another_database_are_not_known(place: Path) -> None:
    assert completed(place, "report", "--storage", "sqlite:///x.db", "d") == ["digits.yaml"]


def test_several_studies_are_each_offered_once(place: Path) -> None:
    assert completed(place, "report", "digits", "d") == ["digits-2", "digits.yaml"]


def test_where_nothing_fits_the_shell_completes_paths(place: Path) -> None:
    assert completed(place, "report", "runs/") == []
    assert completed(place, "predict", "digits", "da") == []
    assert completed(place, "report", "x", TUNECLI_RUNS="nowhere") == []
