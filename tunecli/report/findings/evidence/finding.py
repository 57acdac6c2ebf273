"""What a finding is: one sentence, the figures behind it, and what to change in the study file.

A kind of finding is one function, which `finding` marks; what differs between kinds is said there.

A change names a parameter as the database does (`optimizer.AdamW.lr`) or a setting by its path in
the study file (`training.epochs`). `tunecli next` applies changes to the file; the report prints
their `line`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tunecli.study_file.settings.ranges import FloatRange, IntRange
from tunecli.study_file.space.tree import range_data
from tunecli.study_file.text.dump import flow
from tunecli.study_file.text.scalars import Scalar

ENOUGH_TRIALS = 15
"""Complete trials; a smaller study shows only a few kinds of findings."""

Severity = Literal["problem", "advice", "note"]
"""Problem: the result cannot be trusted or used. Advice: a change would give a better study."""


def _written(value: Scalar) -> str:
    """Return a value as a study file writes it."""
    return "none" if value is None else flow(value)


@dataclass(frozen=True)
class NewRange:
    """Search a numeric parameter in a wider or narrower range; kind and scale stay."""

    parameter: str
    range: FloatRange | IntRange

    @property
    def line(self) -> str:
        """The change as the study file writes it."""
        return f"{self.parameter}: {flow(range_data(self.range))}"


@dataclass(frozen=True)
class Fixed:
    """Stop searching a parameter: this value replaces its range or choice."""

    parameter: str
    value: Scalar

    @property
    def line(self) -> str:
        """The change as the study file writes it."""
        return f"{self.parameter}: {_written(self.value)}"


@dataclass(frozen=True)
class DroppedChoices:
    """Drop some options of a parameter, with everything inside them."""

    parameter: str
    choices: tuple[Scalar, ...]

    @property
    def line(self) -> str:
        """The change in words."""
        dropped = ", ".join(_written(choice) for choice in self.choices)
        return f"{self.parameter}: without {dropped}"


@dataclass(frozen=True)
class NewSetting:
    """Give a setting that is not searched another value, such as `training.epochs: 40`."""

    path: str
    value: Scalar

    @property
    def line(self) -> str:
        """The change as the study file writes it."""
        return f"{self.path}: {_written(self.value)}"


Change = NewRange | Fixed | DroppedChoices | NewSetting


def keeps_scores_comparable(change: Change) -> bool:
    """Return whether new scores are comparable with old ones; the training may differ."""
    return not isinstance(change, NewSetting) or change.path.startswith("training.")


@dataclass(frozen=True)
class Finding:
    """One thing that a study shows.

    Attributes:
        kind: which question it answers; by default that of the function which found it.
        sentence: one or two sentences for people: what to do or what was found, then the
            evidence, with at most two numbers.
        weight: how useful it is among those of the same severity, from 0 to 1.
        figures: what the sentence rests on, plain values for JSON and the page.
        parameters: what it is about, by their names in the database.
        trials: numbers of the trials that show it.
        changes: what to change in the study file.
        advice: what to do in words, where no change of the study file helps.
    """

    kind: str = field(default="", kw_only=True)
    severity: Severity
    sentence: str
    weight: float = 0.5
    figures: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()
    trials: tuple[int, ...] = ()
    changes: tuple[Change, ...] = ()
    advice: str = ""


Find = Callable[..., Iterable[Finding]]


@dataclass(frozen=True)
class FindingKind:
    """One question to a study: how its findings are made, shown and applied.

    Attributes:
        name: its word in JSON and the guide.
        find: the function from an `Evidence`, and the findings of each kind in `after`, to
            findings.
        plot: the page's plot that shows it, in addition to those of its parameters.
        needs_trials: complete trials of the smallest study in which it is shown.
        of_several: whether it also holds with several objectives: it leads away from no part of
            the front.
        compares: whether it compares trials with each other. Then it is silent where no trial
            beats guessing: what their scores differ by has no meaning.
        rank: of two changes to one parameter, that of the smaller rank is made.
        after: names of kinds whose findings it takes into account.
    """

    name: str
    find: Find
    plot: str = ""
    needs_trials: int = ENOUGH_TRIALS
    of_several: bool = False
    compares: bool = False
    rank: int = 9
    after: tuple[str, ...] = ()

    def __call__(self, *evidence: Any) -> list[Finding]:
        """Return the findings of this kind; see `find`."""
        found = self.find(*evidence)
        return [one if one.kind else replace(one, kind=self.name) for one in found]


def parameters_in(*found: Iterable[Finding]) -> frozenset[str]:
    """Return the parameters that findings of some kinds are about."""
    return frozenset(name for of_kind in found for one in of_kind for name in one.parameters)


def finding(name: str, **facts: Any) -> Callable[[Find], FindingKind]:
    """Return the decorator of a function that makes findings, with attributes of `FindingKind`."""
    return lambda find: FindingKind(name, find, **facts)
