"""Which changes are made: of those that contradict each other, and in a round that exploits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunecli.report.findings.all_findings import KINDS
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import (
    Change,
    DroppedChoices,
    Finding,
    Fixed,
    NewRange,
    NewSetting,
)
from tunecli.report.findings.evidence.positions import (
    Numeric,
    position,
    resized,
    rounded_by,
    value_at,
)
from tunecli.study_file.settings.ranges import Categories, IntRange, Parameter
from tunecli.study_file.text.scalars import Scalar

MARGIN = 0.1  # share of the width, on both sides of the best trials
FEWEST = 3  # best trials that must have a parameter


@dataclass(frozen=True)
class Advice:
    """One change and its reason.

    Attributes:
        reason: the finding's sentence.
    """

    change: Change
    reason: str
    kind: str

    @property
    def about(self) -> str:
        """The parameter or path that is changed."""
        change = self.change
        return change.path if isinstance(change, NewSetting) else change.parameter


def advice_of(findings: Iterable[Finding]) -> list[Advice]:
    """Return all changes of all findings."""
    return [
        Advice(change, finding.sentence, finding.kind)
        for finding in findings
        for change in finding.changes
    ]


def settled(advice: Sequence[Advice], parameters: Sequence[Parameter]) -> list[Advice]:
    """Return at most one change per parameter, that of the smallest `FindingKind.rank`.

    A dropped option removes everything inside it, an edge that diverges is not widened, and a
    range whose best lies beyond its edge is not narrowed.

    Args:
        parameters: those of the study file; a parameter that is no longer there is not changed.
    """
    known = {parameter.name: parameter for parameter in parameters}
    chosen: dict[str, Advice] = {}
    for one in sorted(advice, key=lambda one: KINDS[one.kind].rank):
        parameter = known.get(one.about)
        if parameter is None and not isinstance(one.change, NewSetting):
            continue
        chosen.setdefault(one.about, one)
    gone = {name: _dropped(one, known.get(name)) for name, one in chosen.items()}
    return [one for name, one in chosen.items() if not _is_below(known.get(name), gone)]


def _dropped(advice: Advice, parameter: Parameter | None) -> tuple[Scalar, ...]:
    """Return the options of a parameter that a change removes."""
    change = advice.change
    if isinstance(change, DroppedChoices):
        return change.choices
    if isinstance(change, Fixed) and parameter and isinstance(parameter.range, Categories):
        return tuple(choice for choice in parameter.range.choices if choice != change.value)
    return ()


def _is_below(parameter: Parameter | None, gone: dict[str, tuple[Scalar, ...]]) -> bool:
    """Return whether a parameter exists only under options that are dropped."""
    return parameter is not None and any(
        all(value in gone.get(condition.parameter, ()) for value in condition.values)
        for condition in parameter.conditions
    )


def closer(evidence: Evidence, parameters: Sequence[Parameter]) -> list[Advice]:
    """Return each numeric range cut to where the best tenth lies, at least five trials.

    A round that only exploits begins with them.
    """
    best = evidence.ranked[: max(5, len(evidence.ranked) // 10)]
    advice = []
    for parameter in parameters:
        number, name = parameter.range, parameter.name
        if isinstance(number, Categories):
            continue
        given = [trial.params.get(name) for trial in best]
        values = [float(value) for value in given if isinstance(value, int | float)]
        if len(values) >= FEWEST and (cut := _cut(number, values)) != number:
            reason = f"The best {len(values)} trials with this parameter lie in this range."
            advice.append(Advice(NewRange(name, cut), reason, "narrow"))
    return advice


def _cut(number: Numeric, values: Sequence[float]) -> Numeric:
    """Return the part of a range that holds all values, with a margin on its scale."""
    places = [position(number, value) for value in values]
    first, last = min(places) - MARGIN, max(places) + MARGIN
    low, high = value_at(number, first), value_at(number, last)
    if isinstance(number, IntRange):
        low, high = math.floor(low + 1e-9), math.ceil(high - 1e-9)
    else:
        low, high = rounded_by(low, math.floor), rounded_by(high, math.ceil)
    return resized(
        number,
        max(low, number.low) if first > 0 else number.low,
        min(high, number.high) if last < 1 else number.high,
    )
