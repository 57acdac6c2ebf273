from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from driver_studies import BRANCHES, study, table
from hypothesis import given
from hypothesis import strategies as st
from in_process import drive

from tunecli.database.records import read_study
from tunecli.database.trials import Trial
from tunecli.search.events.events import SearchEnded, SearchEvent, TrialFinished
from tunecli.search.trial_budget import SPARED, TrialBudget

FLAT = """
data: digits
model: {MLP: {width: {int: [8, 256], log: true}}}
optimizer: {AdamW: {lr: {float: [1e-4, 0.5], log: true}}}
training: {epochs: 9}
"""
SMALL = "constraints: {size: {max: 6KB}}\n"  # widths up to 20: a quarter of the space
IMPOSSIBLE = "constraints: {size: {max: 10}}\n"


@pytest.fixture
def new_url(tmp_path: Path) -> Callable[[], str]:
    numbers = count()
    return lambda: f"sqlite:///{tmp_path / f'{next(numbers)}.db'}"


@given(
    outcomes=st.lists(st.booleans(), min_size=132, max_size=132),
    n_total=st.integers(1, 12),
    n_workers=st.integers(1, 8),
    data=st.data(),
)
def test_the_trials_do_not_depend_on_workers_or_their_order(
    outcomes: list[bool], n_total: int, n_workers: int, data: st.DataObject
) -> None:
    """Simulate workers that end their trials in any order; one after another is the reference."""
    budget = TrialBudget(n_total, spares_untrained=True)

    def n_trials(n_workers: int, choose: Callable[[list[int]], int]) -> int:
        started, n_spared, running = 0, 0, list[int]()
        while True:
            while len(running) < n_workers and budget.has_room(started, n_spared, len(running)):
                running.append(started)
                started += 1
            if not running:
                return started
            n_spared += outcomes[running.pop(choose(running))]

    in_turn = n_trials(1, lambda _: 0)
    in_any = n_trials(n_workers, lambda running: data.draw(st.integers(0, len(running) - 1)))
    assert in_any == in_turn
    n_spared = sum(outcomes[:in_turn])
    assert n_spared <= SPARED * n_total
    assert in_turn - n_spared == n_total or n_spared == SPARED * n_total


def spared(trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.is_untrained]


@pytest.mark.parametrize(
    ("text", "sampler"), [(FLAT, "TPE"), pytest.param(BRANCHES, "Random", marks=pytest.mark.slow)]
)
def test_jobs_halves_and_kills_give_the_same_trials(
    text: str, sampler: str, new_url: Callable[[], str]
) -> None:
    file = study(text + SMALL, sampler, "none")
    whole = drive(file, new_url(), 12, spares_untrained=True)
    assert len(whole) - len(spared(whole)) == 12
    assert spared(whole)
    for n_workers in (2, 4):
        url = new_url()
        assert table(
            drive(file, url, 12, n_workers, seed=n_workers, spares_untrained=True)
        ) == table(whole)
    url = new_url()
    drive(file, url, 5, n_workers=2, seed=5, spares_untrained=True)
    for seed in range(4):  # each call is killed after a few events
        drive(file, url, 12, n_workers=3, seed=seed, stop_after=20, spares_untrained=True)
    assert table(drive(file, url, 12, n_workers=3, seed=9, spares_untrained=True)) == table(whole)


def test_a_study_of_an_earlier_version_counts_every_trial(new_url: Callable[[], str]) -> None:
    """It has no `spares_untrained`, and its trials that were not trained count as before."""
    url, file = new_url(), study(FLAT + SMALL, "TPE", "none")
    first = drive(file, url, 3, spares_untrained=True)
    assert spared(first)
    assert read_study(url).spares_untrained is False
    assert read_study(url).n_charged == len(first)
    assert len(drive(file, url, len(first) + 2)) == len(first) + 2


@pytest.mark.parametrize("n_workers", [1, 4])
def test_a_search_without_feasible_models_ends(n_workers: int, new_url: Callable[[], str]) -> None:
    told: list[SearchEvent] = []
    file = study(FLAT + IMPOSSIBLE, "Random", "none")
    trials = drive(file, new_url(), 4, n_workers, told=told, spares_untrained=True)
    assert len(trials) == len(spared(trials)) == SPARED * 4
    end = told[-1]
    assert isinstance(end, SearchEnded)
    assert (end.ending, end.n_done, end.n_total, end.n_spared) == ("failing", 0, 4, SPARED * 4)
    assert end.outcome == "infeasible"
    finished = [event for event in told if isinstance(event, TrialFinished)]
    assert all(event.is_spared for event in finished)


def test_a_search_that_meets_few_feasible_models_says_so(new_url: Callable[[], str]) -> None:
    """One start configuration is feasible; the rest of the space is not."""
    text = FLAT.replace("[8, 256], log: true", "[8, 4000]") + "constraints: {size: {max: 2400}}\n"
    told: list[SearchEvent] = []
    points = [{"model.MLP.width": 8, "optimizer.AdamW.lr": 0.01}]
    file = study(text, "Random", "none")
    trials = drive(file, new_url(), 3, told=told, points=points, spares_untrained=True)
    end = told[-1]
    assert isinstance(end, SearchEnded)
    assert trials[0].outcome == "complete"
    assert (end.ending, end.n_done, end.n_total, end.n_spared) == ("infeasible", 1, 3, 30)
