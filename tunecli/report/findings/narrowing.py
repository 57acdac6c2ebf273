"""Which part of each range holds all the good trials, for a next round that looks closer."""

from __future__ import annotations

from collections.abc import Collection

from tunecli.report.findings.effects import effect_of, permutation_p
from tunecli.report.findings.evidence import Evidence, best_tenth
from tunecli.report.findings.finding import Finding, NewRange
from tunecli.report.findings.positions import Numeric, place_of, resized, rounded, value_at
from tunecli.report.wording import plain
from tunecli.study_file.counts import count
from tunecli.study_file.ranges import Categories

_FEWEST = 25  # trials that have the parameter
_MARGIN = 0.1  # of the range, kept on both sides of the good trials
_NARROW = 0.6  # of the range; a wider region is not worth a new range
_LEVEL = 0.01


def narrow(evidence: Evidence, left_alone: Collection[str] = ()) -> list[Finding]:
    """One finding with all ranges of which a part is enough.

    Only where the parameter has an effect: otherwise the good trials lie together by chance.

    Args:
        left_alone: parameters of which another finding has a change.
    """
    changes = [
        change
        for name, kind in evidence.ranges.items()
        if name not in left_alone and not isinstance(kind, Categories) and kind.low < kind.high
        for change in _of(evidence, name, kind)
    ]
    if not changes:
        return []
    names = ", ".join(plain(change.parameter) for change in changes)
    n_good = len(evidence.good)
    return [
        Finding(
            "narrow",
            "note",
            f"The best {count(n_good, 'trial')} lie in a part of the range of {names}: "
            "a next round can look closer there.",
            weight=0.6,
            figures={"n_good": n_good},
            parameters=tuple(change.parameter for change in changes),
            trials=tuple(trial.number for trial in evidence.good),
            changes=tuple(changes),
        )
    ]


def _of(evidence: Evidence, name: str, kind: Numeric) -> list[NewRange]:
    trials = evidence.having(name)
    if len(trials) < _FEWEST:
        return []
    places = [place_of(kind, trial, name) for trial in best_tenth(trials)]
    low, high = max(min(places) - _MARGIN, 0.0), min(max(places) + _MARGIN, 1.0)
    if high - low > _NARROW:
        return []
    effect = effect_of(evidence, trials, name)
    if effect is None or permutation_p(effect, evidence.rng(f"narrow {name}")) >= _LEVEL:
        return []
    new = _part(kind, low, high)
    return [NewRange(name, new)] if new.low < new.high and new != kind else []


def _part(kind: Numeric, low: float, high: float) -> Numeric:
    """From one position to another, rounded; no further than the range goes."""
    ends = value_at(kind, low), value_at(kind, high)
    if kind.step is not None:
        steps = [round((end - kind.low) / kind.step) * kind.step for end in ends]
        ends = kind.low + steps[0], kind.low + steps[1]
    else:
        ends = rounded(ends[0]), rounded(ends[1])
    first, last = max(ends[0], kind.low), min(ends[1], kind.high)
    return resized(kind, first, last)
