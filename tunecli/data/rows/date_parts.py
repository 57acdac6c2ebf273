"""The numbers that a date becomes, and how dates are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DateKind = Literal["date", "time of day", "duration"]

Part = Literal[
    "elapsed",
    "hour, sin",
    "hour, cos",
    "weekday, sin",
    "weekday, cos",
    "day of year, sin",
    "day of year, cos",
]
"""A number's meaning: elapsed seconds, or the position in a day, a week or a year."""


@dataclass(frozen=True)
class DateForm:
    """The form of a column's dates: decided once on the data, and stored with a model.

    Attributes:
        order: the order of day and month; empty if no cell needs one.
        is_aware: whether they have time zones, and are thus converted to UTC.
    """

    kind: DateKind
    order: Literal["", "day-first", "month-first"] = ""
    is_aware: bool = False


@dataclass(frozen=True)
class DatePart:
    """The part of a table's date column that a column of numbers encodes.

    Attributes:
        column: the table's column.
        form: how its cells are read.
    """

    column: str
    part: Part
    form: DateForm
