"""What a study file may ask of tunecli before its first trial: work that grows with its text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import pytest

from tunecli.errors import MOST_PROBLEMS, StudyFileError
from tunecli.study_file.settings.ranges import Categories, Parameter
from tunecli.study_file.space.corner_cases import MOST_POINTS, covering
from tunecli.study_file.study_file import StudyFile

START = "data: digits\nmodel: MLP\n"


def options(n: int) -> str:
    numbers = ", ".join(f"{1e-6 * (i + 1):.8g}" for i in range(n))
    return f"{START}optimizer: {{AdamW: {{lr: {{choice: [{numbers}]}}}}}}\n"


def texts(n: int) -> str:
    return options(n).replace("e-", "x")


def repeated(n: int) -> str:
    return f"{START}optimizer: {{AdamW: {{lr: {{choice: [{', '.join(['0.1'] * n)}]}}}}}}\n"


def unknown_sections(n: int) -> str:
    return f"{START}optimizer: AdamW\n" + "".join(f"k{i}: 1\n" for i in range(n))


def unknown_arguments(n: int) -> str:
    return f"{START}optimizer: {{AdamW: {{{', '.join(f'k{i}: 1' for i in range(n))}}}}}\n"


def first_trials(n: int) -> str:
    entries = "".join(f"    - {{optimizer: {{AdamW: {{lr: 0.{i + 1:06}}}}}}}\n" for i in range(n))
    ranges = "optimizer: {AdamW: {lr: {float: [1e-6, 1]}}}\n"
    return f"{START}{ranges}search:\n  start_with:\n{entries}"


def wrong_first_trials(n: int) -> str:
    return first_trials(n).replace("1e-6, 1", "2, 3")


def metrics(n: int) -> str:
    return f"{START}optimizer: AdamW\nmetrics: [{', '.join(f'm{i}' for i in range(n))}]\n"


def n_calls(text: str) -> int:
    """How many functions reading a study file calls: a measure of its work that does not vary."""
    count = 0

    def see(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        StudyFile.from_text(text, "x.yaml")
    except StudyFileError:
        pass
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    "text",
    [
        *(options, texts, repeated, unknown_sections, unknown_arguments),
        *(first_trials, wrong_first_trials, metrics),
    ],
)
def test_twice_the_text_is_twice_the_work(text: Callable[[int], str]) -> None:
    n_calls(text(1))  # what is read once, of torch
    few, twice, four_times = (n_calls(text(n)) for n in (75, 150, 300))
    assert four_times - twice < 2.5 * (twice - few)


@pytest.mark.parametrize("make", [options, texts])
def test_a_choice_of_too_many_options_is_refused_unread(make: Callable[[int], str]) -> None:
    StudyFile.from_text(options(1000), "x.yaml")
    with pytest.raises(StudyFileError, match="at most 1,000 options, but got 1,001") as error:
        StudyFile.from_text(make(1001), "x.yaml")
    assert len(error.value.problems) == 1


def labelled(n: int) -> str:
    branches = "".join(f"    o{i}: {{AdamW: {{lr: {i + 1}.0e-4}}}}\n" for i in range(n))
    return f"{START}optimizer:\n  choice:\n{branches}"


def listed(n: int) -> str:
    return f"{START}optimizer: {{choice: [{', '.join(['AdamW'] * n)}]}}\n"


@pytest.mark.parametrize("make", [labelled, listed])
def test_nor_has_a_choice_of_components_more(make: Callable[[int], str]) -> None:
    with pytest.raises(StudyFileError, match="at most 1,000 options, but got 1,001"):
        StudyFile.from_text(make(1001), "x.yaml")


def test_a_study_of_too_many_ranges_is_refused() -> None:
    widths = ", ".join(["{int: [1, 9]}"] * 501)
    text = f"data: digits\nmodel: {{MLP: {{width: [{widths}]}}}}\noptimizer: AdamW\n"
    with pytest.raises(StudyFileError, match="at most 500 ranges and choices, but got 501"):
        StudyFile.from_text(text, "x.yaml")


def test_of_very_many_mistakes_the_first_are_told_and_the_others_counted() -> None:
    n = MOST_PROBLEMS + 1234
    with pytest.raises(StudyFileError) as error:
        StudyFile.from_text(unknown_sections(n), "x.yaml")
    lines = str(error.value).splitlines()
    assert len(lines) == MOST_PROBLEMS + 1
    assert lines[-1] == "x.yaml: 1,234 more mistakes are not shown."
    assert len(error.value.problems) == n


def test_check_rehearses_so_many_pairs_of_choices_and_no_more() -> None:
    parameters = [Parameter(name, Categories(tuple(range(200)))) for name in "ab"]
    assert len(covering(parameters)) == MOST_POINTS
