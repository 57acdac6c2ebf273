"""Whether the good trials crowd at a bound of a range, and the score rises towards it.

Crowding alone shows little: a sampler that learns returns to where it was lucky. So the score must
also rise with the parameter while the others are accounted for, by a t-test at 5 % for all bounds
of a study together, and a fitted parabola must not turn before the bound, within its error. Pruned
trials count with their last mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scipy.special import stdtr

from tunecli.report.findings.evidence.effects import effect_of, slope_at_end
from tunecli.report.findings.evidence.evidence import Evidence, best_tenth
from tunecli.report.findings.evidence.finding import Finding, NewRange, finding
from tunecli.report.findings.evidence.positions import (
    Numeric,
    number_position,
    position,
    resized,
    rounded,
    value_at,
)
from tunecli.report.findings.evidence.separation import Rule
from tunecli.report.findings.space.unstable import boundaries, cliff, rule_figures
from tunecli.report.phrases.wording import plain, scalar
from tunecli.study_file.settings.ranges import IntRange

_FEWEST = 10  # trials that have the parameter
_OUTER = 0.2  # share of the range that counts as its end
_CROWD = 0.5  # share of the good trials in there
_LEVEL = 0.05
_WIDER = 0.5  # extension as a share of the range's width, on its scale
_LEAST_GAIN = 0.05  # share of the width; a smaller extension is not worth a finding

NATURAL: Mapping[str, tuple[float, float]] = {
    "dropout": (0.0, 0.9),
    "momentum": (0.0, 0.99),
    "alpha": (0.0, 0.9999),
    "rho": (0.0, 0.9999),
    "betas[0]": (0.0, 0.99),
    "betas[1]": (0.0, 0.9999),
    "beta1_decay": (-1.0, 0.0),
    "dampening": (0.0, 1.0),
    "ema": (0.0, 0.9999),
    "label_smoothing": (0.0, 0.5),
    "gamma": (0.0, 1.0),
    "factor": (0.0, 1.0),
    "warmup": (0.0, 0.5),
    "pct_start": (0.0, 1.0),
    "start_factor": (0.0, 1.0),
    "end_factor": (0.0, 1.0),
    "p": (0.0, 1.0),
    "mixup": (0.0, math.inf),
    "cutmix": (0.0, math.inf),
    "input_noise": (0.0, math.inf),
    "l1": (0.0, math.inf),
    "weight_decay": (0.0, math.inf),
    "patience": (0.0, math.inf),
    "batch_size": (1.0, math.inf),
    "accumulate": (1.0, math.inf),
    "freeze": (0.0, math.inf),
    "min_frequency": (0.0, 0.5),
}
"""Useful lowest and highest value, by an argument's last name; a bound there is not an edge."""


@dataclass(frozen=True)
class Crowd:
    """The good trials at a bound, and how steeply the score rises there."""

    trials: tuple[int, ...]
    n_good: int
    slope: float
    chance: float

    @property
    def n_inside(self) -> int:
        return len(self.trials)


@finding("edge", needs_trials=0, rank=3)
def edges(evidence: Evidence) -> Iterator[Finding]:
    """Return a finding for each bound at which the good trials crowd."""
    numeric = {name: kind for name, kind in evidence.numeric.items() if kind.low < kind.high}
    unstable = {(rule.parameter, rule.side) for rule in boundaries(evidence)}
    for name, kind in numeric.items():
        for end in (0.0, 1.0):
            wider = widened(name, kind, end)
            if wider is None or (name, "above" if end else "below") in unstable:
                continue
            crowd = crowd_at(evidence, name, kind, end, _LEVEL / (2 * len(numeric)))
            if crowd is None:
                continue
            beyond = cliff(evidence, name, kind, end, _LEVEL)
            yield _stays(beyond, crowd) if beyond else _finding(name, kind, end, wider, crowd)


