"""A trial's result stands, whatever happens while its models are saved."""

from __future__ import annotations

import pytest

from tunecli.search.concluded_trials import ConcludedTrials
from tunecli.search.events.events import Notice
from tunecli.search.workers.messages import (
    Concluded,
    Evaluated,
    Event,
    Finished,
    Suspended,
    WorkerDied,
)
from tunecli.training.outcome.evaluation import TrialResult

COMPLETE = TrialResult("complete", value=0.5, best_step=1, fold_scores=(0.4, 0.6))
LATE = TrialResult("failed", "timeout: it ran longer than training.max_time, 3 s")
DIED = WorkerDied(7, worker=2, exit_code=-9)


def settled(*events: Event) -> list[Event]:
    return list(ConcludedTrials().settled(events))


def test_a_trial_that_saves_its_models_ends_as_before() -> None:
    evaluated, finished = Evaluated(7, ()), Finished(7, 2, COMPLETE, is_last=True)
    assert settled(evaluated, Concluded(7, COMPLETE), finished) == [
        evaluated,
        Finished(7, 2, COMPLETE),
    ]


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (DIED, "its worker died (killed by SIGKILL)"),
        (Finished(7, 2, LATE), "it ran longer than training.max_time, 3 s"),
    ],
    ids=["death", "timeout"],
)
def test_a_result_stands_after_a_death_or_a_timeout(end: Event, cause: str) -> None:
    notice, finished = settled(Concluded(7, COMPLETE), end)
    assert finished == Finished(7, 2, COMPLETE)
    assert notice == Notice(
        f"Trial 7 is complete, but {cause} after its last evaluation, so its models may not be "
        "saved."
    )


@pytest.mark.parametrize("end", [DIED, Finished(7, 2, LATE), Suspended(7, saved=False)])
def test_without_a_result_of_this_trial_an_end_is_what_it_is(end: Event) -> None:
    assert settled(end) == [end]
    assert settled(Concluded(8, COMPLETE), end) == [end]
    assert settled(WorkerDied(None, 2, -9), end) == [WorkerDied(None, 2, -9), end]


def test_an_interrupted_trial_is_trained_again_by_the_next_search() -> None:
    left = Suspended(7, saved=False)
    assert settled(Concluded(7, COMPLETE), left, DIED) == [left, DIED]
