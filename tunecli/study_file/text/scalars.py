"""Read and recognize plain scalars of YAML 1.2's core schema.

PyYAML follows YAML 1.1, where `1e-4` is a string, `no` is false, `012` is ten and `12:30` is 750.
Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import math
import re

Scalar = bool | int | float | str | None
"""A value that Optuna can store as a category or a parameter's value."""


NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")
INT = re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")
FLOAT = re.compile(
    r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
)

LARGEST_INT = 2**63 - 1
"""The largest whole number that a database column holds."""


def read_scalar(text: str) -> Scalar:
    """Return the value of an unquoted scalar.

    Raises:
        ValueError: the number is not finite, or too large for a database; the message says which.
    """
    if NULL.match(text):
        return None
    if BOOL.match(text):
        return text.lower() == "true"
    if INT.match(text):
        return _whole_number(text)
    if FLOAT.match(text):
        return _real_number(text)
    return text


def _whole_number(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    too_large = f"whole numbers go up to {LARGEST_INT}, but this one has {len(text)} digits"
    if len(text) > 100:
        raise ValueError(too_large)
    number = int(text.removeprefix("0o").removeprefix("0x"), base)
    if abs(number) > LARGEST_INT:
        raise ValueError(too_large)
    return number


def _real_number(text: str) -> float:
    if "." in text and text.lower().lstrip("+-") in (".inf", ".nan"):
        raise ValueError(f"numbers must be finite, but got {text}")
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"numbers must be finite, but {text[:40]} is beyond 1.8e308")
    return number
