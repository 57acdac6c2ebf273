from __future__ import annotations

import random
from dataclasses import replace

import pytest
from study_makers import SUMMARY

from tunecli.report.analysis.standing import UNKNOWN
from tunecli.report.live import cost_tips
from tunecli.report.live.search_state import SearchState
from tunecli.report.live.time_left import TimeLeft
from tunecli.search.events.events import (
    BaselinesAwaited,
    DataDescribed,
    SearchStarted,
    TrialEvaluated,
    TrialFinished,
    TrialStarted,
)
from tunecli.training.outcome.evaluation import Evaluation


def started(**changes: object) -> SearchStarted:
    values = {"n_done": 0, "n_total": 20, "n_jobs": 2, "parallel": 8}
    values |= changes
    return SearchStarted("digits", "runs/digits/study.db", "accuracy", "maximize", **values)


def finished(number: int, value: float | None = 0.5, **changes: object) -> TrialFinished:
    values = {"outcome": "complete", "reason": "", "spread": 0.01, "seconds": 1.0}
    values |= {"params": {}, "is_best": False} | changes
    return TrialFinished(number=number, value=value, **values)


def ran(
    n_trials: int, n_workers: int, pruned_after: int | None = None
) -> tuple[SearchState, float]:
    """A search at one evaluation a second and worker, ten to a trial; the time it stands at."""
    state, now = SearchState(), 100.0
    state.update(started(n_jobs=n_workers), now)
    for first in range(0, n_trials, n_workers):
        batch = range(first, first + n_workers)
        for number in batch:
            state.update(TrialStarted(number, {}, 10), now)
        for step in range(pruned_after or 10):
            now += 1.0
            for number in batch:
                state.update(TrialEvaluated(number, step, 0.5, 0.5), now)
        for number in batch:
            state.update(finished(number), now)
    return state, now


@pytest.mark.parametrize("n_workers", [1, 2, 4])
@pytest.mark.parametrize("pruned_after", [None, 4])
def test_at_a_steady_pace_the_estimate_is_right(n_workers: int, pruned_after: int | None) -> None:
    state, now = ran(12, n_workers, pruned_after)
    per_batch = pruned_after or 10
    left = state.remaining(now)
    assert left is not None
    assert left.low == left.high == pytest.approx(8 / n_workers * per_batch)
    assert state.elapsed(now) == pytest.approx(12 / n_workers * per_batch)


def test_no_first_trial_is_extrapolated_to_all_its_evaluations() -> None:
    """The first trial is long, the others are pruned: the range holds the real time."""
    state = SearchState()
    state.update(started(n_total=30, n_jobs=1), 0.0)
    state.update(TrialStarted(0, {}, 100), 0.0)
    for step in range(100):
        assert state.remaining(float(step)) is None
        state.update(TrialEvaluated(0, step, 0.5, 0.5), step + 1.0)
    state.update(finished(0, seconds=100.0), 100.0)
    first = state.remaining(100.0)
    assert first is not None
    assert first.low < 29 * 100.0 < first.high
    now = 100.0
    for number in range(1, 6):
        state.update(TrialStarted(number, {}, 100), now)
        state.update(TrialEvaluated(number, 0, 0.5, 0.5), now + 10)
        now += 10
        state.update(finished(number, outcome="pruned", seconds=10.0), now)
    left = state.remaining(now)
    assert left is not None
    assert left.low == left.high == pytest.approx(24 * (100 + 5 * 10) / 6)


def test_earlier_calls_count_and_a_running_trial_only_for_its_rest() -> None:
    earlier = tuple(finished(number, seconds=20.0) for number in range(5))
    state = SearchState()
    state.update(started(n_done=5, n_total=8, n_jobs=1, earlier=earlier), 0.0)
    state.update(TrialStarted(5, {}, 10), 0.0)
    assert likely(state, 0.0) == pytest.approx(3 * 20)
    state.update(TrialEvaluated(5, 0, 0.5, 0.5), 5.0)
    assert likely(state, 5.0) == pytest.approx(15 + 2 * 20)
    for step in range(1, 9):
        state.update(TrialEvaluated(5, step, 0.5, 0.5), 5.0 * (step + 1))
    assert likely(state, 45.0) == pytest.approx(5 + 2 * 20)  # one evaluation of its own pace


def likely(state: SearchState, now: float) -> float:
    left = state.remaining(now)
    assert left is not None
    return left.likely


def test_baselines_and_a_timeout_count() -> None:
    earlier = tuple(finished(number, seconds=20.0) for number in range(5))
    state = SearchState()
    state.update(started(n_done=5, n_total=8, n_jobs=1, earlier=earlier), 0.0)
    state.update(BaselinesAwaited(("ridge regression",), 9.0), 0.0)
    state.update(TrialStarted(5, {}, 10), 0.0)
    assert likely(state, 4.0) == pytest.approx(3 * 20 + 9)  # the trial waits behind them
    state.update(BaselinesAwaited((), 0.0), 9.0)
    assert likely(state, 14.0) == pytest.approx(3 * 20 - 5)
    timed = SearchState()
    timed.update(started(n_done=5, n_total=800, n_jobs=1, earlier=earlier, timeout=60.0), 0.0)
    assert likely(timed, 10.0) == pytest.approx(50 + 20)


