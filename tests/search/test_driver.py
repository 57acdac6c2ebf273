from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Literal

import optuna
import pytest
from driver_studies import BRANCHES, study, table
from in_process import InProcessExecutor, drive

from tunecli.search.events.events import SearchEnded, SearchEvent, TrialFinished
from tunecli.search.study.front import FrontTracker
from tunecli.search.workers.messages import TrialJob, WorkerDied
from tunecli.study_file.settings.settings import Direction
from tunecli.training.outcome.evaluation import TrialResult

optuna.logging.set_verbosity(optuna.logging.WARNING)

FLAT = """
data: digits
model: {MLP: {width: {int: [8, 256], log: true}}}
optimizer: {AdamW: {lr: {float: [1e-4, 1], log: true}, weight_decay: {float: [0, 1]}}}
training: {epochs: 9}
"""
FINITE = """
data: digits
model: {MLP: {width: {choice: [16, 32, 64]}}}
optimizer:
  choice:
    - SGD: {lr: {choice: [0.01, 0.1]}}
    - AdamW: {lr: {float: [0.1, 0.3], step: 0.1}}
training: {epochs: 9}
"""
TWO = "objective: [{maximize: accuracy}, {minimize: size}]\n"
LIMITED = "constraints: {size: {max: 20KB}}\n"
CASES = [
    (BRANCHES, "TPE", "Median"),
    (FLAT, "CmaEs", "Hyperband"),
]
SLOW_CASES = [
    (BRANCHES + TWO, "TPE", "Median"),
    (FINITE, "BruteForce", "Median"),
    (FLAT.replace("9}", "9, smooth_score: 5}"), "TPE", "Median"),
    (BRANCHES, "TPE", "Hyperband"),
    (BRANCHES, "TPE", "{Percentile: {percentile: 40}}"),
    (BRANCHES, "Random", "Median"),
    (BRANCHES, "Random", "{Threshold: {lower: 0.3}}"),
    (BRANCHES, "NSGAII", "Median"),
    (FLAT, "NSGAIII", "none"),
    (FLAT, "QMC", "{Patient: {patience: 1, wrapped_pruner: Median}}"),
    (FLAT, "{QMC: {scramble: true}}", "SuccessiveHalving"),
    (FLAT, "GP", "none"),
    (FLAT + TWO, "GP", "none"),
    (FLAT + TWO, "NSGAII", "Median"),
    (FLAT + TWO + LIMITED, "NSGAIII", "none"),
    (BRANCHES + TWO + LIMITED, "TPE", "none"),
    (BRANCHES + LIMITED, "TPE", "Median"),
    (FLAT + LIMITED, "CmaEs", "none"),
    (FLAT + TWO, "QMC", "Median"),
    (FLAT + TWO, "Random", "Hyperband"),
]
EVERY_CASE = CASES + [pytest.param(*case, marks=pytest.mark.slow) for case in SLOW_CASES]
N_TRIALS = 30


@pytest.fixture
def new_url(tmp_path: Path) -> object:
    numbers = count()
    return lambda: f"sqlite:///{tmp_path / f'{next(numbers)}.db'}"


