"""The lessons that a new study learned from others, as plain values for the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.evaluation import Outcome

_SHOWN = 4  # reasons that a line lists


@dataclass(frozen=True)
class Lesson:
    """The end of a trial of another study, expressed in this study's search space.

    Attributes:
        params: parameters by this study's names.
        n_evaluations: number of evaluations that the trial reached.
    """

    params: dict[str, Scalar]
    outcome: Outcome
    reason: str
    value: float | None
    n_evaluations: int

    @property
    def values(self) -> tuple[float, ...]:
        """The value of the objective; studies that learn have one. Empty unless complete."""
        return (self.value,) if self.outcome == "complete" and self.value is not None else ()

    @property
    def violations(self) -> dict[str, float]:
        """Always empty: violations of another study are not known."""
        return {}


@dataclass(frozen=True)
class Learned:
    """The lessons of one other study.

    Attributes:
        study: name of the other study.
        n_trials: number of its trials.
        lessons: one per trial that fits this study's space.
        left_out: number of trials that do not fit, by reason.
    """

    study: str
    n_trials: int
    lessons: tuple[Lesson, ...]
    left_out: Mapping[str, int]

    def __str__(self) -> str:
        n = self.n_trials
        source = f"from {len(self.lessons)} of {n} trial{'' if n == 1 else 's'} of {self.study}"
        reasons = [f"{count} with {reason}" for reason, count in [*self.left_out.items()][:_SHOWN]]
        reasons += ["others"] if len(self.left_out) > _SHOWN else []
        return f"{source}; left out: {', '.join(reasons)}" if reasons else source


_STORED = TypeAdapter(tuple[Learned, ...])


def as_attribute(learned: Sequence[Learned]) -> list[dict[str, Any]]:
    """Return the lessons as an attribute of the study."""
    return [asdict(one) for one in learned]


def from_attribute(stored: Any) -> tuple[Learned, ...]:
    """Read what `as_attribute` wrote.

    Raises:
        ValueError: the stored value is damaged.
    """
    return _STORED.validate_python(stored)
