"""What a number of a table can say of a date, and how dates are read."""

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
"""What a number says of a date: seconds, or where in a day, a week or a year it is."""


@dataclass(frozen=True)
class DateForm:
    """How the dates of a column are read: decided once on the data, and stored with a model.

    Attributes:
        order: of day and month; empty where no cell needs one.
        is_aware: whether they have zones, so that they are UTC.
    """

    kind: DateKind
    order: Literal["", "day-first", "month-first"] = ""
    is_aware: bool = False


@dataclass(frozen=True)
class DatePart:
    """What a column of numbers says of a table's column of dates.

    Attributes:
        column: of the table.
        form: in which its cells are read.
    """

    column: str
    part: Part
    form: DateForm