@pytest.mark.parametrize(("text", "sampler", "pruner"), EVERY_CASE)
def test_jobs_halves_and_kills_give_the_same_table(
    text: str, sampler: str, pruner: str, new_url: object
) -> None:
    n_trials = 10 if sampler == "GP" else 13 if sampler == "BruteForce" else N_TRIALS
    file = study(text, sampler, pruner)
    whole = drive(file, new_url(), n_trials)
    assert all(trial.outcome is not None for trial in whole)
    for n_workers in (2, 4):
        assert table(drive(file, new_url(), n_trials, n_workers, seed=n_workers)) == table(whole)

    url = new_url()
    drive(file, url, n_trials // 2, n_workers=2, seed=5)
    assert table(drive(file, url, n_trials, n_workers=3, seed=6)) == table(whole)

    url = new_url()
    for seed in range(3):
        drive(file, url, n_trials, n_workers=4, seed=seed, stop_after=40)
    assert table(drive(file, url, n_trials, n_workers=2, seed=9)) == table(whole)


@pytest.mark.parametrize(
    ("text", "sampler", "pruner"),
    [
        (BRANCHES, "TPE", "{SuccessiveHalving: {reduction_factor: 2}}"),
        pytest.param(FLAT, "CmaEs", "Hyperband", marks=pytest.mark.slow),
        pytest.param(BRANCHES, "TPE", "Median", marks=pytest.mark.slow),
    ],
)
def test_workers_that_die_change_nothing(
    text: str, sampler: str, pruner: str, new_url: object
) -> None:
    file = study(text, sampler, pruner, extra=", attempts: 100")
    whole = drive(file, new_url(), N_TRIALS)
    assert table(drive(file, new_url(), N_TRIALS, 3, seed=1, deaths=0.05)) == table(whole)


def test_a_worker_that_always_dies_fails_its_trial_alone(new_url: object) -> None:
    trials = drive(study(FLAT, "Random", "none"), new_url(), 3, deaths=1.0)
    assert {trial.reason for trial in trials} == {"worker died: killed by SIGKILL"}
    assert [trial.attempt for trial in trials] == [3, 3, 3]


def test_a_lost_node_costs_a_trial_no_attempt(
    new_url: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("in_process.WorkerDied", partial(WorkerDied, is_lost=True))
    file = study(FLAT, "Random", "none", extra=", attempts: 1")
    trials = drive(file, new_url(), 8, 2, deaths=0.2)
    assert "failed" not in {trial.outcome for trial in trials}
    assert {trial.attempt for trial in trials} == {1}
    assert table(trials) == table(drive(study(FLAT, "Random", "none"), new_url(), 8))


def test_an_eviction_is_retried_and_out_of_memory_after_the_last_attempt(
    new_url: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    evicted = partial(
        WorkerDied, out_of_memory=True, is_evicted=True, last_words="Ray ended it on node a"
    )
    monkeypatch.setattr("in_process.WorkerDied", evicted)
    trials = drive(study(FLAT, "Random", "none"), new_url(), 3, deaths=1.0)
    assert {trial.reason for trial in trials} == {"out of memory: Ray ended it on node a"}
    assert [trial.attempt for trial in trials] == [3, 3, 3]
    file = study(FLAT, "Random", "none", extra=", attempts: 100")
    now_and_then = drive(file, new_url(), 8, 2, deaths=0.2)
    assert table(now_and_then) == table(drive(study(FLAT, "Random", "none"), new_url(), 8))


def test_optuna_reads_several_objectives_and_their_front(new_url: object) -> None:
    url = new_url()
    told: list[SearchEvent] = []
    trials = drive(study(FLAT + TWO, "TPE", "none"), url, 30, told=told)
    found = optuna.load_study(study_name="study", storage=url)
    assert [way.name for way in found.directions] == ["MAXIMIZE", "MINIMIZE"]
    theirs = [tuple(trial.values or ()) for trial in found.trials]
    assert theirs == [trial.values for trial in trials]
    front = {trial.number for trial in found.best_trials}
    directions: list[Direction] = ["maximize", "minimize"]
    ours = FrontTracker(directions, trials)
    assert {trial.number for trial in trials if trial in ours} == front
    assert ours.first is max((trials[n] for n in front), key=lambda trial: trial.values[0])
    ended = [event for event in told if isinstance(event, TrialFinished)]
    assert front <= {event.number for event in ended if event.is_best}
    assert all(event.values == trials[event.number].values for event in ended)


@pytest.mark.parametrize("sampler", ["TPE", "NSGAII"])
def test_samplers_learn_to_keep_to_a_limit(sampler: str, new_url: object) -> None:
    """The limit allows widths up to 20 of 8 to 256, a quarter of the space."""
    sampler = "{NSGAII: {population_size: 10}}" if sampler == "NSGAII" else sampler
    limit = "constraints: {size: {max: 6KB}}\n"
    trials = drive(study(FLAT + TWO + limit, sampler, "none", parallel=1), new_url(), 60)
    infeasible = [trial.outcome == "infeasible" for trial in trials]
    assert sum(infeasible[:20]) > sum(infeasible[40:])
    for trial in trials:
        assert (trial.metrics.get("size", 0.0) > 6000) == bool(trial.violations), trial


def test_pruning_stops_some_and_tpe_learns(new_url: object) -> None:
    trials = drive(study(BRANCHES, "TPE", "Median"), new_url(), 60)
    outcomes = [trial.outcome for trial in trials]
    assert outcomes.count("pruned") > 5
    assert outcomes.count("complete") > 5


@pytest.mark.slow
def test_tpe_finds_more_than_random(new_url: object) -> None:
    def median_of_last(sampler: str) -> float:
        trials = drive(study(FLAT, sampler, "none", parallel=1), new_url(), 60)
        return median(trial.value or 0.0 for trial in trials[40:])

    assert median_of_last("TPE") > median_of_last("Random") + 0.1


@pytest.mark.parametrize("sampler", ["Grid", "BruteForce"])
def test_a_finite_space_is_walked_once_and_then_exhausted(sampler: str, new_url: object) -> None:
    text = FINITE if sampler == "BruteForce" else FINITE.replace("choice:\n    - SGD", "SGD")
    if sampler == "Grid":
        text = """
data: digits
model: {MLP: {width: {choice: [16, 32, 64]}, batch_norm: {choice: [true, false]}}}
optimizer: {AdamW: {lr: {float: [0.1, 0.3], step: 0.1}}}
training: {epochs: 9}
"""
    trials = drive(study(text, sampler, "none"), new_url(), 100)
    points = {str(trial.params) for trial in trials}
    expected = 18 if sampler == "Grid" else 3 * (2 + 3)
    assert len(points) == len(trials) == expected


def test_start_with_comes_first_and_the_rest_is_suggested(new_url: object) -> None:
    extra = ", start_with: [{optimizer: {AdamW: {lr: 1e-3}}}, {model: {MLP: {width: 99}}}]"
    trials = drive(study(BRANCHES, "TPE", "none", extra=extra), new_url(), 3)
    assert trials[0].params["optimizer"] == "AdamW"
    assert trials[0].params["optimizer.AdamW.lr"] == 1e-3
    assert 8 <= trials[0].params["model.MLP.width"] <= 256
    assert trials[1].params["model.MLP.width"] == 99


def test_free_order_loses_no_trial(new_url: object) -> None:
    file = study(BRANCHES, "TPE", "Median", extra=", order: free")
    url = new_url()
    drive(file, url, 12, n_workers=3, stop_after=60)
    trials = drive(file, url, 20, n_workers=4, seed=1)
    assert [trial.number for trial in trials] == list(range(20))
    assert all(trial.outcome is not None for trial in trials)


def test_trials_is_a_total(new_url: object) -> None:
    file, url = study(FLAT, "Random", "none"), new_url()
    first = drive(file, url, 5)
    assert table(drive(file, url, 5)) == table(first)
    assert len(drive(file, url, 8)) == 8


def test_a_search_in_which_all_fail_says_so_however_few(new_url: object) -> None:
    text = FLAT.replace("[1e-4, 1]", "[10, 20]")  # where the formula's training fails
    for n_trials, n_run in ((3, 3), (40, 8)):
        file = study(text, "Random", "none")
        told: list[SearchEvent] = []
        trials = drive(file, new_url(), n_trials, n_workers=2, told=told)
        ended = told[-1]
        outcomes = [trial.outcome for trial in trials if trial.outcome is not None]
        assert outcomes == ["failed"] * n_run
        assert len(trials) <= n_run + 2
        assert isinstance(ended, SearchEnded)
        assert (ended.ending, ended.reason) == ("failing", "error: too fast")


@pytest.mark.parametrize(("cause", "n_run"), [("rows", 8), ("{} rows", 8), ("x" * 9, 12)])
def test_reasons_that_differ_in_numbers_only_are_one(
    cause: str, n_run: int, new_url: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(executor: InProcessExecutor, job: TrialJob, *_: object) -> TrialResult:
        different = cause[: job.number % 7] if cause.startswith("x") else cause
        return TrialResult("failed", f"error: no room for {different.format(job.number)}")

    monkeypatch.setattr(InProcessExecutor, "_result", fail)
    told: list[SearchEvent] = []
    trials = drive(study(FLAT, "Random", "none"), new_url(), 12, told=told)
    ended = told[-1]
    assert isinstance(ended, SearchEnded)
    assert ended.ending == "failing"
    assert ended.reason.startswith("error: no room for ")
    assert sum(trial.outcome == "failed" for trial in trials) == n_run


@pytest.mark.parametrize("outcome", ["diverged", "infeasible"])
def test_a_search_in_which_no_trial_gets_a_value_ends_after_enough_of_them(
    outcome: Literal["diverged", "infeasible"], new_url: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(executor: InProcessExecutor, job: TrialJob, *_: object) -> TrialResult:
        return TrialResult(outcome, f"n_weights of {job.number} is above 10")

    monkeypatch.setattr(InProcessExecutor, "_result", end)
    for n_trials, n_run in ((3, 3), (60, 30)):
        told: list[SearchEvent] = []
        trials = drive(study(FLAT, "Random", "none"), new_url(), n_trials, told=told)
        ended = told[-1]
        assert [trial.outcome for trial in trials].count(outcome) == n_run
        assert isinstance(ended, SearchEnded)
        assert (ended.ending, ended.outcome) == ("failing", outcome)
        assert ended.reason == "n_weights of 0 is above 10"


def test_a_failed_study_can_go_on_once_the_cause_is_repaired(new_url: object) -> None:
    text, url = FLAT.replace("[1e-4, 1]", "[10, 20]"), new_url()
    drive(study(text, "Random", "none"), url, 40, n_workers=2)
    repaired = study(FLAT, "Random", "none")
    trials = drive(repaired, url, 20, n_workers=2)
    assert sum(trial.outcome == "complete" for trial in trials) >= 8


@pytest.mark.parametrize("sampler", ["Grid", "BruteForce"])
def test_a_finite_space_takes_start_with_up_to_rounding(sampler: str, new_url: object) -> None:
    text = """
data: digits
model: {MLP: {width: {choice: [16, 32, 64]}}}
optimizer: {AdamW: {lr: {float: [0.1, 0.5], step: 0.1}}}
training: {epochs: 9}
"""
    entry = "{optimizer: {AdamW: {lr: 0.3}}, model: {MLP: {width: 32}}}"
    extra = f", start_with: [{entry}, {entry}]"  # the second has been tried by then
    trials = drive(study(text, sampler, "none", extra=extra), new_url(), 100)
    assert len({str(trial.params) for trial in trials}) == len(trials) == 15
    assert trials[0].params["model.MLP.width"] == 32
    assert trials[0].params["optimizer.AdamW.lr"] == pytest.approx(0.3)


def test_free_order_uses_all_that_is_known(new_url: object) -> None:
    file = study(FLAT, "TPE", "none", parallel=8, extra=", order: free")
    exact = study(FLAT, "TPE", "none", parallel=8)
    free = drive(file, new_url(), 25)
    # One worker: TPE has 10 finished trials when trial 10 is suggested, in exact order only 3.
    assert [t.params for t in free[:10]] == [t.params for t in drive(exact, new_url(), 10)]
    greedy = study(FLAT, "TPE", "none", parallel=1)
    assert [t.params for t in free] == [t.params for t in drive(greedy, new_url(), 25)]
