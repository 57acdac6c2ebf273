"""What a study learned from others when it was made, as plain values for the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter

from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.evaluation import Outcome

_SHOWN = 4  # reasons that a line names


@dataclass(frozen=True)
class Lesson:
    """How a trial of another study ended, as one of this study's space.

    Attributes:
        params: by this study's names.
        n_evaluations: how far it got.
    """

    params: dict[str, Scalar]
    outcome: Outcome
    reason: str
    value: float | None
    n_evaluations: int

    @property
    def values(self) -> tuple[float, ...]:
        """Of the one objective that studies which learn have; empty unless it is complete."""
        return (self.value,) if self.outcome == "complete" and self.value is not None else ()

    @property
    def violations(self) -> dict[str, float]:
        """Nothing is known of them."""
        return {}


@dataclass(frozen=True)
class Learned:
    """What another study teaches.

    Attributes:
        n_trials: of the other study.
        left_out: how many of them do not fit, by what is in the way.
    """

    study: str
    n_trials: int
    lessons: tuple[Lesson, ...]
    left_out: Mapping[str, int]

    def __str__(self) -> str:
        n = self.n_trials
        told = f"from {len(self.lessons)} of {n} trial{'' if n == 1 else 's'} of {self.study}"
        reasons = [f"{count} with {reason}" for reason, count in [*self.left_out.items()][:_SHOWN]]
        reasons += ["others"] if len(self.left_out) > _SHOWN else []
        return f"{told}; left out: {', '.join(reasons)}" if reasons else told


_STORED = TypeAdapter(tuple[Learned, ...])


def as_attribute(learned: Sequence[Learned]) -> list[dict[str, Any]]:
    """As an attribute of the study."""
    return [asdict(one) for one in learned]


def from_attribute(stored: Any) -> tuple[Learned, ...]:
    """What `as_attribute` wrote.

    Raises:
        ValueError: it is damaged.
    """
    return _STORED.validate_python(stored)