def test_nothing_remains_at_the_end() -> None:
    state, now = ran(20, 2)
    assert (state.n_done, state.remaining(now)) == (20, TimeLeft(0.0, 0.0))


def test_a_search_that_goes_on_counts_what_was_before() -> None:
    earlier = (
        finished(0, 0.7, is_best=True, fold_scores=(0.69, 0.71)),
        finished(1, 0.69, fold_scores=(0.68, 0.70)),
        finished(2, None, outcome="failed"),
        finished(3, 0.4, outcome="pruned"),
    )
    state = SearchState()
    state.update(started(n_done=4, n_total=6, earlier=earlier), 0.0)
    state.update(DataDescribed(SUMMARY), 0.0)
    assert (state.n_done, state.n_finished_here) == (4, 0)
    assert {word: n for word, n in state.ordered_counts.items() if n} == {
        "complete": 2,
        "pruned": 1,
        "failed": 1,
    }
    assert state.best == earlier[0]
    state.update(finished(4, 0.695, fold_scores=(0.70, 0.69)), 1.0)
    assert (state.n_done, state.n_finished_here, state.best) == (5, 1, earlier[0])
    verdicts = [one.verdict for one in state.compared().standings]
    assert verdicts == ["worse", "not distinguished"]  # trial 1 is as much behind in both folds


def test_nothing_is_compared_without_a_best_or_folds() -> None:
    state = SearchState()
    state.update(started(), 0.0)
    assert state.compared().standings == ()
    state.update(finished(0, 0.7, is_best=True, fold_scores=(0.7,)), 0.0)
    state.update(finished(1, 0.7, fold_scores=(0.7,)), 0.0)
    assert state.compared().standings == (UNKNOWN,)


def test_a_finished_search_compares_with_guessing_too() -> None:
    rows = [(0.70, 0.72), (0.71, 0.71), (0.69, 0.73)]
    earlier = tuple(
        finished(number, 0.71, is_best=not number, fold_scores=scores)
        for number, scores in enumerate(rows)
    )
    verdicts = []
    for guess in (0.5, 0.8):
        state = SearchState()
        state.update(started(n_done=3, earlier=earlier, tolerance=0.1, guess=guess), 0.0)
        verdicts.append({one.verdict for one in state.compared().standings})
    assert verdicts == [{"practically equal"}, {"not distinguished"}]


def test_the_state_does_not_grow_with_evaluations() -> None:
    state = SearchState()
    state.update(started(), 0.0)
    state.update(TrialStarted(0, {}, 100_000), 0.0)
    for step in range(10_000):
        state.update(TrialEvaluated(0, step, random.random(), 1.0), float(step))
    assert len(state.running) == 1
    assert state.fold_scores == []


@pytest.mark.parametrize(
    ("changes", "n_cores", "n_folds", "n_planned", "sentence"),
    [
        (
            {},
            8,
            5,
            20,
            "To make the search faster, use `--jobs 8` (about 4.0 times as fast), or half as many "
            "`training.epochs` in a new study (about 2.0 times as fast).",
        ),
        (
            {"has_pruner": False},
            2,
            5,
            5,
            "To make the search faster, use a pruner such as `pruner: Median` (about 2.0 times as "
            "fast), or `validation: {folds: 3}` in a new study (about 1.7 times as fast).",
        ),
        (
            {"parallel": 2},
            64,
            3,
            5,
            "To make the search faster, use `validation: {holdout: 0.2}` in a new study (about "
            "3.0 times as fast).",
        ),
        ({}, 2, 1, 5, "To make the search faster, lower `search.trials`."),
    ],
)
def test_advice_names_what_the_search_has(
    changes: dict[str, object], n_cores: int, n_folds: int, n_planned: int, sentence: str
) -> None:
    state = SearchState()
    state.update(started(**changes), 0.0)
    state.update(DataDescribed(replace(SUMMARY, n_folds=n_folds)), 0.0)
    state.update(TrialStarted(0, {}, n_planned), 0.0)
    assert cost_tips.advice(state, n_cores) == sentence


# folds that join in


def test_a_trial_whose_folds_join_in_later_is_as_far_as_its_epochs_are() -> None:
    """Of five folds of ten evaluations: two first, then three that begin from the start."""
    state = SearchState()
    state.update(started(n_jobs=1), 0.0)
    state.update(TrialStarted(0, {}, 10), 0.0)
    now, spent = 0.0, 0
    for n_joined, n_new in ((2, 2), (5, 3)):
        folds = (Evaluation(0, 1.0, 0.1, 0.5, {}, 0.1),) * n_joined
        for step in range(10):
            now, spent = now + n_new, spent + n_new
            event = TrialEvaluated(0, step, 0.5, 0.5, folds, n_waiting=5 - n_joined)
            state.update(event, now)
            running = state.running[0]
            assert running.share == pytest.approx(spent / 50)
            assert running.at_most(now) == pytest.approx(50 - spent)


def test_a_trial_says_on_how_many_folds_it_was_stopped() -> None:
    state = SearchState()
    state.update(DataDescribed(replace(SUMMARY, n_folds=5)), 0.0)
    assert state.folds_of(finished(0, fold_scores=(0.5, 0.6))) == "on 2 of 5 folds"
    assert state.folds_of(finished(0, fold_scores=(0.5,) * 5)) == ""
    assert state.folds_of(finished(0, value=None)) == ""
