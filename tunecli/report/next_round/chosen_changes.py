"""Which of the suggested changes are made where they contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tunecli.report.findings.all_findings import KINDS
from tunecli.report.findings.evidence.finding import (
    Change,
    DroppedChoices,
    Finding,
    Fixed,
    NewSetting,
)
from tunecli.study_file.settings.ranges import Categories, Parameter
from tunecli.study_file.text.scalars import Scalar


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


def is_possible(advice: Advice) -> bool:
    """Return whether scores stay comparable after a change; the training may differ."""
    change = advice.change
    return not isinstance(change, NewSetting) or change.path.startswith("training.")


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
