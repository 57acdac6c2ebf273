from __future__ import annotations

import pytest

from tunecli.report.phrases.parallel_text import on_parallel


@pytest.mark.parametrize(
    ("parallel", "n_jobs", "n_trials", "told"),
    [
        (100, 2, 50, "no trial learns from another"),
        (3, 2, 50, "Set it to 4"),
        (8, 2, 50, ""),
        (8, 1, 4, ""),
        (8, 8, 3, ""),
        (1, 1, 50, ""),
    ],
)
def test_what_to_say_of_parallel(parallel: int, n_jobs: int, n_trials: int, told: str) -> None:
    said = on_parallel(parallel, n_jobs, n_trials)
    assert told in said
    assert bool(said) == bool(told)


@pytest.mark.parametrize(
    ("n_jobs", "n_trials", "n_offered", "told"),
    [
        (4, 50, 8, "only 4 of 8 workers can train at once. Set it to 16"),
        (2, 50, 2, ""),
        (3, 3, 8, ""),
        (4, 50, 4, "Set it to 8"),
    ],
)
def test_workers_that_parallel_leaves_idle_are_counted(
    n_jobs: int, n_trials: int, n_offered: int, told: str
) -> None:
    said = on_parallel(4, n_jobs, n_trials, n_offered)
    assert told in said
    assert bool(said) == bool(told)
