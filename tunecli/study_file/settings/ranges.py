"""The ranges of a study file, each a plain frozen value.

The names are Optuna's (`low`, `high`, `log`, `step`, choices), but Optuna is not imported.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.study_file.text.scalars import Scalar


@dataclass(frozen=True)
class FloatRange:
    """Real numbers from `low` to `high`, both included; on a log scale or in steps."""

    low: float
    high: float
    log: bool = False
    step: float | None = None


@dataclass(frozen=True)
class IntRange:
    """Whole numbers from `low` to `high`, both included; on a log scale or in steps."""

    low: int
    high: int
    log: bool = False
    step: int = 1


@dataclass(frozen=True)
class Categories:
    """A choice as a sampler sees it: distinct scalars, in the order of the study file."""

    choices: tuple[Scalar, ...]


Range = FloatRange | IntRange | Categories


@dataclass(frozen=True)
class Condition:
    """A condition under which a parameter exists: `parameter` has one of `values`."""

    parameter: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Parameter:
    """One searched parameter: its name in the database, its range, and when it exists.

    Attributes:
        name: the path in the study file, e.g. `optimizer.nesterov.lr`, `training.l1.or`.
        conditions: all of them must hold; empty for a parameter of every trial.
    """

    name: str
    range: Range
    conditions: tuple[Condition, ...] = ()


GATE = ".or"
"""Ending of the parameter that decides whether `or:` takes the place of a range."""


def is_gate(name: str, value: Scalar) -> bool:
    """Return whether a parameter records that `or:` was taken, by its name and type."""
    return name.endswith(GATE) and isinstance(value, bool)
