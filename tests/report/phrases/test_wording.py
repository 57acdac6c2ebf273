from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_makers import SUMMARY

from tunecli.report.phrases import wording
from tunecli.study_file.text.counts import count
from tunecli.training.outcome.evaluation import Baseline


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.97634, "0.9763"),
        (0.05, "0.0500"),
        (1.0, "1.000"),
        (54.1234, "54.12"),
        (2912.3, "2912"),
        (-0.5, "-0.5000"),
        (0.0, "0.0000"),
        (0.00012345, "1.234e-04"),
        (3.2e12, "3.200e+12"),
        (math.inf, "inf"),
        (math.nan, "nan"),
        (None, "–"),
    ],
)
def test_scores(value: float | None, shown: str) -> None:
    assert wording.score(value) == shown


@given(st.floats(), st.none() | st.floats())
def test_a_score_is_short_whatever_it_lines_up_with(value: float, like: float | None) -> None:
    assert len(wording.score(value, like)) <= len("-999999999.0000")


def test_a_diverged_value_has_an_exponent_in_a_column_of_others() -> None:
    assert wording.score(1e30, like=50.0) == "1.000e+30"
    assert wording.score(-2.5e9, like=0.9) == "-2.500e+09"
    assert wording.score(50.0, like=1e30) == "5.000e+01"
    assert wording.with_spread(0.9, 1e30) == "0.9000 ± 1.000e+30"


def test_a_spread_has_the_decimals_of_its_mean() -> None:
    assert wording.with_spread(54.123, 3.2) == "54.12 ± 3.20"
    assert wording.with_spread(0.97, 0.0081234) == "0.9700 ± 0.0081"
    assert wording.with_spread(0.97, 0.0) == "0.9700 ± 0.0000"
    assert wording.with_spread(1.0, 0.0) == "1.000 ± 0.000"
    assert wording.with_spread(0.97, None) == "0.9700"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0.00 s"),
        (0.423, "0.42 s"),
        (4.14, "4.1 s"),
        (59.94, "59.9 s"),
        (59.97, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3599.9, "1 h 0 min"),
        (12000, "3 h 20 min"),
        (187200, "2 d 4 h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert wording.duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(1, "5 s"), (42, "40 s"), (89, "90 s"), (91, "2 min"), (5000, "83 min"), (7200, "2.0 h")],
)
def test_estimates_have_one_unit(seconds: float, shown: str) -> None:
    assert wording.about(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "none"), (True, "true"), (3, "3"), (0.00123456, "0.001235"), ("a\x07b", r"a\x07b")],
)
def test_scalars(value: object, shown: str) -> None:
    assert wording.scalar(value) == shown


NAMES = st.lists(st.sampled_from(["a", "b", "lr", "or", "x[0]"]), min_size=1, max_size=4)


@given(st.lists(NAMES.map(".".join), unique=True))
def test_short_names_are_endings_that_tell_apart(names: list[str]) -> None:
    short = wording.short_names(names)
    assert list(short) == names
    assert len(set(short.values())) == len(names)
    for name, end in short.items():
        assert name == end or name.endswith("." + end)


def test_short_names() -> None:
    names = [
        "optimizer",
        "optimizer.SGD.lr",
        "optimizer.AdamW.lr",
        "training.l1",
        "training.l1.or",
    ]
    assert list(wording.short_names(names).values()) == [
        "optimizer",
        "SGD.lr",
        "AdamW.lr",
        "l1",
        "l1.or",
    ]


def test_a_gate_and_its_range_are_one_assignment() -> None:
    taken = {"training.l1.or": True, "optimizer.SGD.lr": 0.1}
    searched = {"training.l1.or": False, "training.l1": 1e-6}
    gates = {"training.l1": 0, "optimizer.SGD.lr": 1.0}
    assert wording.assignments(taken, gates) == ["l1=0", "lr=0.1"]
    assert wording.assignments(taken, {"training.l1": None}) == ["l1=none", "lr=0.1"]
    assert wording.assignments(taken) == ["l1=off", "lr=0.1"]
    assert wording.assignments(searched, gates) == ["l1=1e-06"]
    assert wording.assignments({"x.or": "a", "y.or": False}) == ["x.or=a", "y.or=false"]


