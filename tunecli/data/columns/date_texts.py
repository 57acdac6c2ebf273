"""Read dates, times of day and durations exactly, as people and programs write them.

Every form fixes its own order (2026-01-31, 31 Jan 2026), except for days and months in digits,
whose order the caller gives. Years have no range; fractions of a second have nine digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tunecli.data.rows.dataset import DateKind

Order = Literal["day-first", "month-first"]
Ints = NDArray[np.int64]
Marks = NDArray[np.bool_]

DAY = 86_400
"""Seconds."""
SECOND = 10**9
"""Nanoseconds."""
_NANOSECONDS = 9  # digits
_LAST_HOUR, _LEAP_SECOND = 24, 60  # as ISO 8601 has them

_MONTHS = (
    "january february march april may june july august september october november december"
).split()
_PM = "p"


@dataclass(frozen=True)
class Moments:
    """The moments that texts denote.

    Attributes:
        seconds: (n,), since 1970-01-01 (UTC if the text has a zone), since midnight, or of a
            duration.
        nanoseconds: (n,), at least 0, to be added to the seconds.
        exists: (n,), whether such a day and time exists.
        is_aware: (n,), whether the text has a time zone.
        form: (n,), the index into `FORMS`; -1 for texts of no form.
    """

    seconds: Ints
    nanoseconds: Ints
    exists: Marks
    is_aware: Marks
    form: Ints

    def of_form(self, attribute: str) -> NDArray[Any]:
        """Return an attribute of each text's notation; of the last one for texts of no form."""
        return np.array([getattr(form, attribute) for form in FORMS])[self.form]


_Parts = tuple[Ints, Ints, Marks, Marks]
"""The first four parts of `Moments`, of texts of one form."""


class _Fields:
    """The named parts of texts of one form; a part that the form lacks has its default."""

    def __init__(self, matches: pa.StructArray) -> None:
        self.n = len(matches)
        self._parts = {field.name: matches.field(i) for i, field in enumerate(matches.type)}

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def text(self, name: str) -> pa.Array:
        """Return the part as lower-case texts; empty where it is missing."""
        return pc.utf8_lower(self._parts.get(name, pa.array([""] * self.n, pa.string())))

    def as_written(self, name: str) -> list[str]:
        """Return the texts of a part that the form has, unchanged."""
        texts: list[str] = self._parts[name].to_pylist()
        return texts

    def number(self, name: str, default: int = 0) -> Ints:
        """Return the part as whole numbers."""
        if name not in self._parts:
            return np.full(self.n, default, dtype=np.int64)
        return _whole(self._parts[name], default)

    def fraction(self, name: str) -> Ints:
        """Return the nanoseconds of digits after a decimal point."""
        padded = pc.utf8_rpad(self.text(name), _NANOSECONDS, "0")
        return _whole(pc.utf8_slice_codeunits(padded, 0, _NANOSECONDS), 0)

    def mapped(self, name: str, meaning: Callable[[str], int]) -> Ints:
        """Return a number for each text."""
        coded = self.text(name).dictionary_encode()
        numbers = np.array([meaning(text) for text in coded.dictionary.to_pylist()], np.int64)
        mapped: Ints = numbers[coded.indices.to_numpy()]
        return mapped

    def has(self, name: str) -> Marks:
        """Return which texts have the part."""
        present: Marks = pc.not_equal(self.text(name), "").to_numpy(zero_copy_only=False)
        return present


def _whole(texts: pa.Array, default: int) -> Ints:
    filled = pc.if_else(pc.equal(texts, ""), str(default), texts)
    numbers: Ints = pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers


def _days(year: Ints, month: Ints, day: Ints) -> tuple[Ints, Marks]:
    """Return days since 1970-01-01, and whether such a day exists."""
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    first, end = (m.astype("datetime64[D]").astype(np.int64) for m in (months, months + 1))
    exists = (month >= 1) & (month <= 12) & (day >= 1) & (day <= end - first)
    return first + day - 1, exists


def _clock(fields: _Fields) -> tuple[Ints, Ints, Marks]:
    """Return seconds since midnight, nanoseconds, and whether the time exists; 0 without one."""
    hour, minute, second = (fields.number(name) for name in ("hour", "minute", "second"))
    nanoseconds = fields.fraction("fraction")
    has_half = fields.has("half")
    is_pm = fields.mapped("half", lambda half: half.startswith(_PM)) > 0
    exists = np.where(has_half, (hour >= 1) & (hour <= 12), True)
    hour = np.where(has_half, hour % 12 + 12 * is_pm, hour)
    exists &= (minute < 60) & (second <= _LEAP_SECOND)
    is_end = (hour == _LAST_HOUR) & (minute == 0) & (second == 0) & (nanoseconds == 0)
    return hour * 3600 + minute * 60 + second, nanoseconds, exists & ((hour < 24) | is_end)


