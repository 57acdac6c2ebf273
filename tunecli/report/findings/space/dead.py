"""Which parameters have no measurable effect.

An effect that was not seen may still exist. So all of the parameter's values must have been
compared among the good trials (`good_values`). It must also be certain (at 95 %, one-sided) that
the parameter explains little, and would explain little if the sampler had spread its values over
the whole range.

Only trials of the branch of the best trial count: in another one, such as a model that ignores the
parameter, its effect says nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.effects import Effect, effect_of, permutation_p
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import (
    Finding,
    Fixed,
    NewSetting,
    finding,
    parameters_in,
)
from tunecli.report.findings.evidence.positions import rounded
from tunecli.report.findings.space.good_values import are_all_parts_good, chance_of_parts
from tunecli.report.phrases.foreign_text import plain
from tunecli.report.phrases.wording import joined
from tunecli.study_file.settings.ranges import GATE, Categories, FloatRange
from tunecli.study_file.text.scalars import Scalar

_AFTER = ("unstable", "edge", "isolation", "length", "fitting")
_FEWEST = 30  # trials that have the parameter
_NOISE = 0.01  # a smaller p is a sign of an effect among all trials
_NOISE_OF_PARTS = 0.02  # the same among the better half of them
_SMALL = 0.05  # share of the variance of the scores; a larger one is still worth searching
_UNIFORM = 1 / 12  # variance of a position that is uniform from 0 to 1
_QUANTILE = 1.645  # 95 % quantile of the normal distribution


@dataclass(frozen=True)
class WithoutEffect:
    """A parameter without an effect.

    Attributes:
        value: about that of the best trial that has it.
        p: p-values of an effect, among all trials and among the better half of them.
        most_explained: upper limit of the share of the variance of the scores that it explains.
    """

    parameter: str
    value: Scalar
    n_trials: int
    p: tuple[float, float]
    most_explained: float


@finding("dead", compares=True, rank=5, after=_AFTER)
def dead(evidence: Evidence, *earlier: Sequence[Finding]) -> Iterator[Finding]:
    """Return one finding with all parameters that could as well be fixed.

    Args:
        earlier: findings that a parameter has an effect, or that its range moves with another
            setting, as patience does with epochs; those parameters are left out.
    """
    moved = {
        change.parameter
        for found in earlier
        for one in found
        for change in one.changes
        if not isinstance(change, NewSetting)
    }
    left_out = parameters_in(*earlier) | moved
    # Parameters that others depend on (see `isolation`) and ranges with `or:` are left out.
    names = [
        name
        for name in evidence.ranges
        if name not in left_out
        and not evidence.is_parent(name)
        and name + GATE not in evidence.ranges
    ]
    without = [one for name in names if (one := _if_dead(evidence, name)) is not None]
    if not without:
        return
    named = joined([plain(one.parameter) for one in without])
    subject = "it" if len(without) == 1 else "each"
    n_trials = min(one.n_trials for one in without)
    largest = max(one.most_explained for one in without)
    sentence = (
        f"Keep {named} at one value: in {n_trials} trials {subject} explains at most "
        f"{max(largest, 0.01):.0%} of the variation in scores."
    )
    yield Finding(
        "advice",
        sentence,
        weight=0.4,
        figures={"parameters": [vars(one) for one in without]},
        parameters=tuple(one.parameter for one in without),
        changes=tuple(Fixed(one.parameter, one.value) for one in without),
    )


def _if_dead(evidence: Evidence, name: str) -> WithoutEffect | None:
    trials = evidence.in_branch(name)
    if len(trials) < _FEWEST or not are_all_parts_good(evidence, trials, name):
        return None
    whole = effect_of(evidence, trials, name)
    if whole is None:
        return None
    most = most_explained(whole) * _spread_out(evidence, trials, name)
    if most > _SMALL:
        return None
    rng = evidence.rng(f"dead {name}")
    chances = permutation_p(whole, rng), chance_of_parts(evidence, trials, name)
    if chances[0] < _NOISE or chances[1] < _NOISE_OF_PARTS:
        return None
    return WithoutEffect(name, _value(evidence, trials[0], name), len(trials), chances, most)


def _value(evidence: Evidence, best: TrialRecord, name: str) -> Scalar:
    """Return the best trial's value, rounded to be readable: any other value is as good."""
    value, kind = best.params[name], evidence.ranges[name]
    if not isinstance(value, float) or not isinstance(kind, FloatRange) or kind.step:
        return value
    return min(max(rounded(value), kind.low), kind.high)


def _spread_out(evidence: Evidence, trials: Sequence[TrialRecord], name: str) -> float:
    """Return how much larger the variance of a number would be if it were uniform in its range."""
    kind = evidence.ranges[name]
    if isinstance(kind, Categories):
        return 1.0
    variance = statistics.pvariance(evidence.positions_of(name, trials))
    return max(1.0, _UNIFORM / variance) if variance > 0 else math.inf


def most_explained(effect: Effect) -> float:
    """Return an upper limit (95 %) of the share of all variance that a parameter explains.

    It uses the normal approximation to the square root of a noncentral chi-squared variable.
    """
    n = len(effect.score)
    root = math.sqrt(effect.share * n)
    return min(1.0, (root + _QUANTILE) ** 2 / n) * (1 - effect.explained)
