from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.database.trials import Trial
from tunecli.search.prune.judge import Judge, first_verdict
from tunecli.search.prune.warmup_share import at_length
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.study_file import StudyFile


def median(**arguments: object) -> Component:
    return Component(name="MedianPruner", arguments={**arguments})


@given(st.integers(0, 99), st.integers(0, 500))
def test_the_evaluations_within_the_share_are_exempt(percent: int, length: int) -> None:
    steps = at_length(median(warmup=percent / 100), length).arguments["n_warmup_steps"]
    share = Fraction(percent, 100)
    assert steps == share * length // 1
    assert all(Fraction(n, length) <= share for n in range(1, steps + 1))


def test_other_arguments_and_pruners_stay() -> None:
    assert at_length(median(n_startup_trials=3), 20) == median(n_startup_trials=3)
    patient = Component(
        name="PatientPruner", arguments={"patience": 2, "wrapped_pruner": median(warmup=0.5)}
    )
    inner = at_length(patient, 20).arguments["wrapped_pruner"]
    assert inner == median(n_warmup_steps=10)
    assert first_verdict(patient, 20) == 10


@pytest.mark.parametrize(("length", "first"), [(0, 0), (1, 0), (3, 0), (4, 1), (20, 6), (52, 17)])
def test_the_first_verdict_follows_the_length(length: int, first: int) -> None:
    assert first_verdict(median(warmup=0.33), length) == first


@pytest.mark.parametrize("epochs", [6, 12])
def test_each_trial_is_judged_by_its_own_length(epochs: int) -> None:
    text = "data: digits\nmodel: MLP\noptimizer: AdamW\ntraining: {epochs: {int: [6, 12]}}\n"
    study = StudyFile.from_text(text, "s.yaml").completed("classification", 100)
    config = study.resolve(lambda name, range_: epochs)
    judge = Judge(median(warmup=0.5, n_startup_trials=0), "maximize", "s")
    judge.start(0, config, range(0))
    for _ in range(epochs):
        judge.add(0, 1.0)
    judge.finish(Trial(0, {}, {}, config, outcome="complete"))
    judge.start(1, config, range(1))
    verdicts = []
    for _ in range(epochs):
        judge.add(1, 0.0)
        verdicts.append(judge.stops(1))
    assert verdicts == [False] * (epochs // 2) + [True] * (epochs - epochs // 2)
