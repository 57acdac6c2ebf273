"""Which part of each range holds all the good trials, for a narrower next round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunecli.report.findings.evidence.effects import effect_of, permutation_p
from tunecli.report.findings.evidence.evidence import Evidence, best_tenth, takes
from tunecli.report.findings.evidence.finding import (
    DroppedChoices,
    Finding,
    NewRange,
    NewSetting,
    finding,
)
from tunecli.report.findings.evidence.positions import (
    Numeric,
    positions,
    resized,
    rounded,
    value_at,
)
from tunecli.report.phrases.foreign_text import plain
from tunecli.report.phrases.wording import joined
from tunecli.study_file.text.counts import count

_FEWEST = 25  # trials that have the parameter
_MARGIN = 0.1  # share of the range, kept on both sides of the good trials
_NARROW = 0.6  # share of the range; a wider part is not worth a new range
_LEVEL = 0.01
_AFTER = ("failures", "limits", "unstable", "edge", "isolation", "length", "dead")


@finding("narrow", compares=True, rank=6, after=_AFTER)
def narrow(evidence: Evidence, *earlier: Sequence[Finding]) -> Iterator[Finding]:
    """Return one finding with all ranges that can be narrowed and that no other finding changes.

    The parameter must have an effect: otherwise the good trials lie together by chance.
    """
    changes = [change for found in earlier for one in found for change in one.changes]
    changed = {one.parameter for one in changes if not isinstance(one, NewSetting)}
    dropped = [one for one in changes if isinstance(one, DroppedChoices)]
    narrowed = tuple(
        NewRange(name, part)
        for name, kind in evidence.numeric.items()
        if name not in changed and not _is_dropped(evidence, name, dropped)
        if (part := _narrowed(evidence, name, kind)) is not None
    )
    if not narrowed:
        return
    names = joined([plain(change.parameter) for change in narrowed])
    is_one = len(narrowed) == 1
    ranges, each, them = ("range", "it", "it") if is_one else ("ranges", "each", "them")
    n_good = len(evidence.good)
    parameters = tuple(change.parameter for change in narrowed)
    is_in_all = all(name in trial.params for trial in evidence.good for name in parameters)
    some = f"trials that have {them}"
    good = f"the best {count(n_good, 'trial') if is_in_all else some}"
    yield Finding(
        "note",
        f"Narrow the {ranges} of {names}: {good} use only a part of {each}.",
        weight=0.6,
        figures={"n_good": n_good},
        parameters=parameters,
        trials=tuple(trial.number for trial in evidence.good),
        changes=narrowed,
    )


def _is_dropped(evidence: Evidence, name: str, dropped: Sequence[DroppedChoices]) -> bool:
    """Return whether all trials that have a parameter take an option that is dropped."""
    return any(
        all(any(takes(t, one.parameter, choice) for choice in one.choices) for t in trials)
        for one in dropped
        if (trials := evidence.having(name))
    )


def _narrowed(evidence: Evidence, name: str, kind: Numeric) -> Numeric | None:
    """Return the part of a range that holds the good trials; None if it is not worth a change."""
    trials = evidence.having(name)
    if len(trials) < _FEWEST or kind.low == kind.high:
        return None
    good = positions(kind, best_tenth(trials), name)
    low, high = max(min(good) - _MARGIN, 0.0), min(max(good) + _MARGIN, 1.0)
    if high - low > _NARROW:
        return None
    effect = effect_of(evidence, trials, name)
    if effect is None or permutation_p(effect, evidence.rng(f"narrow {name}")) >= _LEVEL:
        return None
    new = _part(kind, low, high)
    return new if new.low < new.high and new != kind else None


def _part(kind: Numeric, low: float, high: float) -> Numeric:
    """Return the part of a range between two positions, rounded and within the range."""
    ends = value_at(kind, low), value_at(kind, high)
    if kind.step is not None:
        steps = [round((end - kind.low) / kind.step) * kind.step for end in ends]
        ends = kind.low + steps[0], kind.low + steps[1]
    else:
        ends = rounded(ends[0]), rounded(ends[1])
    first, last = max(ends[0], kind.low), min(ends[1], kind.high)
    return resized(kind, first, last)
