"""Check the types of what a study database returns: SQLite stores any value in any column.

A file can be damaged, or written by another program. Every value that is read is checked here, so
that no other code meets a string where it needs a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tunecli.database.urls import display_url, masked
from tunecli.errors import DatabaseError, TunecliError

_TEXT: set[type] = {str}
_WHOLE: set[type] = {int}
_NUMBER: set[type] = {int, float}
_TIME: set[type] = {datetime}
_NONE: set[type] = {type(None)}

_KINDS: Mapping[str, set[type]] = {
    "study_id": _WHOLE,
    "study_name": _TEXT,
    "direction": _TEXT,
    "key": _TEXT,
    "value_json": _TEXT,
    "trial_id": _WHOLE,
    "number": _WHOLE,
    "datetime_start": _TIME | _NONE,
    "datetime_complete": _TIME | _NONE,
    "started": _TIME | _NONE,
    "ended": _TIME | _NONE,
    "param_name": _TEXT,
    "param_value": _NUMBER,
    "distribution_json": _TEXT,
    "value": _NUMBER | _NONE,  # NULL, with the kind in value_type: not finite
    "intermediate_value": _NUMBER | _NONE,
    "lowest": _NUMBER | _NONE,
    "highest": _NUMBER | _NONE,
    "config": _TEXT,
    "attempt": _WHOLE,
    "worker": _WHOLE | _NONE,
    "outcome": _TEXT | _NONE,
    "reason": _TEXT | _NONE,
    "traceback": _TEXT | _NONE,
    "best_step": _WHOLE | _NONE,
    "fold_scores": _TEXT | _NONE,
    "metrics": _TEXT | _NONE,
    "seconds": _NUMBER | _NONE,
    "n_weights": _WHOLE | _NONE,
    "peak_memory": _WHOLE | _NONE,
    "step": _WHOLE,
    "fold": _WHOLE,
    "epoch": _NUMBER,
    "train_loss": _NUMBER | _NONE,
    "score": _NUMBER | _NONE,
    "lr": _NUMBER,
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
