"""What some trials have in common and the others lack: the best rule on one parameter.

A rule is `lr above 0.3` or `optimizer = SGD`. It is chosen by Youden's J (the share of the marked
trials that it covers minus that of the others), with the chance that the best of so many rules
does as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence, takes
from tunecli.report.findings.evidence.finding import Change, DroppedChoices, NewRange
from tunecli.report.findings.evidence.positions import (
    Numeric,
    positions,
    resized,
    rounded,
    value_at,
)
from tunecli.report.phrases.foreign_text import plain
from tunecli.report.phrases.wording import scalar
from tunecli.study_file.settings.ranges import Categories, FloatRange
from tunecli.study_file.text.scalars import Scalar

Side = Literal["above", "below", "is"]

_FEWEST = 3
_LEVEL = 0.01
_CAPTURED = 0.7


@dataclass(frozen=True)
class Rule:
    """Trials on one side of a bound of a parameter, or with one of its choices.

    Attributes:
        value: the bound, or the choice.
        n_inside: trials that the rule covers; `n_marked_inside` of them are marked.
        n_marked: trials that it should cover.
        chance: probability that the best rule on values in random order is as good; at most 1.
    """

    parameter: str
    side: Side
    value: Scalar
    n_inside: int
    n_marked_inside: int
    n_marked: int
    n_others: int
    chance: float = 1.0

    @property
    def n_sound(self) -> int:
        """Trials that the rule covers although it should not."""
        return self.n_inside - self.n_marked_inside

    @property
    def purity(self) -> float:
        """Share of marked trials among those that the rule covers."""
        return self.n_marked_inside / self.n_inside if self.n_inside else 0.0

    @property
    def captured(self) -> float:
        """Share of the marked trials that the rule covers."""
        return self.n_marked_inside / self.n_marked if self.n_marked else 0.0

    @property
    def quality(self) -> float:
        """Youden's J of the rule."""
        return self.captured - self.n_sound / max(self.n_others, 1)

    @property
    def text(self) -> str:
        """The rule in words: `optimizer.SGD.lr above 0.31`."""
        side = "=" if self.side == "is" else self.side
        return f"{plain(self.parameter)} {side} {scalar(self.value, 2)}"


@dataclass(frozen=True)
class CommonCause:
    """One parameter that separates some trials from others; empty if none does.

    Attributes:
        sentence: ` Most of them have optimizer.SGD.lr above 0.3.`, to follow another sentence.
        rule: the same as `Rule.text`.
        parameters: its name.
        changes: to the study file, which avoid such trials.
    """

    sentence: str = ""
    rule: str | None = None
    parameters: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()


def common_cause(
    evidence: Evidence, marked: Sequence[TrialRecord], others: Sequence[TrialRecord], purity: float
) -> CommonCause:
    """Return what most of the marked trials share and the others lack, if it is not chance.

    Args:
        purity: smallest share of marked trials in the part that a change may cut off.
    """
    if len(marked) < _FEWEST or not others:
        return CommonCause()
    rule = best_rule(evidence, marked, others)
    if rule is None or rule.chance >= _LEVEL or rule.captured < _CAPTURED:
        return CommonCause()
    return CommonCause(
        f" {'All' if rule.captured == 1 else 'Most'} of them have {rule.text}.",
        rule.text,
        (rule.parameter,),
        without(evidence, rule) if rule.purity >= purity else (),
    )


def without(evidence: Evidence, rule: Rule) -> tuple[Change, ...]:
    """Return the change that cuts off what a rule covers; none if the best trial lies there."""
    kind, name = evidence.ranges[rule.parameter], rule.parameter
    good = [trial.params[name] for trial in evidence.good if name in trial.params]
    if isinstance(kind, Categories):
        if rule.value in good or len(kind.choices) < 2:
            return ()
        return (DroppedChoices(name, (rule.value,)),)
    numbers = [value for value in good if isinstance(value, int | float)]
    assert isinstance(rule.value, int | float)
    inwards = math.floor if rule.side == "above" else math.ceil
    bound = rounded(rule.value) if isinstance(kind, FloatRange) else inwards(rule.value)
    ends = (kind.low, bound) if rule.side == "above" else (bound, kind.high)
    new = resized(kind, *ends)
    if new.low >= new.high or any(not new.low <= value <= new.high for value in numbers[:1]):
        return ()
    return (NewRange(name, new),)


