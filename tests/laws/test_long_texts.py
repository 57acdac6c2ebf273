"""A study file's longest texts are read as fast as others: no rule looks back at every character.

What does so would need hours for these, far beyond the test run's patience.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tunecli.errors import RefitError, StudyFileError
from tunecli.model_folder.select_trial import conditions
from tunecli.study_file.catalogue.allowed_code import NO_CODE
from tunecli.study_file.starter import starter_name
from tunecli.study_file.study_file import StudyFile

N = 100_000
PARTS = {
    "data": "data: {}\nmodel: MLP\noptimizer: AdamW",
    "model": "data: iris\nmodel: {}\noptimizer: AdamW",
    "lr": "data: iris\nmodel: MLP\noptimizer: {{AdamW: {{lr: {}, eps: small}}}}",
    "study": "data: iris\nmodel: MLP\noptimizer: AdamW\nstudy: {}",
    "timeout": "data: iris\nmodel: MLP\noptimizer: AdamW\nsearch: {{timeout: {}}}",
    "metric": "data: iris\nmodel: MLP\noptimizer: AdamW\nmetrics: [{}]",
    "size": "data: iris\nmodel: MLP\noptimizer: AdamW\nsubject_to: {{size: {{max: {}}}}}",
}
TEXTS = {
    "data": ["i" * N, "./" * N + "x.csv", "x.py" * N + ":f", "a:" * N + "b", "a." * N, "a b.py:f"],
    "model": ["M" * N, "a." * N, "x.py" * N + ":f", "a:" * N, '"a\\0.py:f"'],
    "lr": ["1" * N + "e", "1_" * N, "0." + "1" * N + "x", "1e" + "9" * N],
    "study": ["a" * N, "-1" * N],
    "timeout": [f"'{' ' * N}x'", f"'1h{' ' * N}x'", "1" * N, "1h" * N],
    "metric": ["f@" * N, "a" * N],
    "size": ["1" * N + " MB", f"'1{' ' * N}1'"],
}


@pytest.mark.parametrize(
    ("part", "text"),
    [(part, text) for part, texts in TEXTS.items() for text in texts],
    ids=lambda text: text[:8],
)
def test_a_long_text_is_a_mistake_at_its_place(part: str, text: str) -> None:
    with pytest.raises(StudyFileError, match=r"^study\.yaml:\d+:\d+: "):
        StudyFile.from_text(PARTS[part].format(text), "study.yaml", (), Path(), NO_CODE)


@pytest.mark.parametrize("text", ["a" * N, "a >= " + " " * N + "b", " and " * N, "a" + " " * N])
def test_so_is_a_long_condition(text: str) -> None:
    with pytest.raises(RefitError, match="must look like"):
        conditions(text)


def test_and_a_long_name_of_a_file_names_a_study() -> None:
    assert starter_name("x" + ".csv" * N) == "x"
    assert starter_name(".csv" * N + "x") == "csv-" * 25
    assert starter_name("data/Wine.CSV.gz") == "Wine"
    assert starter_name("v1.2.csv") == "v1-2"
    assert starter_name(".csv") == "study"
