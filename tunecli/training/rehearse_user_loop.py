"""A training of the user's own in miniature: can it be called, and does its first report fit?"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from contextlib import closing

import torch

from tunecli.data.rows.dataset import FoldData
from tunecli.data.user_code.import_user_code import load_object
from tunecli.errors import TunecliError
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.outcome.score_guard import NoScoreError
from tunecli.training.rehearsal import Rehearsal
from tunecli.training.step.precision import choose_device
from tunecli.training.user_loop.user_training import UserFoldTraining

Clock = Callable[[], float]

LONG = 60.0
"""Seconds to a first report from which it is not waited for again."""


def own_build_error(config: TrialConfig) -> str:
    """Why the function cannot be called, in a sentence; empty if it can."""
    assert config.train is not None
    name = config.train.name
    try:
        fit = load_object(name)
        n_given = 2 if inspect.isgeneratorfunction(fit) else 3
        inspect.signature(fit).bind(*[None] * n_given)
    except TunecliError as error:
        return f"train.{error}"
    except TypeError as error:
        return f"train.{name}: it is called as fit(config, fold, report), but {error}."
    except ValueError:  # no signature to look at
        return ""
    return ""


def rehearse_own(
    config: TrialConfig, folds: Sequence[FoldData], clock: Clock = time.perf_counter
) -> Rehearsal:
    """Train the first fold to its first report; and again, to time it.

    The first time includes what a process does once: imports, caches that fill. It is the time
    of a fold only where it is so long that a start hardly shows.

    Args:
        clock: gives seconds.

    Returns:
        its seconds, which are of one report of every fold unless `training.epochs` says how many
        there are; nothing is known of its memory.
    """
    if mistake := own_build_error(config):
        return Rehearsal(error=mistake)
    assert config.train is not None
    n_reports = config.training.epochs or 1
    try:
        with torch.random.fork_rng(devices=[]):
            first, *_ = _times(config, folds[0], 1, clock)
            per_fold = first * n_reports
            if first < LONG:
                first, *others = _times(config, folds[0], min(2, n_reports), clock)
                per_fold = first + sum(others) * (n_reports - 1)
    except StopIteration:
        return Rehearsal(error=f"train.{config.train.name}: it ended without a report.")
    except NoScoreError as error:
        return Rehearsal(error=f"train.{error.reason.removeprefix('error: ')}.")
    except TunecliError as error:
        return Rehearsal(error=f"train.{error}")
    return Rehearsal(seconds=per_fold * len(folds))


def _times(config: TrialConfig, fold: FoldData, n_reports: int, clock: Clock) -> list[float]:
    """Seconds to the first report, and from one to the next; fewer if the training ends.

    Raises:
        StopIteration: it ends before the first.
    """
    begin = clock()
    with closing(
        UserFoldTraining(config, fold, choose_device(config.training.device))
    ) as training:
        next(training)
        times = [clock() - begin]
        while len(times) < n_reports and next(training, None) is not None:
            times.append(clock() - begin - sum(times))
    return times
