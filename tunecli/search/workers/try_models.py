"""Build every pair of choices before a search begins, so that none fails in a later trial.

Like `worker.py`, which calls it, this module imports torch and is not part of the driver.
"""

from __future__ import annotations

import time
from functools import partial

from tunecli.data.rows.dataset import FoldData
from tunecli.data.stores import FoldStoreCache
from tunecli.errors import StudyFileError
from tunecli.study_file.settings.ranges import Range
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.space.corner_cases import Point, covering
from tunecli.study_file.study_file import Study
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.fold_data import folds_of
from tunecli.training.rehearsal import build_error
from tunecli.training.rehearse_user_loop import own_build_error

MOST_SECONDS = 10.0
"""Seconds of processor time for building before a search; `check` has no such limit."""


def refuse_what_cannot_be_built(study: Study, stores: FoldStoreCache) -> None:
    """Build every pair of choices before a search begins, for at most `MOST_SECONDS`.

    Args:
        study: a completed study file.

    Raises:
        StudyFileError: some cannot be built; the message lists every mistake.
    """
    deadline = time.process_time() + MOST_SECONDS
    mistakes: dict[str, Point] = {}
    for point in covering(study.parameters):
        if time.process_time() > deadline:
            break  # large models; `check` or a trial finds the rest
        config, folds = configuration(study, stores, point)
        is_own = config.train is not None
        mistake = own_build_error(config) if is_own else build_error(config, folds)
        if mistake:
            mistakes.setdefault(mistake, point)
    if mistakes:
        problems = [study.problem(mistake, point) for mistake, point in mistakes.items()]
        raise StudyFileError(study.file, problems)


def configuration(
    study: Study, stores: FoldStoreCache, point: Point
) -> tuple[TrialConfig, list[FoldData]]:
    """Return the configuration at a point of the search space, and its folds."""
    config = study.resolve(partial(_look_up, point))
    return config, folds_of(stores.of(config), config)


def _look_up(point: Point, name: str, _: Range) -> Scalar:
    return point[name]
