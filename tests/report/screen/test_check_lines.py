"""What `check` says of a search space."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tunecli.report.screen import check_lines
from tunecli.search.suggest.blind_trials import blind_trials
from tunecli.study_file.settings.search_settings import SearchSettings
from tunecli.study_file.study_file import StudyFile

STUDY = """study: digits
data: digits
model: {choice: {MLP: {width: {int: [8, 64], log: true}}, Linear: {}}}
optimizer: {AdamW: {weight_decay: {float: [1e-4, 1], log: true, or: 0}}}
training:
  batch_size: {choice: [32, 64]}
  l1: {float: [1e-8, 1e-4], log: true, or: 0}
"""


LONG = """study: s
data: {source: reviews.csv, target: y, text: review}
model:
  choice:
    AutoModelForSequenceClassification:
      config: bert
      dropout: {float: [0.0, 0.2]}
      adapter: {choice: [none, {LoraConfig: {r: {int: [2, 8]}, lora_alpha: {int: [4, 32]}}}]}
    LSTM: {dropout: {float: [0.0, 0.5]}}
optimizer: {AdamW: {lr: {float: [1e-5, 1e-3], log: true}}}
"""


def shown(text: str, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(check_lines.space(StudyFile.from_text(text, "digits.yaml")))
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_a_range_and_its_other_value_are_one_row() -> None:
    assert shown(STUDY) == [
        "digits: 5 searched parameters",
        "",
        "parameter kind range only if",
        "model choice MLP, Linear",
        "model.MLP.width int 8 … 64, log model = MLP",
        "optimizer.AdamW.weight_decay float 0.0001 … 1, log, or 0",
        "training.batch_size choice 32, 64",
        "training.l1 float 1e-08 … 0.0001, log, or 0",
        "",
    ]


def test_the_condition_of_its_branch_stays() -> None:
    in_branch = STUDY.replace("log: true}}, Linear", "log: true, or: 100}}, Linear")
    assert "model.MLP.width int 8 … 64, log, or 100 model = MLP" in shown(in_branch)


@pytest.mark.parametrize("width", [80, 100])
def test_long_names_leave_room_for_kind_range_and_condition(width: int) -> None:
    rows = "\n".join(shown(LONG, width))
    assert "….adapter.LoraConfig.r int 2 … 8 adapter = LoraConfig" in rows
    assert "….LoraConfig.lora_alpha int 4 … 32 adapter = LoraConfig" in rows
    assert "LSTM.dropout float 0 … 0.5 model = LSTM" in rows


def test_names_are_whole_where_they_fit() -> None:
    path = "model.AutoModelForSequenceClassification.adapter"
    assert f"{path}.LoraConfig.r int 2 … 8 adapter = LoraConfig" in shown(LONG, 200)


def test_nothing_to_search() -> None:
    assert shown("study: s\ndata: digits\nmodel: MLP\noptimizer: AdamW\n") == [
        "s: 0 searched parameters"
    ]


@pytest.mark.parametrize(
    ("search", "independent", "told"),
    [
        (
            SearchSettings(),
            ["model"],
            "samples these parameters at random, independently of the others: model",
        ),
        (SearchSettings(parallel=3), [], "Set it to 4"),
        (SearchSettings(timeout=60.0), [], "search.timeout uses the clock"),
    ],
)
def test_what_one_should_know_is_said(
    search: SearchSettings, independent: list[str], told: str
) -> None:
    assert told in remarks(search, independent)
    assert remarks(SearchSettings(), []).strip() == ""


def test_a_limit_on_a_trials_time_costs_exactness() -> None:
    assert "exactly reproducible only without" in remarks(SearchSettings(), [], max_time=7200.0)


def test_goals_and_limits_are_told_and_that_a_latency_is_inexact() -> None:
    goals = (
        "objective: [{maximize: accuracy}, {minimize: size}]\n"
        "constraints: {n_weights: {max: 1e5}, recall: {min: 0.5, max: 0.9}, latency: {max: 5ms}}\n"
    )
    console = Console(file=io.StringIO(), width=200)
    console.print(check_lines.goals(StudyFile.from_text(STUDY + goals, "digits.yaml")))
    text = console.file.getvalue()
    assert "maximize accuracy, minimize size" in text
    assert "n_weights at most 100,000, recall at least 0.5 and at most 0.9" in text
    assert "latency at most 5 ms" in text
    assert "latency is measured with a clock: it differs from run to run" in text


@pytest.mark.parametrize(
    ("search", "lines"),
    [
        (
            "search: {trials: 30}\n",
            [
                "sampler auto took {TPE: {multivariate: false}}: of all samplers, it found the "
                "best trials (measured: `tunecli guide study-file`)",
                "blind the first 13 of 30 trials; TPE needs 10 results to learn, and "
                "search.parallel: 4 delays each result by 3 trials",
            ],
        ),
        (
            "search: {trials: 6, sampler: {TPE: {n_startup_trials: 1}}, parallel: 1}\n",
            ["blind the first 1 of 6 trials; TPE needs 1 result to learn"],
        ),
        (
            "search: {trials: 6, sampler: TPE, order: free}\n",
            ["blind the first 6 of 6 trials; TPE needs 10 results to learn"],
        ),
        ("search: {sampler: Random}\n", []),
    ],
)
def test_what_auto_took_and_how_many_trials_are_blind(search: str, lines: list[str]) -> None:
    study = StudyFile.from_text(STUDY + search, "digits.yaml")
    console = Console(file=io.StringIO(), width=300)
    blind = blind_trials(study.search, len(study.parameters))
    console.print(check_lines.sampler_lines(study, blind))
    printed = console.file.getvalue().splitlines()
    assert [" ".join(line.split()) for line in printed if line.strip()] == lines


def remarks(search: SearchSettings, independent: list[str], max_time: float | None = None) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(check_lines.remarks(search, independent, 2, max_time))
    return console.file.getvalue()
