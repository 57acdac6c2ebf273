"""Which of the changes that findings ask for are made, where they contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunecli.report.findings.evidence.finding import (
    Change,
    DroppedChoices,
    Finding,
    Fixed,
    Kind,
    NewSetting,
)
from tunecli.study_file.settings.ranges import Categories, Parameter
from tunecli.study_file.text.scalars import Scalar

FIRST: tuple[Kind, ...] = (
    "isolation",
    "unstable",
    "edge",
    "length",
    "fitting",
    "dead",
    "narrow",
)
"""Of two changes to one parameter, the one whose kind stands first here is made: what is dropped
takes all below it along, an edge that diverges is not widened, and a range whose best lies beyond
its edge is not narrowed. Kinds that do not stand here come last."""


@dataclass(frozen=True)
class Advice:
    """One change, and why.

    Attributes:
        reason: the finding's sentence.
    """

    change: Change
    reason: str
    kind: Kind

    @property
    def about(self) -> str:
        """The parameter or the path that it changes."""
        change = self.change
        return change.path if isinstance(change, NewSetting) else change.parameter


def advice_of(findings: Iterable[Finding]) -> list[Advice]:
    """All changes of all findings."""
    return [
        Advice(change, finding.sentence, finding.kind)
        for finding in findings
        for change in finding.changes
    ]


def is_possible(advice: Advice) -> bool:
    """Whether a change leaves scores comparable with those of before, but for longer training."""
    change = advice.change
    return not isinstance(change, NewSetting) or change.path.startswith("training.")


def settled(advice: Sequence[Advice], parameters: Sequence[Parameter]) -> list[Advice]:
    """One change for each parameter that is left, in the order of `FIRST`.

    Args:
        parameters: of the study file; what is no longer there is not changed.
    """
    known = {parameter.name: parameter for parameter in parameters}
    found: dict[str, Advice] = {}
    for one in sorted(advice, key=lambda one: _rank(one.kind)):
        parameter = known.get(one.about)
        if parameter is None and not isinstance(one.change, NewSetting):
            continue
        found.setdefault(one.about, one)
    gone = {name: _dropped(one, known.get(name)) for name, one in found.items()}
    return [one for name, one in found.items() if not _is_below(known.get(name), gone)]


def _rank(kind: Kind) -> int:
    return FIRST.index(kind) if kind in FIRST else len(FIRST)


def _dropped(advice: Advice, parameter: Parameter | None) -> tuple[Scalar, ...]:
    """The categories of a parameter that a change takes away."""
    change = advice.change
    if isinstance(change, DroppedChoices):
        return change.choices
    if isinstance(change, Fixed) and parameter and isinstance(parameter.range, Categories):
        return tuple(choice for choice in parameter.range.choices if choice != change.value)
    return ()


def _is_below(parameter: Parameter | None, gone: dict[str, tuple[Scalar, ...]]) -> bool:
    """Whether a parameter exists only under options that are dropped."""
    return parameter is not None and any(
        all(value in gone.get(condition.parameter, ()) for value in condition.values)
        for condition in parameter.conditions
    )
