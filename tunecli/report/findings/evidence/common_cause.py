"""What unsuccessful trials have in common, in words, and the change that would avoid them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Change, DroppedChoices, NewRange
from tunecli.report.findings.evidence.positions import resized, rounded
from tunecli.report.findings.evidence.separation import Rule, best_rule
from tunecli.study_file.settings.ranges import Categories, FloatRange

_FEWEST = 3
_LEVEL = 0.01
_CAPTURED = 0.7


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
    bound = rule.value
    assert isinstance(bound, int | float)
    is_float = isinstance(kind, FloatRange)
    if rule.side == "above":
        new = resized(kind, kind.low, rounded(bound) if is_float else math.floor(bound))
    else:
        new = resized(kind, rounded(bound) if is_float else math.ceil(bound), kind.high)
    if new.low >= new.high or any(not new.low <= value <= new.high for value in numbers[:1]):
        return ()
    return (NewRange(name, new),)
