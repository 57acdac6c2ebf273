"""A training of the user's own in miniature: can it be called, and does its first report fit?"""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from contextlib import closing

import torch

from tunecli.data.dataset import FoldData
from tunecli.data.user_code import load_object
from tunecli.errors import TunecliError
from tunecli.study_file.settings import TrialConfig
from tunecli.training.finite import NoScoreError
from tunecli.training.own_training import OwnFoldTraining
from tunecli.training.precision import choose_device
from tunecli.training.rehearsal import Rehearsal


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


def rehearse_own(config: TrialConfig, folds: Sequence[FoldData]) -> Rehearsal:
    """Train the first fold to its first report.

    Returns:
        its seconds, which are of one report of every fold unless `training.epochs` says how many
        there are; nothing is known of its memory.
    """
    if mistake := own_build_error(config):
        return Rehearsal(error=mistake)
    begin = time.perf_counter()
    try:
        with torch.random.fork_rng(devices=[]):
            device = choose_device(config.training.device)
            with closing(OwnFoldTraining(config, folds[0], device)) as training:
                next(training)
    except StopIteration:
        assert config.train is not None
        return Rehearsal(error=f"train.{config.train.name}: it ended without a report.")
    except NoScoreError as error:
        return Rehearsal(error=f"train.{error.reason.removeprefix('error: ')}.")
    except TunecliError as error:
        return Rehearsal(error=f"train.{error}")
    seconds = time.perf_counter() - begin
    return Rehearsal(seconds=seconds * len(folds) * (config.training.epochs or 1))
