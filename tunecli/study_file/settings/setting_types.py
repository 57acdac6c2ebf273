"""Types of values that several settings share, and marks that say what a setting is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

SourceKind = Literal["bundled", "table", "arrays", "corpus", "pictures", "torchvision", "code"]
Effect = Literal["budget", "search", "space", "report", "refused"]
"""The effect of an edit on a study: `budget` changes how long it runs, `search` how the next
trials are suggested; `space` widens or narrows a range; `report` changes only what reports say;
`refused` makes old and new scores incomparable, or leaves rows incomplete.
"""

LARGEST = 3e38
"""Approximately the largest number that a model can compute with, in 32 bits."""

MOST_FOLDS = 10_000
"""Largest number of folds of a trial, including repeats."""

MOST_TOKENS = 1_000_000
"""Largest number of tokens of a row."""

MAX_LENGTH, BLOCK_SIZE = 256, 128
"""Largest number of tokens of a row, and tokens of a block, unless the study file sets them."""

LARGEST_SEED = 2**32 - 1
"""The largest seed that numpy and scikit-learn accept."""


@dataclass(frozen=True)
class Off:
    """Annotation of a setting that can be off: `none`, null and an empty value mean `value`.

    Settings that accept None, lists of words and booleans do not need it.
    """

    value: Any


@dataclass(frozen=True)
class OnlyFor:
    """Annotation of a setting that applies only to some kinds of sources."""

    kinds: tuple[SourceKind, ...]


@dataclass(frozen=True)
class AnyTraining:
    """Annotation of a setting that the user's own training follows, too."""


@dataclass(frozen=True)
class NoRange:
    """Annotation of a setting that cannot be searched, in a section in which others can."""


@dataclass(frozen=True)
class NotWithLBFGS:
    """Annotation of a setting that changes the loss between the evaluations of one LBFGS step.

    Attributes:
        except_for: values that do not, besides the default.
    """

    except_for: tuple[Any, ...] = ()


@dataclass(frozen=True)
class OnEdit:
    """Annotation of a setting whose edits have another effect than `refused`."""

    effect: Effect


Mark = TypeVar("Mark")


def mark(field: FieldInfo, kind: type[Mark]) -> Mark | None:
    """Return a setting's annotation of a kind; None without one."""
    return next((one for one in field.metadata if isinstance(one, kind)), None)


Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Amount = Annotated[float, Field(ge=0, le=LARGEST), Off(0.0)]
"""The strength of an optional part of training; 0 is off."""


def _one_as_list(words: Any) -> Any:
    """Return a list, also for a single word, with numbers written as in a table's cells."""
    listed = words if isinstance(words, list) else [words]
    return [str(word) if type(word) in (int, float) else word for word in listed]


Words = Annotated[
    list[str],
    BeforeValidator(
        _one_as_list, json_schema_input_type=str | int | float | list[str | int | float]
    ),
]
"""A list of words; a single word needs no brackets."""


def _as_label(written: Any) -> Any:
    """Return a number or a truth value as its class is called: `1` for 1.0, `True` for true."""
    if isinstance(written, float) and written.is_integer():
        written = int(written)
    return str(written) if isinstance(written, int | float) else written


ClassLabel = Annotated[
    str, BeforeValidator(_as_label, json_schema_input_type=str | int | float | bool)
]
"""The name of a class, which a table may write as a number."""


def _is_size(written: Any) -> Any:
    """Accept one number or two; pydantic would report an error for each form."""
    numbers = written if isinstance(written, list) and len(written) == 2 else [written]
    if all(type(n) is int and n >= 1 for n in numbers):
        return written
    raise PydanticCustomError("no_size", "a whole number or [height, width], each at least 1")


Size = Annotated[
    Positive | Annotated[list[Positive], Field(min_length=2, max_length=2)],
    BeforeValidator(_is_size),
]
"""Height and width of pictures in pixels; one number means both."""


def _is_odd(written: Any) -> Any:
    """Accept an odd number, so that as many evaluations are before the middle one as after it."""
    if type(written) is int and written >= 1 and written % 2:
        return written
    raise PydanticCustomError("not_odd", "1 for off, or an odd whole number above 1")


OddWindow = Annotated[Positive, BeforeValidator(_is_odd, json_schema_input_type=Positive)]
"""Number of neighbouring values to take the median of; 1 is off."""


LONGEST = 10 * 365 * 24 * 3600
"""Ten years in seconds, since timers have a longest wait."""

DURATION = r" *(?:([0-9.]+h) *)?(?:([0-9.]+m) *)?([0-9.]+s)?"
"""Pattern of a duration; runs of spaces cannot overlap, so many spaces are matched in one pass."""

_DURATION = re.compile(DURATION)


def _to_seconds(written: Any) -> Any:
    """Return the seconds of a string; leave other values to pydantic."""
    value = _seconds(written) if isinstance(written, str) else written
    if isinstance(value, int | float) and value > LONGEST:
        raise PydanticCustomError("too_long", "at most ten years, 87600h")
    return value


def _seconds(text: str) -> float:
    match = _DURATION.fullmatch(text)
    try:
        parts = [float((part or "0")[:-1] or 0) for part in match.groups()] if match else []
    except ValueError:  # `1.2.3h`
        parts = []
    seconds = sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if seconds <= 0:
        rule = "seconds above 0, or a time such as `2h`, `90m`, `1h30m` or `45s`"
        raise PydanticCustomError("no_duration", rule)
    return seconds


_Seconds = Annotated[float, Field(gt=0)]
_Written = Annotated[
    str, Field(pattern=f"^{DURATION}$", description="A time, such as 2h, 90m, 1h30m or 45s.")
]
Duration = Annotated[
    _Seconds, BeforeValidator(_to_seconds, json_schema_input_type=_Seconds | _Written)
]
"""A number of seconds above 0."""
