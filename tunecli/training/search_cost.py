"""Estimate the time of a search from its arithmetic, to limit that of its untuned baselines.

No clock is used: the number of rows that a baseline is fitted on depends on the estimate, and the
same study must give the same baselines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from tunecli.data.fold_store import FoldStore, FoldStoreCache
from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.space.walk import first_value, last_value
from tunecli.study_file.study_file import Study
from tunecli.training.compression.costs import macs
from tunecli.training.fold import new_model
from tunecli.training.fold_data import folds_of
from tunecli.training.outcome.evaluation import (
    BASELINES,
    MOST_BASELINE_SECONDS,
    BaselineLimit,
    BaselinePlan,
)
from tunecli.training.score_baselines import expected_seconds
from tunecli.training.step.batches import batch_sizes
from tunecli.training.step.timetable import Timetable
from tunecli.training.trial_end import example

SHARE = 0.1
"""Largest share of a search that a baseline may take."""

FREE_SECONDS = 2.0
"""Estimated time that a baseline may always take: nobody minds the wait."""

_STEP = 7e-4  # seconds of an optimizer step without its arithmetic; measured on one core
_EVALUATION = 5e-3  # seconds of an evaluation without its arithmetic
_RATE = 1.3e10  # multiply-adds per second of one core
_BACKWARD = 3  # times the arithmetic of a forward pass, with it
_STOPPED = 0.5  # share of its full length that a trial lasts if it may be stopped early


def plan_baselines(
    study: Study, stores: FoldStoreCache, store: FoldStore, n_trials: int, timeout: float | None
) -> BaselinePlan:
    """Return how long each baseline may take: a tenth of all trials, and at most half a minute.

    If the time of the trials is unknown, as in a training loop of the user's own, and there is no
    timeout, each may take `FREE_SECONDS`.

    Args:
        study: a completed study file.
        stores: gives the data of any of its trials.
        store: the data of the first of them.
        n_trials: number of trials of the search.
        timeout: seconds after which no trial starts; None for no limit.
    """
    limit = _limit(min(_search_seconds(study, stores, n_trials), timeout or math.inf))
    names = BASELINES[study.task]
    return BaselinePlan(limit, {name: expected_seconds(name, store, limit) for name in names})


def _limit(search: float) -> BaselineLimit:
    share = SHARE * search if math.isfinite(search) else 0.0
    return BaselineLimit(min(max(share, FREE_SECONDS), MOST_BASELINE_SECONDS), search)


def _search_seconds(study: Study, stores: FoldStoreCache, n_trials: int) -> float:
    """Estimate the time of all trials on one core; infinite if that is unknown.

    A trial is expected to take the geometric mean of those at the two ends of all ranges.
    """
    low = study.resolve(lambda _, range_: first_value(range_))
    high = study.resolve(lambda _, range_: last_value(range_))
    try:
        ends = [trial_seconds(one, folds_of(stores.of(one), one)) for one in (low, high)]
    except Exception:  # an end that cannot be built, or whose arithmetic torch cannot count
        return math.inf
    stops = study.search.pruner is not None or low.training.early_stopping is not None
    return n_trials * math.sqrt(math.prod(ends)) * (_STOPPED if stops else 1.0)


def trial_seconds(config: TrialConfig, folds: Sequence[FoldData]) -> float:
    """Estimate the time of a whole trial on one core; infinite for the user's own training."""
    if config.train is not None:
        return math.inf
    fold, settings = folds[0], config.training
    n_rows = len(fold.y_train)
    timetable = Timetable.of(settings, len(batch_sizes(n_rows, settings.batch_size)))
    with torch.random.fork_rng(devices=[]):
        model = new_model(config, fold)
    per_row = macs(model, example(fold, 1)) / _RATE
    trained = timetable.n_steps / timetable.steps_per_epoch * n_rows
    validated = len(timetable.evaluations) * len(fold.y_valid)
    fixed = timetable.n_steps * settings.accumulate * _STEP
    fixed += len(timetable.evaluations) * _EVALUATION
    return len(folds) * (fixed + (_BACKWARD * trained + validated) * per_row)
