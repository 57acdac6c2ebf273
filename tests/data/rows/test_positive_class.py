"""The positive class: the rarer of two by default, or the one that the study file names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import call_in
from hypothesis import given
from hypothesis import strategies as st

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.positive_class import positive_class
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings


def dataset(labels: list[int], classes: list[str]) -> Dataset:
    y = torch.tensor(labels)
    return Dataset("t", "classification", torch.zeros(len(y), 1), y, classes)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=30), st.randoms())
def test_it_is_the_rarer_one_of_the_rows_for_the_search(labels: list[int], random: object) -> None:
    searched = torch.arange(0, len(labels), 2)
    found = positive_class(dataset(labels, ["a", "b"]), searched, None)
    seen = [labels[row] for row in searched.tolist()]
    assert found in (0, 1)
    assert seen.count(found) <= seen.count(1 - found)
    if seen.count(0) == seen.count(1):
        assert found == 1


def test_only_two_classes_have_one() -> None:
    rows = torch.arange(6)
    assert positive_class(dataset([0, 1, 2, 0, 1, 2], ["a", "b", "c"]), rows, None) is None
    numbers = Dataset("t", "regression", torch.zeros(6, 1), torch.zeros(6), [])
    assert positive_class(numbers, rows, None) is None


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["no", "yes"], "class 'yess' does not exist. Did you mean `yes`?"),
        (["0", "1"], "class 'yess' does not exist. Write one of `0` and `1`."),
        (
            ["a", "b", "c"],
            "got 'yess', but this applies only to two classes, and the data has 3 classes.",
        ),
    ],
)
def test_a_class_that_is_no_class_is_refused(classes: list[str], message: str) -> None:
    data = dataset([number % len(classes) for number in range(9)], classes)
    with pytest.raises(DataError, match=re.escape(message)) as raised:
        positive_class(data, torch.arange(9), "yess")
    assert raised.value.setting == "data.positive"


def test_numbers_have_no_class() -> None:
    data = Dataset("t", "regression", torch.zeros(6, 1), torch.zeros(6), [])
    with pytest.raises(
        DataError,
        match=re.escape(
            "got 'yes', but this applies only to two classes, and the task is regression. Re"
        ),
    ):
        positive_class(data, torch.arange(6), "yes")


def test_a_fold_store_names_it() -> None:
    store = FoldStore(DataSettings(source="breast_cancer"), ValidationSettings(folds=3))
    counts = np.bincount(store.dataset.y[store.split.search_rows])
    assert store.positive == counts.argmin()
    assert store.positive_name == "malignant"
    assert store.folds(FeatureForm(), standardize_target=False)[0].positive == store.positive


@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        ("positive: ja", ":1:44: data.positive: ", "class 'ja' does not exist. Write one of"),
        ("positive: 2", ":1:44: data.positive: ", "class '2' does not exist. Write one of"),
        ("positive: [1]", ":1:34: data.positive", ""),
    ],
)
def test_mistakes_are_told_at_their_line(
    line: str, place: str, message: str, tmp_path: Path
) -> None:
    rows = "".join(f"{i % 7},{int(i % 5 == 0)}\n" for i in range(60))
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}")
    text = f"data: {{source: t.csv, target: y, {line}}}\nmodel: Linear\noptimizer: SGD\n"
    (tmp_path / "s.yaml").write_text(text)
    refused = call_in(tmp_path, "check", "s.yaml", code=2)
    assert f"s.yaml{place}" in refused.stderr
    assert message in refused.stderr


def test_a_number_may_be_written_as_one(tmp_path: Path) -> None:
    rows = "".join(f"{i % 7},{int(i % 5 == 0)}\n" for i in range(60))
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}")
    text = "data: {source: t.csv, target: y, positive: 0}\nmodel: Linear\noptimizer: SGD\n"
    (tmp_path / "s.yaml").write_text(text + "metrics: [f1]\ntraining: {epochs: 1}\n")
    checked = call_in(tmp_path, "check", "s.yaml").stdout
    assert "positive    class '0', 38 of the 48 rows for the search (79.2%)" in checked
    assert "f1 of '0'" in checked


@pytest.mark.parametrize(
    ("section", "place"),
    [
        ("metrics: [{f1: {average: binary}}]", "4:26: metrics[0].f1.average"),
        ("constraints: {f1: {average: binary, min: 0.5}}", "4:29: constraints.f1.average"),
        ("objective: {maximize: {f1: {average: binary}}}", "4:38: objective.maximize.f1.average"),
    ],
)
def test_binary_needs_two_classes(section: str, place: str, tmp_path: Path) -> None:
    text = f"data: iris\nmodel: Linear\noptimizer: SGD\n{section}\n"
    (tmp_path / "s.yaml").write_text(text)
    refused = call_in(tmp_path, "check", "s.yaml", code=2)
    assert (
        f"s.yaml:{place}: binary needs two classes, but the data has 3 classes. Write macro, "
        "micro or weighted." in refused.stderr
    )
