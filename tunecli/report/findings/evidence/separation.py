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

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.positions import Numeric, number_position, value_at
from tunecli.report.phrases.wording import plain, scalar
from tunecli.study_file.settings.ranges import Categories
from tunecli.study_file.text.scalars import Scalar


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
    side: Literal["above", "below", "is"]
    value: Scalar
    n_inside: int
    n_marked_inside: int
    n_marked: int
    n_others: int
    chance: float

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


def best_rule(
    evidence: Evidence, marked: Sequence[TrialRecord], others: Sequence[TrialRecord]
) -> Rule | None:
    """Return the rule on one parameter that best separates marked trials; None without any."""
    rules = [
        rule
        for name, kind in evidence.ranges.items()
        for rule in (
            _choices(name, kind, marked, others)
            if isinstance(kind, Categories)
            else _thresholds(name, kind, marked, others)
        )
    ]
    if not rules:
        return None
    best = max(rules, key=lambda rule: rule.quality)
    n_looks = len(evidence.ranges) * _n_looks(evidence, best.parameter, [*marked, *others])
    chance = n_looks * _hypergeometric(best)
    return replace(best, chance=min(chance, 1.0))


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
    having = [trial for trial in others if name in trial.params]
    n_others, n_marked = len(having), sum(name in trial.params for trial in marked)
    placed = sorted(
        [(abs(number_position(kind, t, name) - end), True) for t in marked if name in t.params]
        + [(abs(number_position(kind, t, name) - end), False) for t in having]
    )
    best, n_inside_marked = None, 0
    for n_inside, ((far, is_marked), (further, _)) in enumerate(pairwise(placed), 1):
        n_inside_marked += is_marked
        if not is_marked or far == further or n_inside_marked < purity * n_inside:
            continue
        bound = value_at(kind, abs(end - (far + further) / 2))
        side: Literal["above", "below"] = "above" if end else "below"
        rule = Rule(name, side, bound, n_inside, n_inside_marked, n_marked, n_others, 1.0)
        rule = replace(rule, chance=_hypergeometric(rule))
        if best is None or rule.chance < best.chance:
            best = rule
    return best


def _choices(
    name: str, kind: Categories, marked: Sequence[TrialRecord], others: Sequence[TrialRecord]
) -> Iterator[Rule]:
    for choice in kind.choices:
        n_marked = sum(_takes(trial, name, choice) for trial in marked)
        n_others = sum(_takes(trial, name, choice) for trial in others)
        if n_marked:
            n_inside = n_marked + n_others
            yield Rule(name, "is", choice, n_inside, n_marked, len(marked), len(others), 1.0)


def _thresholds(
    name: str, kind: Numeric, marked: Sequence[TrialRecord], others: Sequence[TrialRecord]
) -> Iterator[Rule]:
    """Yield the best rule above a bound and the best one below a bound."""
    import numpy as np

    here = np.sort(
        [number_position(kind, trial, name) for trial in marked if name in trial.params]
    )
    rest = np.sort(
        [number_position(kind, trial, name) for trial in others if name in trial.params]
    )
    positions = np.unique(np.concatenate([here, rest]))
    if not len(here) or len(positions) < 2:
        return
    between = (positions[1:] + positions[:-1]) / 2
    marked_above = len(here) - np.searchsorted(here, between)
    others_above = len(rest) - np.searchsorted(rest, between)
    for side, n_marked, n_others in (
        ("above", marked_above, others_above),
        ("below", len(here) - marked_above, len(rest) - others_above),
    ):
        quality = n_marked / len(marked) - n_others / max(len(others), 1)
        best = int(np.argmax(quality))
        yield Rule(
            name,
            "above" if side == "above" else "below",
            value_at(kind, float(between[best])),
            int(n_marked[best] + n_others[best]),
            int(n_marked[best]),
            len(marked),
            len(others),
            1.0,
        )


def _takes(trial: TrialRecord, name: str, choice: Scalar) -> bool:
    value = trial.params.get(name)
    return name in trial.params and type(value) is type(choice) and value == choice


def _n_looks(evidence: Evidence, name: str, trials: Sequence[TrialRecord]) -> int:
    """Return the number of possible rules on one parameter."""
    kind = evidence.ranges[name]
    if isinstance(kind, Categories):
        return len(kind.choices)
    return 2 * len({trial.params[name] for trial in trials if name in trial.params})


def _hypergeometric(rule: Rule) -> float:
    """Return the chance that a random draw holds as many marked trials as a rule covers."""
    n, n_marked, n_inside = rule.n_marked + rule.n_others, rule.n_marked, rule.n_inside
    total = _log_choose(n, n_inside)
    return math.fsum(
        math.exp(_log_choose(n_marked, k) + _log_choose(n - n_marked, n_inside - k) - total)
        for k in range(rule.n_marked_inside, min(n_marked, n_inside) + 1)
        if n_inside - k <= n - n_marked
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
