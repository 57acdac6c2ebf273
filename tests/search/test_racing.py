"""Folds that join in later: the same table however the search runs, and whole values."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from statistics import fmean, median

import optuna
import pytest
from commands import run_in
from driver_studies import BRANCHES, study, table
from in_process import drive, score
from test_driver import FLAT

from tunecli.database.records import read_study
from tunecli.database.trials import Trial
from tunecli.search.events.events import SearchEvent, TrialEvaluated
from tunecli.search.suggest.suggester import Suggester
from tunecli.search.suggest.visible_trials import VisibleTrials
from tunecli.search.workers.messages import TrialJob

optuna.logging.set_verbosity(optuna.logging.WARNING)

ON = "validation: {folds: 5, racing: on}\n"
OFF = "validation: {folds: 5}\n"
CASES = [
    (BRANCHES + ON, "TPE", "Median"),
]
SLOW_CASES = [
    (FLAT + ON, "Random", "none"),
    (FLAT + ON, "CmaEs", "Hyperband"),
    (FLAT + ON, "GP", "Median"),
    (FLAT + ON, "TPE", "SuccessiveHalving"),
    (FLAT + ON, "TPE", "{Threshold: {lower: 0.1}}"),
    (FLAT + ON, "QMC", "{Patient: {patience: 1, wrapped_pruner: Median}}"),
    (FLAT.replace("9}", "9, smooth_score: 5}") + ON, "TPE", "{Percentile: {percentile: 40}}"),
    (FLAT + ON + "constraints: {size: {max: 20KB}}\n", "NSGAII", "Median"),
]
EVERY_CASE = CASES + [pytest.param(*case, marks=pytest.mark.slow) for case in SLOW_CASES]


@pytest.fixture
def new_url(tmp_path: Path) -> object:
    numbers = count()
    return lambda: f"sqlite:///{tmp_path / f'{next(numbers)}.db'}"


def everything(trials: list[Trial]) -> object:
    return [(table([trial]), trial.n_waiting, trial.fold_curves) for trial in trials]


@pytest.mark.parametrize(("text", "sampler", "pruner"), EVERY_CASE)
def test_jobs_halves_and_kills_give_the_same_table(
    text: str, sampler: str, pruner: str, new_url: object
) -> None:
    n_trials = 12 if sampler == "GP" else 30
    file = study(text, sampler, pruner)
    whole = drive(file, new_url(), n_trials)
    for n_workers in (2, 4):
        again = drive(file, new_url(), n_trials, n_workers, seed=n_workers)
        assert everything(again) == everything(whole)

    url = new_url()
    drive(file, url, n_trials // 2, n_workers=2, seed=5)
    assert everything(drive(file, url, n_trials, n_workers=3, seed=6)) == everything(whole)

    url = new_url()
    for seed in range(3):
        drive(file, url, n_trials, n_workers=4, seed=seed, stop_after=60)
    assert everything(drive(file, url, n_trials, n_workers=2, seed=9)) == everything(whole)


def test_workers_that_die_change_nothing(new_url: object) -> None:
    file = study(FLAT + ON, "TPE", "Median", extra=", attempts: 100")
    whole = drive(file, new_url(), 30)
    again = drive(file, new_url(), 30, 3, seed=1, deaths=0.05)
    assert everything(again) == everything(whole)


@pytest.mark.parametrize(
    "pruner",
    [
        "Median",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("none", "SuccessiveHalving", "{Threshold: {lower: 0}}")
        ),
    ],
)
def test_a_complete_trial_has_the_value_of_all_folds(pruner: str, new_url: object) -> None:
    trials = drive(study(FLAT + ON, "Random", pruner), new_url(), 40)
    for trial in trials:
        if trial.outcome == "complete":
            job = TrialJob(trial.number, 1, trial.config, asks=False)
            curves = [[score(job, fold, step) for step in range(9)] for fold in range(5)]
            assert trial.curve == [fmean(scores) for scores in zip(*curves, strict=True)]
            assert trial.value == pytest.approx(max(trial.curve), abs=1e-15)
            assert (len(trial.fold_scores), trial.n_waiting) == (5, 0)
    stopped = [trial for trial in trials if trial.outcome == "pruned"]
    assert {trial.n_waiting for trial in stopped} >= {3}
    assert all(len(trial.fold_scores) == 5 - trial.n_waiting for trial in stopped)
    assert all(len(trial.fold_curves) == 5 - trial.n_waiting for trial in stopped)


def test_racing_without_a_pruner_spares_the_other_folds_of_trials_below_the_median(
    new_url: object,
) -> None:
    """The rule: the best mean of the stage, and the median of those of the complete trials."""
    trials = drive(study(FLAT + ON, "Random", "none", parallel=1), new_url(), 40)
    n_stopped = 0
    for trial in trials:
        complete = [one for one in trials[: trial.number] if one.outcome == "complete"]
        first = [fmean(scores) for scores in zip(*trial.fold_curves[:2], strict=True)]
        if trial.outcome == "pruned":
            others = [zip(*one.fold_curves[:2], strict=True) for one in complete]
            assert len(complete) >= 5
            assert max(first) < median(max(map(fmean, curve)) for curve in others)
            n_stopped += 1
    assert n_stopped > 10


@pytest.mark.slow
def test_ten_folds_join_in_three_stages(new_url: object) -> None:
    told: list[SearchEvent] = []
    drive(study(FLAT + ON.replace("5,", "10,"), "Random", "Median"), new_url(), 30, told=told)
    evaluated = [event for event in told if isinstance(event, TrialEvaluated)]
    assert {len(event.folds) for event in evaluated} == {2, 4, 10}
    for number in range(30):
        positions = [event.position for event in evaluated if event.number == number]
        assert positions == [*range(len(positions))]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(OFF, ON), (ON, OFF)])
def test_racing_may_be_switched_within_a_study(before: str, after: str, new_url: object) -> None:
    """Trials of before are compared with by the folds that both have."""
    first, second = (study(FLAT + one, "Random", "Median") for one in (before, after))

    def searched() -> object:
        url = new_url()
        drive(first, url, 15, n_workers=3)
        return everything(drive(second, url, 30, n_workers=3, seed=4))

    assert searched() == searched()


@pytest.mark.parametrize("sampler", ["CmaEs", "TPE"])
def test_samplers_see_what_a_stopped_trial_would_have_on_all_folds(sampler: str) -> None:
    """Else a trial of two easy folds would look better to GP and CMA-ES than it is."""
    file = study(FLAT + ON, sampler, "none", parallel=1)
    suggester = Suggester(file, [], [], VisibleTrials([(0, 1)]))
    trials: list[Trial] = []
    for number in range(3):
        asked = suggester.ask(number)
        assert asked is not None
        trials.append(Trial(number, asked.params, asked.distributions, asked.config))
    for trial, scores in zip(
        trials, ([0.9, 0.9, 0.4, 0.4, 0.4], [0.7, 0.7, 0.2, 0.2, 0.2]), strict=False
    ):
        trial.outcome, trial.value, trial.fold_scores = "complete", fmean(scores), tuple(scores)
    stopped = trials[2]
    stopped.outcome, stopped.value, stopped.curve = "pruned", 0.8, [0.75, 0.8]
    stopped.fold_scores, stopped.n_waiting = (0.8, 0.8), 3
    suggester.show(trials, 3)
    seen = suggester._study.trials[2]
    if sampler == "TPE":  # it ranks stopped trials by how far they got
        assert seen.intermediate_values == {1: 0.8}
    else:
        assert seen.value == pytest.approx(0.8 - 0.3)


@pytest.mark.parametrize(("n_waiting", "step"), [(3, 1), (0, 10)])
def test_of_two_stopped_trials_that_with_more_folds_got_further(n_waiting: int, step: int) -> None:
    config = study(FLAT + ON, "TPE", "none").first_config  # of 9 evaluations
    scores = (0.5,) * (5 - n_waiting)
    trial = Trial(0, {}, {}, config, fold_scores=scores, n_waiting=n_waiting, curve=[0.4, 0.5])
    assert trial.n_evaluations - 1 == step


@pytest.mark.slow
def test_a_real_search_has_the_same_values_without_racing(tmp_path: Path) -> None:
    text = """
