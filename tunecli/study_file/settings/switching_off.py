"""`none`, null and an empty value: a setting that can be off is off, any other needs a value."""

from __future__ import annotations

from typing import Any, get_args

from pydantic.fields import FieldInfo

from tunecli.study_file.settings.settings import Off, Settings


def is_none(data: Any) -> bool:
    """`none`, `null` and empty are one thing: without."""
    return data is None or data in ("none", "")


def switched_off(settings: type[Settings], data: dict[str, Any]) -> dict[str, Any]:
    """Return plain data of a section in which everything that is off has the value that means it.

    A setting that cannot be off is null then, which is refused.
    """
    return {
        key: _value(settings.model_fields[key], value) if key in settings.model_fields else value
        for key, value in data.items()
    }


def off_values(field: FieldInfo) -> list[Any]:
    """Return the value that means off, alone in a list; an empty list where there is none."""
    marks = [mark.value for mark in field.metadata if isinstance(mark, Off)]
    if marks:
        return marks
    members = (field.annotation, *get_args(field.annotation))
    if type(None) in members:
        return [None]
    if field.annotation is bool:
        return [False]
    return [[]] if list in (*members, getattr(field.annotation, "__origin__", None)) else []


def _value(field: FieldInfo, written: Any) -> Any:
    if is_none(written):
        return next(iter(off_values(field)), None)
    nested = [m for m in (field.annotation, *get_args(field.annotation)) if _is_settings(m)]
    return switched_off(nested[0], written) if nested and isinstance(written, dict) else written


def _is_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Settings)
