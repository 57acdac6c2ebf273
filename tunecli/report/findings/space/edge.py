"""Whether the good trials crowd at a bound of a range, and the score rises towards it.

Crowding alone shows little: a sampler that learns returns to where it was lucky. So the score must
also rise at the bound itself (`trend`), by a t-test at 5 % for all bounds with crowds together.
And if it went on rising like that, a wider range must promise more than the noise.

A parameter of several branches, such as the learning rate of several models, is judged within the
branch of the best trial that has it: another branch may want another range.

How far the range grows depends on what the good trials gain there: see `wider`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence, best_tenth
from tunecli.report.findings.evidence.finding import Finding, NewRange, finding
from tunecli.report.findings.evidence.positions import Numeric, position
from tunecli.report.findings.evidence.separation import Rule
from tunecli.report.findings.evidence.trend import Trend, trend_at
from tunecli.report.findings.space.edge_gain import EdgeGain, edge_gain
from tunecli.report.findings.space.lora_scale import with_scales
from tunecli.report.findings.space.unstable import boundaries, cliff, rule_figures
from tunecli.report.findings.space.useful_bounds import useful_bounds
from tunecli.report.findings.space.wider import FAR, NEAR, widened
from tunecli.report.phrases.foreign_text import plain
from tunecli.report.phrases.wording import joined, option_name, scalar

_FEWEST = 10  # trials that have the parameter
_OUTER = 0.2  # share of the range that counts as its end
_CROWD = 0.5  # share of the good trials in there
_LEVEL = 0.05


@dataclass(frozen=True)
class Crowd:
    """The good trials at a bound, and how steeply the score rises there."""

    trials: tuple[int, ...]
    n_good: int
    trend: Trend

    @property
    def n_inside(self) -> int:
        return len(self.trials)


@finding("edge", needs_trials=0, compares=True, rank=3)
def edges(evidence: Evidence) -> Iterator[Finding]:
    """Return a finding for each bound at which the good trials crowd."""
    yield from with_scales(evidence, list(_edges(evidence)))


def _edges(evidence: Evidence) -> Iterator[Finding]:
    ends = list(_crowded_ends(evidence))
    for name, kind, end, farthest in ends:
        crowd = crowd_at(evidence, name, kind, end, _LEVEL / len(ends))
        if crowd is None:
            continue
        beyond = cliff(evidence, name, kind, end, _LEVEL)
        gain = edge_gain(evidence, name, end, _outer(kind))
        if _promises_nothing(crowd, gain, kind, end, farthest):
            continue
        useful = useful_bounds(evidence, name)
        wider = widened(kind, end, useful, FAR if gain.is_certain else NEAR)
        if beyond:
            yield _stays(beyond, crowd)
        elif wider is not None:
            yield _finding(evidence, name, end, wider, crowd, gain)


def _crowded_ends(evidence: Evidence) -> Iterator[tuple[str, Numeric, float, Numeric]]:
    """Yield each bound to test: the name, range and end, and the range after the largest step."""
    unstable = {(rule.parameter, rule.side) for rule in boundaries(evidence)}
    for name, kind in evidence.numeric.items():
        for end in (0.0, 1.0):
            if kind.low == kind.high or (name, _side(end)) in unstable:
                continue
            farthest = widened(kind, end, useful_bounds(evidence, name))
            if farthest is not None and _good_at(evidence, name, kind, end):
                yield name, kind, end, farthest


def crowd_at(
    evidence: Evidence, name: str, kind: Numeric, end: float, level: float
) -> Crowd | None:
    """Return the good trials at an end of a range, if they crowd there and the score rises.

    Args:
        end: 0 for the low end, 1 for the high end.
        level: significance level of the test.
    """
    at_bound = _good_at(evidence, name, kind, end)
    trend = trend_at(evidence, name, end) if at_bound else None
    if trend is None or trend.chance >= level:
        return None
    n_good = len(best_tenth(evidence.in_branch(name)))
    return Crowd(tuple(trial.number for trial in at_bound), n_good, trend)


def _good_at(evidence: Evidence, name: str, kind: Numeric, end: float) -> list[TrialRecord]:
    """Return the good trials at an end of a range, if most of the good trials lie there."""
    trials = evidence.in_branch(name)
    good = best_tenth(trials)
    places = zip(good, evidence.positions_of(name, good), strict=True)
    at_bound = [trial for trial, place in places if abs(place - end) <= _outer(kind)]
    is_crowd = len(trials) >= _FEWEST and len(at_bound) >= _CROWD * len(good)
    return at_bound if is_crowd else []


def _promises_nothing(
    crowd: Crowd, gain: EdgeGain, kind: Numeric, end: float, wider: Numeric
) -> bool:
    """Return whether the trend, continued to a wider range's end, stays within the noise."""
    step = abs(position(kind, wider.high if end else wider.low) - end)
    return gain.noise is not None and crowd.trend.slope * step < gain.noise


def _side(end: float) -> str:
    return "above" if end else "below"


def _outer(kind: Numeric) -> float:
    """Return the share of a range that counts as its end; for few whole numbers only the bound."""
    n_steps = (kind.high - kind.low) / kind.step if kind.step and not kind.log else math.inf
    return min(_OUTER, 0.5 / n_steps) if n_steps * _OUTER < 1 else _OUTER


def _stays(beyond: Rule, crowd: Crowd) -> Finding:
    """Return the advice to keep a range: the score rises towards a bound, but trials diverge."""
    end = "upper" if beyond.side == "above" else "lower"
    most = "most" if beyond.n_sound else "all"
    sentence = (
        f"Keep the range of {plain(beyond.parameter)}: the score improves towards its {end} end, "
        f"but {most} trials {beyond.side} {scalar(beyond.value, 2)} diverged."
    )
    return Finding(
        "note",
        sentence,
        kind="unstable",
        weight=0.4,
        figures={"boundaries": [rule_figures(beyond)]},
        parameters=(beyond.parameter,),
        trials=crowd.trials,
        advice="training.clip_norm: 1.0 or training.warmup: 0.1 may allow values beyond that",
    )


def _finding(
    evidence: Evidence, name: str, end: float, wider: Numeric, crowd: Crowd, gain: EdgeGain
) -> Finding:
    kind, branch = evidence.numeric[name], evidence.branch_of(name)
    options = [option_name(*option) for option in branch.items()]
    within = f" with {joined(options)}" if options else ""
    where = "upper" if end else "lower"
    limit = "" if gain.is_certain else ", though by no more than the noise"
    sentence = (
        f"Search {plain(name)} beyond its {where} end: {crowd.n_inside} of the best "
        f"{crowd.n_good} trials{within} lie near it, and the score still improves towards "
        f"it{limit}."
    )
    return Finding(
        "advice",
        sentence,
        weight=0.9,
        figures={
            "bound": kind.high if end else kind.low,
            "end": where,
            "branch": branch,
            "n_at_bound": crowd.n_inside,
            "n_good": crowd.n_good,
            "slope": crowd.trend.slope,
            "p": crowd.trend.chance,
            "gain": gain.score,
            "noise": gain.noise,
        },
        parameters=(name,),
        trials=crowd.trials,
        changes=(NewRange(name, wider),),
    )