def best_rule(
    evidence: Evidence, marked: Sequence[TrialRecord], others: Sequence[TrialRecord]
) -> Rule | None:
    """Return the rule on one parameter that best separates marked trials; None without any."""
    rules: list[Rule] = []
    for name, kind in evidence.ranges.items():
        if isinstance(kind, Categories):
            rules += _choices(name, kind, marked, others)
        else:
            rules += _thresholds(name, kind, marked, others)
    if not rules:
        return None
    best = max(rules, key=lambda rule: rule.quality)
    n_looks = len(evidence.ranges) * _n_looks(evidence, best.parameter, [*marked, *others])
    return replace(best, chance=min(n_looks * _hypergeometric(best), 1.0))


def rule_at_end(
    name: str,
    kind: Numeric,
    end: float,
    marked: Sequence[TrialRecord],
    others: Sequence[TrialRecord],
    purity: float,
) -> Rule | None:
    """Return the rule that covers the outermost trials at one end of a range.

    It ends at the marked trial where chance explains it least. Only trials that have the parameter
    count. `chance` is that of this rule alone: compare it with a stricter level if several ends or
    rules are examined.

    Args:
        end: 0 for the low end, 1 for the high end.
        purity: smallest share of marked trials among those inside.
    """
    here, rest = positions(kind, marked, name), positions(kind, others, name)
    placed = sorted(
        [*((abs(at - end), True) for at in here), *((abs(at - end), False) for at in rest)]
    )
    side: Side = "above" if end else "below"
    best, n_inside_marked = None, 0
    for n_inside, ((far, is_marked), (further, _)) in enumerate(pairwise(placed), 1):
        n_inside_marked += is_marked
        if not is_marked or far == further or n_inside_marked < purity * n_inside:
            continue
        bound = value_at(kind, abs(end - (far + further) / 2))
        rule = Rule(name, side, bound, n_inside, n_inside_marked, len(here), len(rest))
        rule = replace(rule, chance=_hypergeometric(rule))
        if best is None or rule.chance < best.chance:
            best = rule
    return best


def _choices(
    name: str, kind: Categories, marked: Sequence[TrialRecord], others: Sequence[TrialRecord]
) -> Iterator[Rule]:
    for choice in kind.choices:
        n_marked = sum(takes(trial, name, choice) for trial in marked)
        n_others = sum(takes(trial, name, choice) for trial in others)
        if n_marked:
            n_inside = n_marked + n_others
            yield Rule(name, "is", choice, n_inside, n_marked, len(marked), len(others))


def _thresholds(
    name: str, kind: Numeric, marked: Sequence[TrialRecord], others: Sequence[TrialRecord]
) -> Iterator[Rule]:
    """Yield the best rule above a bound and the best one below a bound."""
    here = np.sort(positions(kind, marked, name))
    rest = np.sort(positions(kind, others, name))
    distinct = np.unique(np.concatenate([here, rest]))
    if not len(here) or len(distinct) < 2:
        return
    between = (distinct[1:] + distinct[:-1]) / 2
    marked_below, others_below = np.searchsorted(here, between), np.searchsorted(rest, between)
    sides: dict[Side, tuple[NDArray[np.intp], NDArray[np.intp]]] = {
        "above": (len(here) - marked_below, len(rest) - others_below),
        "below": (marked_below, others_below),
    }
    for side, (n_marked, n_others) in sides.items():
        best = int(np.argmax(n_marked / len(marked) - n_others / max(len(others), 1)))
        bound, n_inside = value_at(kind, float(between[best])), int((n_marked + n_others)[best])
        yield Rule(name, side, bound, n_inside, int(n_marked[best]), len(marked), len(others))


def _n_looks(evidence: Evidence, name: str, trials: Sequence[TrialRecord]) -> int:
    """Return the number of possible rules on one parameter."""
    kind = evidence.ranges[name]
    if isinstance(kind, Categories):
        return len(kind.choices)
    return 2 * len({trial.params[name] for trial in trials if name in trial.params})


def _hypergeometric(rule: Rule) -> float:
    """Return the chance that a random draw holds as many marked trials as a rule covers."""
    n_marked, n_others, n_inside = rule.n_marked, rule.n_others, rule.n_inside
    total = log_choose(n_marked + n_others, n_inside)
    least = max(rule.n_marked_inside, n_inside - n_others)
    return math.fsum(
        math.exp(log_choose(n_marked, k) + log_choose(n_others, n_inside - k) - total)
        for k in range(least, min(n_marked, n_inside) + 1)
    )


def log_choose(n: int, k: int) -> float:
    """Return the logarithm of a binomial coefficient."""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