def _offset(zone: str) -> int:
    """Return a zone's seconds east of Greenwich."""
    zone = zone.replace(":", "").removeprefix("utc").removeprefix("gmt")
    if zone in ("", "z"):
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:5] or 0)
    return (-1 if zone[0] == "-" else 1) * (hours * 3600 + minutes * 60)


def _moment(days: Ints, is_day: Marks, fields: _Fields) -> _Parts:
    seconds, nanoseconds, is_time = _clock(fields)
    seconds = days * DAY + seconds - fields.mapped("zone", _offset)
    return seconds, nanoseconds, is_day & is_time, fields.has("zone")


def _calendar(fields: _Fields, order: Order) -> _Parts:
    """Read a year with month and day, in digits or by name, or with a quarter."""
    month, day = fields.number("month", 1), fields.number("day", 1)
    if "one" in fields:
        one, two = fields.number("one"), fields.number("two")
        day, month = (one, two) if order == "day-first" else (two, one)
    elif "name" in fields:
        month = fields.mapped("name", _month_number)
    elif "quarter" in fields:
        month = 3 * fields.number("quarter") - 2
    days, exists = _days(fields.number("year"), month, day)
    return _moment(days, exists & _same_signs(fields), fields)


def _same_signs(fields: _Fields) -> Marks:
    """Return whether the signs between the numbers are equal, unlike in `2026-01.31`."""
    alike: Marks = pc.equal(fields.text("sign"), fields.text("sign_2")).to_numpy(
        zero_copy_only=False
    )
    return alike


def _month_number(name: str) -> int:
    """Return 1 to 12; 0 if the name is not a month."""
    name = "sep" if name == "sept" else name
    numbers = (i for i, month in enumerate(_MONTHS, 1) if name in (month, month[:3]))
    return next(numbers, 0)


def _week(fields: _Fields, _: Order) -> _Parts:
    year, week = fields.number("year"), fields.number("week")
    one = np.ones_like(year)
    in_first, _always = _days(year, one, 4 * one)  # 4 January is in week 1
    monday = in_first - (in_first + 3) % 7 + 7 * (week - 1)  # 1970-01-01 was a Thursday
    start, end = _days(year, one, one)[0], _days(year + 1, one, one)[0]
    exists = (week >= 1) & (start <= monday + 3) & (monday + 3 < end)
    return _moment(monday + fields.number("weekday", 1) - 1, exists, fields)


def _time_of_day(fields: _Fields, _: Order) -> _Parts:
    seconds, nanoseconds, exists = _clock(fields)
    return seconds, nanoseconds, exists, np.zeros(fields.n, bool)


def _abbreviated(fields: _Fields, order: Order) -> _Parts:
    """Mark texts that may be dates: those with a possible day and month."""
    one, two, three = (fields.number(name) for name in ("one", "two", "three"))
    is_month = [(1 <= n) & (n <= 12) for n in (one, two)]
    is_day = [n <= 31 for n in (one, two, three)]
    may_be = (is_day[0] & is_month[1]) | (is_month[0] & is_day[1]) | (is_month[1] & is_day[2])
    nothing = np.zeros(fields.n, np.int64)
    return nothing, nothing, may_be & _same_signs(fields), nothing > 0


def _duration(fields: _Fields, _: Order) -> _Parts:
    texts = pd.Series(fields.as_written("whole"), dtype=object).str.replace(",", "")
    durations = pd.to_timedelta(texts, errors="coerce")
    exists = durations.notna().to_numpy()
    whole = durations.fillna(pd.Timedelta(0)).to_numpy().astype("timedelta64[ns]").astype(np.int64)
    return whole // SECOND, whole % SECOND, exists, np.zeros(fields.n, bool)


@dataclass(frozen=True)
class DateNotation:
    """One way to write a date, time of day or duration.

    Attributes:
        name: the name in messages; notations with one name may be mixed in a column.
        pattern: the pattern of the whole text, for RE2.
        read: returns what the fields denote, given the order of day and month.
        kind: the kind of moment that is written so.
        has_order: whether day or month may come first.
        why_not: why such a text is not a date; empty if it is one.
    """

    name: str
    pattern: str
    read: Callable[[_Fields, Order], _Parts] = _calendar
    kind: DateKind = "date"
    has_order: bool = False
    why_not: str = ""

    @property
    def whole(self) -> str:
        """The pattern of a text that consists of nothing else."""
        return rf"^\s*(?:{self.pattern})\s*$"


