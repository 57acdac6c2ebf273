"""Reword pydantic's errors: the rule, the value, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tunecli.study_file.settings.settings import Settings
from tunecli.study_file.settings.switching_off import nested_settings, switched_off
from tunecli.study_file.text.document import Path
from tunecli.study_file.text.dump import inline
from tunecli.study_file.text.scalars import LARGEST_INT
from tunecli.study_file.text.suggestions import did_you_mean, listed

AnySettings = TypeVar("AnySettings", bound=Settings)

_REQUIREMENTS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "above {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "below {lt:g}",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
}


def validated(
    settings: type[AnySettings], data: dict[str, Any], also: Sequence[str] = ()
) -> tuple[AnySettings | None, list[tuple[Path, str]]]:
    """Validate plain data, and return settings and a (path below `data`, message) per mistake.

    Args:
        also: valid keys of the section besides the settings.

    Returns:
        The settings with defaults instead of wrong values; None if a wrong value has no default.
    """
    data = switched_off(settings, data)
    try:
        return settings.model_validate(data), []
    except ValidationError as error:
        mistakes = list(_mistakes(settings, data, error, also))
        wrong = {path[0] for path, _ in mistakes if path}
        valid = {key: value for key, value in data.items() if key not in wrong}
        is_missing = len(valid) == len(data)  # a required value
        return None if is_missing else validated(settings, valid)[0], mistakes


def _mistakes(
    settings: type[Settings], data: dict[str, Any], error: ValidationError, also: Sequence[str]
) -> Iterator[tuple[Path, str]]:
    at_path: dict[Path, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        at_path.setdefault(_path(detail, data), []).append(detail)
    for path, details in at_path.items():
        yield path, _message(settings, path, details, also)


def _path(detail: ErrorDetails, data: Any) -> Path:
    """Return pydantic's location without the steps into members of unions."""
    path: Path = ()
    for step in detail["loc"]:
        if isinstance(data, dict) and (step in data or detail["type"] == "missing"):
            path, data = (*path, step), data.get(str(step))
    return path


def _message(
    settings: type[Settings], path: Path, details: list[ErrorDetails], also: Sequence[str]
) -> str:
    kind, got = details[0]["type"], details[0]["input"]
    if kind == "extra_forbidden":
        return unknown_key(str(path[-1]), [*_fields(settings, path[:-1]), *also])
    if kind == "missing":
        return "required, but missing."
    requirements = dict.fromkeys(_requirement(detail) for detail in details)
    hint = _did_you_mean(got, details)
    if "a whole number" in requirements:
        hint = without_exponent(got)
    return f"must be {' or '.join(requirements)}, but got {inline(got)}.{hint}"


def without_exponent(got: Any) -> str:
    """Return advice for a whole number that was written as a float, such as 1e3; else empty."""
    is_whole = isinstance(got, float) and got.is_integer() and abs(got) <= LARGEST_INT
    return f" Write {int(got)}." if is_whole else ""


def unknown_key(key: str, known: Sequence[str]) -> str:
    """Return the message for a key that is not among `known`."""
    return (
        f"unknown key.{did_you_mean(key, known) or f' Valid keys are {listed(known, most=30)}.'}"
    )


def _requirement(detail: ErrorDetails) -> str:
    if detail["type"] == "literal_error":
        return listed(_words(detail), last="or")
    text = _REQUIREMENTS.get(detail["type"])
    return text.format(**detail.get("ctx", {})) if text else detail["msg"]


def _words(detail: ErrorDetails) -> list[str]:
    """Return the values of a Literal as in YAML, from pydantic's `'a', 2 or True`."""
    values = detail["ctx"]["expected"].replace(" or ", ", ").split(", ")
    return [value.strip("'") if "'" in value else value.lower() for value in values]


def _did_you_mean(got: Any, details: list[ErrorDetails]) -> str:
    words = [word for d in details if d["type"] == "literal_error" for word in _words(d)]
    return did_you_mean(got, words) if isinstance(got, str) else ""


def _fields(settings: type[Settings], path: Path) -> list[str]:
    """Return the keys of the settings at `path` below `settings`."""
    for step in path:
        settings = nested_settings(settings.model_fields[str(step)]) or settings
    return list(settings.model_fields)