def crowd_at(
    evidence: Evidence, name: str, kind: Numeric, end: float, level: float
) -> Crowd | None:
    """Return the good trials at an end of a range, if they crowd there and the score rises.

    Args:
        end: 0 for the low end, 1 for the high end.
        level: significance level of the test.
    """
    trials = evidence.having(name)
    if len(trials) < _FEWEST:
        return None
    good = best_tenth(trials)
    at_bound = [t for t in good if abs(number_position(kind, t, name) - end) <= _outer(kind)]
    if len(at_bound) < _CROWD * len(good):
        return None
    effect = effect_of(evidence, evidence.judged(name), name)
    if effect is None:
        return None
    slope, error = slope_at_end(effect.straight, end)
    chance = _one_sided_p(slope, error, effect.straight.n_free)
    at_the_end, uncertain = slope_at_end(effect, end)
    if chance >= level or at_the_end <= -uncertain:
        return None
    return Crowd(tuple(t.number for t in at_bound), len(good), slope, chance)


def widened(name: str, kind: Numeric, end: float) -> Numeric | None:
    """Return the range with its bound at `end` moved outwards; None if that bound is natural.

    The bound moves by half of the range's width on its scale; on a log scale by a factor from 10
    to 100, or from 2 to 4 for whole numbers. It is rounded to two digits, or to the range's steps.
    """
    bound = kind.high if end else kind.low
    moved = _clipped(rounded(_further(kind, end)), name, kind)
    if kind.step is not None:
        n_steps = int(abs(moved - bound) / kind.step + 1e-9)
        moved = bound + (kind.step if end else -kind.step) * n_steps
    if abs(position(kind, moved) - end) < _LEAST_GAIN:
        return None
    return resized(kind, kind.low, moved) if end else resized(kind, moved, kind.high)


def _further(kind: Numeric, end: float) -> float:
    outwards = 1.0 if end else -1.0
    if not kind.log:
        return value_at(kind, end + outwards * _WIDER)
    least, most = (2.0, 4.0) if isinstance(kind, IntRange) else (10.0, 100.0)
    factor = min(max(math.pow(kind.high / kind.low, _WIDER), least), most)
    return kind.high * factor if end else kind.low / factor


def _clipped(value: float, name: str, kind: Numeric) -> float:
    lowest, highest = NATURAL.get(name.rpartition(".")[2], (-math.inf, math.inf))
    if kind.low >= 0:
        lowest = max(lowest, 0.0)
    if isinstance(kind, IntRange) and kind.low >= 1:
        lowest = max(lowest, 1.0)
    return min(max(value, lowest), highest)


def _outer(kind: Numeric) -> float:
    """Return the share of a range that counts as its end; for few whole numbers only the bound."""
    n_steps = (kind.high - kind.low) / kind.step if kind.step and not kind.log else math.inf
    return min(_OUTER, 0.5 / n_steps) if n_steps * _OUTER < 1 else _OUTER


def _one_sided_p(slope: float, error: float, n_free: int) -> float:
    """Return the probability of a slope at least this steep if the true slope is zero."""
    if n_free < 1 or error <= 0:
        return 1.0
    return float(stdtr(n_free, -slope / error))


def _stays(beyond: Rule, crowd: Crowd) -> Finding:
    """Return the advice to keep a range: the score rises towards a bound, but trials diverge."""
    end = "upper" if beyond.side == "above" else "lower"
    most = "most" if beyond.n_sound else "all"
    sentence = (
        f"Keep the range of {plain(beyond.parameter)}: the score rises towards its {end} end, but "
        f"{most} trials {beyond.side} {scalar(beyond.value, 2)} diverged."
    )
    return Finding(
        "note",
        sentence,
        kind="unstable",
        weight=0.4,
        figures={"boundaries": [rule_figures(beyond)]},
        parameters=(beyond.parameter,),
        trials=crowd.trials,
        advice="training.clip_norm: 1.0 or training.warmup: 0.1 may allow values beyond",
    )


def _finding(name: str, kind: Numeric, end: float, wider: Numeric, crowd: Crowd) -> Finding:
    bound = kind.high if end else kind.low
    where = "upper" if end else "lower"
    sentence = (
        f"Search {plain(name)} beyond its {where} end: {crowd.n_inside} of the best "
        f"{crowd.n_good} trials lie there, and the score still rises."
    )
    return Finding(
        "advice",
        sentence,
        weight=0.9,
        figures={
            "bound": bound,
            "end": where,
            "n_at_bound": crowd.n_inside,
            "n_good": crowd.n_good,
            "slope": crowd.slope,
            "p": crowd.chance,
        },
        parameters=(name,),
        trials=crowd.trials,
        changes=(NewRange(name, wider),),
    )
