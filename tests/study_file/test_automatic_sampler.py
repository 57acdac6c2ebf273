from __future__ import annotations

import pytest

from tunecli.study_file.study_file import StudyFile

FLAT = "data: digits\nmodel: MLP\noptimizer: {AdamW: {lr: {float: [1e-4, 1], log: true}}}\n"
BRANCHES = FLAT.replace("MLP", "{choice: {MLP: {dropout: {float: [0, 0.5]}}, Linear: {}}}")
SEVERAL = "objective: [{maximize: accuracy}, {minimize: size}]\n"


def read(text: str) -> StudyFile:
    return StudyFile.from_text(text, "s.yaml")


@pytest.mark.parametrize(
    ("text", "arguments", "why"),
    [
        (FLAT, {"multivariate": False}, "found the best trials"),
        (BRANCHES, {"multivariate": False}, "found the best trials"),
        (FLAT + SEVERAL, {}, "all objectives"),
    ],
)
def test_auto_takes_a_sampler_and_says_why(
    text: str, arguments: dict[str, object], why: str
) -> None:
    study = read(text)
    assert study.search.sampler.name == "TPESampler"
    assert study.search.sampler.arguments == arguments
    assert why in study.why_sampler
    written = read(f"{text}search: {{sampler: auto}}")
    assert written == study
    assert written.why_sampler == study.why_sampler


@pytest.mark.parametrize(("trials", "n_startup"), [(1, 5), (15, 5), (16, None), (50, None)])
def test_in_few_trials_it_learns_early(trials: int, n_startup: int | None) -> None:
    sampler = read(f"{FLAT}search: {{trials: {trials}}}").search.sampler
    assert sampler.arguments["multivariate"] is False
    assert sampler.arguments.get("n_startup_trials") == n_startup


def test_a_named_sampler_is_taken_as_it_is() -> None:
    study = read(f"{FLAT}search: {{sampler: TPE, pruner: Median, parallel: 8}}")
    assert study.search.sampler.arguments == {}
    assert (study.why_sampler, study.left_open) == ("", frozenset())


def test_the_completed_file_names_the_sampler_that_was_taken() -> None:
    completed = read(FLAT).completed("classification", 100)
    assert "sampler: {TPESampler: {multivariate: false}}" in completed.to_yaml()
    assert read(completed.to_yaml()).search == completed.search
