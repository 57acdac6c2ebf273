"""Early stopping: when the mean curve of a trial no longer improves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tunecli.study_file.settings.settings import Direction, EarlyStopping


def no_longer_improves(
    values: Sequence[float], direction: Direction, stopping: EarlyStopping
) -> bool:
    """Return whether none of the last `patience` values improved the best one by `min_delta`.

    An improvement is measured from the last value that counted as one, so many steps below
    `min_delta` each count once they add up to more.
    """
    sign = 1 if direction == "maximize" else -1
    best, since = -math.inf, 0
    for value in values:
        if sign * value > best + stopping.min_delta:
            best, since = sign * value, 0
        else:
            since += 1
    return since >= stopping.patience
