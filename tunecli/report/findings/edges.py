"""Do the good trials crowd at a bound of a range, and does the score rise towards it?

Crowding alone shows little: a sampler that learns returns to where it was lucky. So the score must
rise with the parameter while the others are accounted for, by a t-test at 5 % for all bounds of a
study together, and a parabola must not turn before the bound, within its error. Pruned trials
count with their last mean: they were behind.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tunecli.report.findings.effects import effect_of, slope_at_end
from tunecli.report.findings.evidence import Evidence, best_tenth
from tunecli.report.findings.finding import Finding, NewRange
from tunecli.report.findings.positions import (
    Numeric,
    place_of,
    position,
    resized,
    rounded,
    value_at,
)
from tunecli.report.findings.separation import Rule
from tunecli.report.findings.stability import boundaries, cliff, rule_figures
from tunecli.report.wording import plain, scalar
from tunecli.study_file.counts import count
from tunecli.study_file.ranges import Categories, IntRange

_FEWEST = 10  # trials that have the parameter
_OUTER = 0.2  # of the range, at its bound
_CROWD = 0.5  # share of the good trials in there
_LEVEL = 0.05
_WIDER = 0.5  # of the width of the range, on its scale
_LEAST_GAIN = 0.05  # of the width, or a wider range is not worth a line

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
"""By an argument's last name: no value beyond these is of use, so a bound there is no edge."""


def edges(evidence: Evidence) -> list[Finding]:
    """A finding for each bound at which the good trials crowd."""
    numeric = {
        name: kind
        for name, kind in evidence.ranges.items()
        if not isinstance(kind, Categories) and kind.low < kind.high
    }
    level = _LEVEL / (2 * len(numeric)) if numeric else _LEVEL
    unstable = {(rule.parameter, rule.side) for rule in boundaries(evidence)}
    return [
        finding
        for name, kind in numeric.items()
        for end in (0.0, 1.0)
        if (name, "above" if end else "below") not in unstable
        for finding in _of(evidence, name, kind, end, level)
    ]


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


def _of(
    evidence: Evidence, name: str, kind: Numeric, end: float, level: float
) -> Iterator[Finding]:
    wider = widened(name, kind, end)
    crowd = crowd_at(evidence, name, kind, end, level) if wider is not None else None
    if wider is None or crowd is None:
        return
    beyond = cliff(evidence, name, kind, end, _LEVEL)
    if beyond is None:
        yield _finding(name, kind, end, wider, crowd)
    else:
        yield _stays(beyond, crowd)


def crowd_at(
    evidence: Evidence, name: str, kind: Numeric, end: float, level: float
) -> Crowd | None:
    """The good trials at an end of a range, if they crowd there and the score rises towards it.

    Args:
        end: 0 for the low one, 1 for the high one.
        level: of the test.
    """
    trials = evidence.having(name)
    if len(trials) < _FEWEST:
        return None
    good = best_tenth(trials)
    at_bound = [t for t in good if abs(place_of(kind, t, name) - end) <= _outer(kind)]
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
    """The range with its bound at `end` moved out; None where the bound is a natural one.

    By half of its width on its scale; on a log scale by a factor from 10 to 100, or from 2 to 4
    for whole numbers. Rounded to two digits, or to the range's steps.
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
    """Of the range, what counts as being at a bound; the bound alone of a few whole numbers."""
    n_steps = (kind.high - kind.low) / kind.step if kind.step and not kind.log else math.inf
    return min(_OUTER, 0.5 / n_steps) if n_steps * _OUTER < 1 else _OUTER


def _one_sided_p(slope: float, error: float, n_free: int) -> float:
    """Of a slope this steep or steeper where there is none."""
    if n_free < 1 or error <= 0:
        return 1.0
    from scipy.special import stdtr

    return float(stdtr(n_free, -slope / error))


def _stays(beyond: Rule, crowd: Crowd) -> Finding:
    """The score rises towards a bound, and beyond some value trials diverge: no wider range."""
    sentence = (
        f"The score rises towards the bound of {plain(beyond.parameter)}, but it is unstable "
        f"{beyond.side} {scalar(beyond.value, 2)}: {beyond.n_marked_inside} of "
        f"{count(beyond.n_inside, 'trial')} there diverged. Stay in the range."
    )
    return Finding(
        "unstable",
        "note",
        sentence,
        weight=0.4,
        figures={"boundaries": [rule_figures(beyond)]},
        parameters=(beyond.parameter,),
        trials=crowd.trials,
        advice="training.clip_norm: 1.0, or training.warmup: 0.1, may move it",
    )


def _finding(name: str, kind: Numeric, end: float, wider: Numeric, crowd: Crowd) -> Finding:
    bound, new = (kind.high, wider.high) if end else (kind.low, wider.low)
    where = "upper" if end else "lower"
    sentence = (
        f"{crowd.n_inside} of the best {crowd.n_good} trials lie at the {where} end of {name} "
        f"({scalar(bound)}), and the score rises towards it: search up to {scalar(new)}."
    )
    if not end:
        sentence = sentence.replace("search up to", "search down to")
    return Finding(
        "edge",
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
