"""A simulated search is the driver's: the same trials as a search of its executor for tests."""

from __future__ import annotations

import pytest
from simulated_search import Ended, Scores, simulate

from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.study_file import Study, StudyFile

N_EPOCHS = 6


def study(search: str) -> Study:
    text = "data: digits\nmodel: MLP\noptimizer: {AdamW: {lr: {float: [0.01, 1]}}}\n"
    text += f"training: {{epochs: {N_EPOCHS}}}\nsearch: {{baselines: false, {search}}}\n"
    return StudyFile.from_text(text, "s.yaml").completed("classification", 100)


def curve(config: TrialConfig) -> Scores:
    """Scores that rise to the learning rate, and are twice as high on unseen rows."""
    lr = config.optimizer.arguments["lr"]
    rising = [lr * (step + 1) / N_EPOCHS for step in range(N_EPOCHS)]
    return Scores(rising, [2 * score for score in rising])


def searched(search: str, n_trainings: int = 10) -> list[Ended]:
    return simulate(study(search), curve, n_trainings * N_EPOCHS)


def test_without_a_pruner_each_trial_takes_a_whole_training() -> None:
    ended = searched("sampler: Random, pruner: none")
    assert [one.epochs for one in ended] == [N_EPOCHS * (n + 1) for n in range(10)]
    assert {one.outcome for one in ended} == {"complete"}
    assert all(one.unseen == pytest.approx(2 * one.value) for one in ended)


def test_the_judge_stops_what_is_worse_than_the_median() -> None:
    rule = "{Median: {n_startup_trials: 2, warmup: 0.5}}"
    ended = searched(f"sampler: Random, parallel: 1, pruner: {rule}", 20)
    complete: list[float] = []
    before = 0
    for one in ended:
        spent, before = one.epochs - before, one.epochs
        final = one.value if one.outcome == "complete" else one.value * N_EPOCHS / spent
        middle = sorted(complete)
        n = len(middle)
        median = (middle[(n - 1) // 2] + middle[n // 2]) / 2 if n else 0.0
        assert (one.outcome == "pruned") == (n >= 2 and final < median)
        assert spent == (4 if one.outcome == "pruned" else N_EPOCHS)
        complete += [one.value] if one.outcome == "complete" else []
    assert {one.outcome for one in ended} == {"complete", "pruned"}


def test_the_budget_is_kept_and_trials_are_numbered() -> None:
    ended = searched("pruner: Median, sampler: TPE, parallel: 4", 15)
    assert ended[-1].epochs <= 15 * N_EPOCHS
    assert [one.number for one in ended] == [*range(len(ended))]


def test_a_lag_hides_the_last_trials_from_the_sampler() -> None:
    tpe = "pruner: none, sampler: {TPE: {n_startup_trials: 3}}"
    now, later = (searched(f"{tpe}, parallel: {lag}", 8) for lag in (1, 4))
    assert [one.value for one in now[:3]] == [one.value for one in later[:3]]
    assert [one.value for one in now] != [one.value for one in later]
