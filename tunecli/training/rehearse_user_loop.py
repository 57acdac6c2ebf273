"""Rehearse the user's own training: can it be called, and is its first report valid?"""

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
"""If the first report takes at least this many seconds, the training is not timed again."""


def own_build_error(config: TrialConfig) -> str:
    """Return why the function cannot be called, in a sentence; empty if it can."""
    assert config.train is not None
    name = config.train.name
    try:
        fit = load_object(name)
        n_given = 2 if inspect.isgeneratorfunction(fit) else 3
        inspect.signature(fit).bind(*[None] * n_given)
    except TunecliError as error:
        return f"train.{error}"
    except TypeError as error:
        return f"train.{name}: tunecli calls fit(config, fold, report), but {error}."
    except ValueError:  # the function has no signature
        return ""
    return ""


def rehearse_own(
    config: TrialConfig, folds: Sequence[FoldData], clock: Clock = time.perf_counter
) -> Rehearsal:
    """Train the first fold to its first report, and again to time it.

    The first run includes one-time costs of a process: imports, filling caches. Its time is used
    only if it is so long that these hardly matter.

    Args:
        clock: a function that returns seconds.

    Returns:
        The seconds of the trial: those of `training.epochs` reports per fold, or of one report per
        fold if it is not set. The memory is unknown.
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
        return Rehearsal(error=f"train.{config.train.name}: the training ended without a report.")
    except NoScoreError as error:
        return Rehearsal(error=f"train.{error.reason.removeprefix('error: ')}.")
    except TunecliError as error:
        return Rehearsal(error=f"train.{error}")
    return Rehearsal(seconds=per_fold * len(folds))


def _times(config: TrialConfig, fold: FoldData, n_reports: int, clock: Clock) -> list[float]:
    """Return the seconds to each report from the one before; fewer if the training ends.

    Raises:
        StopIteration: the training ends before its first report.
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