def test_a_gate_is_called_as_its_range() -> None:
    """Alone it must still tell itself from the same argument of another branch."""
    names = ["a.l1.or", "b.l1"]
    assert wording.assignments(dict(zip(names, (True, 0.5), strict=True)), {"a.l1": 0}) == [
        "a.l1=0",
        "b.l1=0.5",
    ]


@given(st.lists(st.floats(), max_size=200), st.integers(1, 60))
def test_a_sparkline_is_never_wider_than_asked(values: list[float], width: int) -> None:
    assert len(wording.sparkline(values, width)) <= width


def test_sparklines() -> None:
    assert wording.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert wording.sparkline([3, math.nan, 1]) == "█ ▁"
    assert wording.sparkline([2, 2]) == "▄▄"
    assert wording.sparkline([0, 0, 10, 10], width=2) == "▁█"
    assert wording.sparkline([1e308, 1e308, -1e308, -1e308], width=2) == "█▁"
    assert wording.sparkline([math.inf, -math.inf, 1, 1, 2, 2], width=3) == " ▁█"
    assert wording.sparkline([math.nan]) == wording.sparkline([]) == ""


def test_counting_words() -> None:
    assert [count(n, noun) for n, noun in [(1, "trial"), (2000, "row"), (3, "class")]] == [
        "1 trial",
        "2,000 rows",
        "3 classes",
    ]
    assert wording.tally({"complete": 3, "pruned": 0, "failed": 1}) == "3 complete · 1 failed"
    assert wording.memory_text(2**28) == "256 MiB"
    assert wording.memory_text(3 * 2**30) == "3.0 GiB"


def test_what_the_data_is() -> None:
    assert wording.data_lines(SUMMARY) == [
        ("data", "digits: 1,797 rows, 8 × 8 pictures, 10 classes"),
        ("test", "360 rows held out, 1,437 used for the search"),
        ("validation", "2 stratified folds"),
        ("guessing", "always the commonest class: accuracy 0.1012"),
    ]
    table = replace(
        SUMMARY,
        source="t.csv",
        target="sick, 10 classes (text)",
        n_numeric=6,
        n_categorical=8,
        n_features=58,
        n_missing=9,
        notes=("Column `a` is empty and left out.",),
    )
    shown = dict(wording.data_lines(table))
    assert shown["data"] == (
        "t.csv: 1,797 rows, 14 columns (6 numeric, 8 categorical), 58 features, "
        "9 missing values, 10 classes"
    )
    assert shown["target"] == "sick, 10 classes (text)"
    assert shown["note"] == "Column `a` is empty and left out."
    numbers = replace(table, n_numeric=9, n_categorical=0, n_features=9, n_missing=0)
    assert dict(wording.data_lines(numbers))["data"] == "t.csv: 1,797 rows, 9 features, 10 classes"
    assert wording.size((30,)) == "30 features"
    assert wording.size((3, 32, 32)) == "32 × 32 pictures in 3 channels"


def test_options_are_called_by_what_they_mean() -> None:
    assert wording.option("optimizer", "SGD", {}) == "SGD"
    assert wording.option("optimizer", None, {}) == "none"
    assert wording.option("training.l1.or", True, {"training.l1": 0}) == "0"
    assert wording.option("training.l1.or", True, {}) == "off"
    assert wording.option("training.l1.or", False, {"training.l1": 0}) == "in its range"
    assert wording.option("model.MLP.batch_norm", True, {}) == "true"


def test_untuned_models_in_words() -> None:
    linear = Baseline("ridge regression", (2.0, 4.0), 61.0, note="on 700 rows")
    trees = Baseline("gradient-boosted trees", (1.0, 2.0), 3.0)
    assert wording.untuned(()) == ""
    assert wording.untuned([Baseline("mean", (9.0,))]) == ""
    assert wording.untuned([linear, trees]) == (
        "ridge regression 3.000 (on 700 rows, 1 min 1 s), gradient-boosted trees 1.500 (3.0 s)"
    )
    why = "3,072 features exceed the limit of 1,024"
    without = [Baseline(one.name, note=why) for one in (linear, trees)]
    assert (
        wording.untuned(without) == f"ridge regression and gradient-boosted trees skipped: {why}"
    )
    hostile = Baseline("ridge regression", note="error: \x1b[31m")
    assert wording.untuned([hostile]).isprintable()
