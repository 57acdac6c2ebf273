"""The stages of a trial whose folds join in one after another (`validation.racing`).

Bergman, Purucker and Hutter 2024, "Don't Waste Your Time: Early Stopping Cross-Validation"
(arXiv:2405.03389): a configuration that is bad on the first folds need not train the others.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.text.counts import count

FIRST = 2
"""Folds of the first stage: the mean of two is much less noisy than a single score."""

FEWEST = 3
"""Folds of a trial below which no fold could join later."""

FEWEST_OF_AUTO = 5
"""Folds from which on `auto` is on.

With five, racing took 0.66 to 0.88 of the epochs on four tables with five pruners, see
tests/benchmarks/racing.py. With three it saves a third of a trial at most.
"""


def stages_of(config: TrialConfig, n_folds: int) -> tuple[int, ...]:
    """Return how many folds train in each stage of a trial; the last number is that of all.

    These are 2, 4, 8 and so on up to half of the folds, then all: 2 and 5 of five, 2, 4 and 10 of
    ten. Without racing there is one stage.
    """
    fewest = FEWEST_OF_AUTO if config.validation.racing == "auto" else FEWEST
    if not (may_race(config) and n_folds >= fewest):
        return (n_folds,)
    return (*earlier_stages(n_folds), n_folds)


def n_copies(config: TrialConfig, n_folds: int, n_evaluations: int) -> int:
    """Return how many more copies of its weights a trial keeps than with one stage.

    Until all folds have joined, the others keep those of every evaluation: any may be the best.
    """
    *_, n_first, _ = (0, *stages_of(config, n_folds))
    return n_first * max(n_evaluations - config.training.smooth_score, 0)


def may_race(config: TrialConfig) -> bool:
    """Return whether folds join in one after another if the trial has enough of them."""
    return config.validation.racing != "off" and not why_not(config)


def why_not(config: TrialConfig) -> str:
    """Return why the folds of this configuration cannot join in later; empty if they can."""
    if config.further_objectives:
        return (
            "racing needs a single objective: with several, a trial that is bad on the first one "
            "may be the best on another"
        )
    if config.train is not None:
        return (
            "racing does not support a training loop of your own: its `report` must return at "
            "once whether a step is the best over all folds"
        )
    return ""


def too_few_folds(n_folds: int) -> str:
    """Return the mistake of racing with so few folds."""
    return (
        f"racing needs at least {FEWEST} folds, but got {count(n_folds, 'fold')}. Write folds: 5, "
        "or remove racing."
    )


def earlier_stages(n_folds: int) -> Iterator[int]:
    """Yield how many of `n_folds` folds train in each stage before the last one."""
    n_joined = FIRST
    yield n_joined
    while 2 * (n_joined := 2 * n_joined) <= n_folds:
        yield n_joined