data: iris
validation: {{folds: 5, racing: {racing}}}
model: {{MLP: {{width: {{int: [4, 16]}}, dropout: 0.1}}}}
optimizer: {{AdamW: {{lr: {{float: [1e-3, 1e-1], log: true}}}}}}
training: {{epochs: 8, early_stopping: {{patience: 2}}}}
objective: {{minimize: log_loss}}
search: {{trials: 20, sampler: Random, pruner: {pruner}, baselines: false}}
"""
    curves = {}
    for name, racing, pruner in (("on", "on", "Median"), ("off", "off", "none")):
        (tmp_path / f"{name}.yaml").write_text(text.format(racing=racing, pruner=pruner))
        searched = run_in(tmp_path, "search", f"{name}.yaml", "--jobs", "1").stderr
        assert ("on 2 of 5 folds" in searched) == (name == "on")
        study = read_study(f"sqlite:///{tmp_path}/runs/{name}/study.db")
        ended = {trial.number: trial for trial in study.trials if trial.outcome == "complete"}
        curves[name] = {
            number: (trial.value, trial.fold_scores, trial.metrics, study.curve(trial).score)
            for number, trial in ended.items()
        }
    assert 5 < len(curves["on"]) < len(curves["off"]) == 20
    assert curves["on"].items() <= curves["off"].items()
    stopped = next(n for n in range(20) if n not in curves["on"])
    told = run_in(tmp_path, "report", "on", "--trial", str(stopped)).stdout
    assert "pruned on the first 2 of 5 folds (validation.racing)" in told