_TIME = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?"
)
_ZONE = (
    r"(?:\s*(?P<zone>Z|z|(?:UTC|GMT)(?:[+-]\d{2}(?::?\d{2})?)?|[+-]\d{2}(?::?\d{2})?)"
    r"(?:\[[\w/+-]+\])?)?"
)
_AT = rf"(?:(?:[T:]|,?\s+(?:at\s+)?){_TIME}{_ZONE})?"
_ISO = r"(?P<year>\d{4})(?P<sign>[-/.])(?P<month>\d{1,2})(?P<sign_2>[-/.])(?P<day>\d{1,2})"
_COMPACT = (
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})T"
    r"(?P<hour>\d{2})(?P<minute>\d{2})(?:(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?"
)
_WEEKDAY = r"(?:(?:[A-Za-z]{3}|[A-Za-z]{3,6}day),?\s+)?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_NAME = r"(?P<name>[A-Za-z]{3,9})\.?"
_YEAR = r"(?P<year>\d{4})"
_SHORT = r"(?P<one>\d{2})(?P<sign>[-/.])(?P<two>\d{2})(?P<sign_2>[-/.])(?P<three>\d{2})"
_SLASHED = r"(?P<one>\d{1,2})/(?P<two>\d{1,2})/(?P<three>\d{2})"
_SHORT_YEAR = "has a year of two digits"

_DURATIONS = (
    r"\d+:[0-5]\d:[0-5]\d(?:\.\d+)?",
    r"\d+ days?(?:,? [+-]?\d{1,2}:\d{2}:\d{2}(?:\.\d+)?)?",
    r"P(?:\d+D)?(?:T(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?",
)

FORMS = (
    DateNotation("year-month-day", _ISO + _AT),
    DateNotation("year-month-day", _COMPACT + _ZONE),
    *(
        DateNotation(
            f"day and month with {sign}",
            rf"(?P<one>\d{{1,2}})[{sign}](?P<two>\d{{1,2}})[{sign}]{_YEAR}{_AT}",
            has_order=True,
        )
        for sign in ".-/"
    ),
    DateNotation("month by name", rf"{_WEEKDAY}{_DAY}[ /-]?{_NAME},?[ /-]?{_YEAR}{_AT}"),
    DateNotation("month by name", rf"{_WEEKDAY}{_NAME}[ -]{_DAY},?[ -]{_YEAR}{_AT}"),
    DateNotation("month by name", rf"{_WEEKDAY}{_NAME}\s+{_DAY} {_TIME}{_ZONE} {_YEAR}"),
    DateNotation("year-month", r"(?P<year>[12]\d{3})-(?P<month>\d{2})"),
    DateNotation("month/year", r"(?P<month>\d{1,2})/(?P<year>[12]\d{3})"),
    DateNotation("month by name and year", rf"{_NAME}[ -](?P<year>[12]\d{{3}})"),
    DateNotation("week", rf"{_YEAR}-?W(?P<week>\d{{2}})(?:-?(?P<weekday>[1-7]))?", _week),
    DateNotation("quarter", rf"{_YEAR}[ -]?Q(?P<quarter>[1-4])"),
    DateNotation("time of day", _TIME, _time_of_day, "time of day"),
    *(
        DateNotation("duration", rf"(?P<whole>-?{pattern})", _duration, "duration")
        for pattern in _DURATIONS
    ),
    DateNotation("", rf"{_ISO}[T ]{_TIME} ?[A-Za-z]{{2,5}}", why_not="has an unknown time zone"),
    DateNotation("", _SHORT + _AT, _abbreviated, why_not=_SHORT_YEAR),
    DateNotation("", _SLASHED + _AT, _abbreviated, why_not=_SHORT_YEAR),
    DateNotation("", rf"{_DAY}[ /-]{_NAME}[ /-](?P<year>\d{{2}}){_AT}", why_not=_SHORT_YEAR),
    DateNotation("", r"(?P<one>\d{1,2})\.(?P<two>\d{1,2})\.", _abbreviated, why_not="has no year"),
)
"""All notations, in the order in which they are tried."""
_ANY = "|".join(re.sub(r"\?P<\w+>", "?:", form.whole) for form in FORMS)
"""All patterns without their parts, for a quick match: most texts of a table are not dates."""


def read_dates(texts: Sequence[str], order: Order, kind: DateKind | None = None) -> Moments:
    """Read each text by itself.

    Args:
        order: the order of day and month if both are in digits.
        kind: the kind that they are read as; None for any kind that they match.
    """
    n = len(texts)
    parts = (np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, bool), np.zeros(n, bool))
    moments = Moments(*parts, form=np.full(n, -1))
    whole = _as_arrow(texts)
    may_be = pc.match_substring_regex(whole, _ANY).to_numpy(zero_copy_only=False)
    for number, one in enumerate(FORMS):
        open_ = np.flatnonzero(may_be & ~moments.exists)
        if kind not in (None, one.kind) or not len(open_):
            continue
        matches = pc.extract_regex(whole.take(pa.array(open_)), one.whole)
        is_match = matches.is_valid().to_numpy(zero_copy_only=False)
        rows = open_[is_match]
        if not len(rows):
            continue
        moments.form[rows] = number
        read = one.read(_Fields(matches.filter(pa.array(is_match))), order)
        for part, values in zip(parts, read, strict=True):
            part[rows] = values
    return moments


def _as_arrow(texts: Sequence[str]) -> pa.Array:
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:  # half a surrogate pair, which no date has
        return pa.array([text.encode(errors="replace").decode() for text in texts], pa.string())
