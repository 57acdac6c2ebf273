"""Convert the ranges of a study file into Optuna's distributions."""

from __future__ import annotations

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range


def to_distribution(range_: Range) -> BaseDistribution:
    """Return the Optuna distribution of a range; categories keep their order."""
    match range_:
        case FloatRange(low, high, log, step):
            return FloatDistribution(low, high, log=log, step=step)
        case IntRange(low, high, log, step):
            return IntDistribution(low, high, log=log, step=step)
        case Categories(choices):
            return CategoricalDistribution(choices)
