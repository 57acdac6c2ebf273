"""Check the types of what a study database returns: SQLite stores any value in any column.

A file can be damaged, or written by another program. Every value that is read is checked here, so
that no other code meets a string where it needs a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tunecli.database import schema
from tunecli.database.urls import display_url, masked
from tunecli.errors import DatabaseError, TunecliError

_NONE = type(None)
_NUMBER = frozenset({int, float})


def _kinds_of_ours() -> dict[str, frozenset[type]]:
    """Return the types that each column of our tables may hold."""
    kinds: dict[str, frozenset[type]] = {}
    for column in (column for table in schema.OURS for column in table.columns):
        kind = getattr(column.type, "impl", column.type).python_type
        known = kinds.get(column.name, frozenset()) | (_NUMBER if kind is float else {kind})
        kinds[column.name] = known | {_NONE} if column.nullable else known
    return kinds


_TEXTS = ("study_name", "direction", "key", "value_json", "param_name", "distribution_json")
_TIMES = ("datetime_start", "datetime_complete", "started", "ended")
_NUMBERS = ("value", "intermediate_value", "lowest", "highest")  # NULL: not finite

_KINDS: Mapping[str, frozenset[type]] = {
    **_kinds_of_ours(),
    **dict.fromkeys(_TEXTS, frozenset({str})),
    **dict.fromkeys(_TIMES, frozenset({datetime, _NONE})),
    **dict.fromkeys(_NUMBERS, _NUMBER | {_NONE}),
    "param_value": _NUMBER,
}

_LONGEST = 1e9
"""Longest possible duration of a trial in seconds: thirty years, so that sums stay finite."""

_NO_SENSE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RecursionError,
)
"""Errors that damaged values cause in any reader, Optuna and pydantic included."""


def validated_rows(rows: Sequence[Any]) -> Sequence[Any]:
    """Return the rows of a query unchanged, once their types are checked.

    Raises:
        TypeError: a cell holds a value of another type than its column.
        ValueError: a duration is negative, not finite or too long.
    """
    if rows:
        for name, column in zip(rows[0]._fields, zip(*rows, strict=True), strict=True):
            wrong = set(map(type, column)) - _KINDS[name] if name in _KINDS else set()
            if wrong:
                types = " and ".join(sorted(k.__name__ for k in wrong))
                raise TypeError(f"column {name} holds {types}")
            if name == "seconds" and not all(s is None or 0 <= s < _LONGEST for s in column):
                raise ValueError("column seconds holds an invalid duration")
    return rows


@contextmanager
def refuse_nonsense(url: str) -> Iterator[None]:
    """Report errors of the `with` body that damaged values cause as damage of the database.

    Raises:
        DatabaseError: in place of such an error.
    """
    try:
        yield
    except TunecliError:
        raise
    except _NO_SENSE as error:
        cause = masked(f"{type(error).__name__}: {error}", url)[:200]
        raise DatabaseError(
            f"Cannot read {display_url(url)}: it holds invalid values ({cause!a}). "
            "Restore a backup, or update tunecli if a newer version wrote it."
        ) from error
