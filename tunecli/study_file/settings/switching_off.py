"""Switch settings off by `none`, null or an empty value; settings that cannot be off refuse it."""

from __future__ import annotations

from typing import Any, get_args

from pydantic.fields import FieldInfo

from tunecli.study_file.settings.setting_types import Off, mark
from tunecli.study_file.settings.settings import Settings


def is_none(data: Any) -> bool:
    """Return whether a value means "off": `none`, `null` or empty."""
    return data is None or data in ("none", "")


def switched_off(settings: type[Settings], data: dict[str, Any]) -> dict[str, Any]:
    """Return a section's plain data with the value that means "off" for each setting that is off.

    A setting that cannot be off becomes null, which is refused later.
    """
    return {
        key: _value(settings.model_fields[key], value) if key in settings.model_fields else value
        for key, value in data.items()
    }


def off_values(field: FieldInfo) -> list[Any]:
    """Return a list with the value that means "off"; an empty list if there is none."""
    if off := mark(field, Off):
        return [off.value]
    members = (field.annotation, *get_args(field.annotation))
    if type(None) in members:
        return [None]
    if field.annotation is bool:
        return [False]
    return [[]] if list in (*members, getattr(field.annotation, "__origin__", None)) else []


def _value(field: FieldInfo, written: Any) -> Any:
    if is_none(written):
        return next(iter(off_values(field)), None)
    nested = nested_settings(field)
    return switched_off(nested, written) if nested and isinstance(written, dict) else written


def nested_settings(field: FieldInfo) -> type[Settings] | None:
    """Return the class of a setting that has settings itself; None for any other."""
    members = (field.annotation, *get_args(field.annotation))
    return next((m for m in members if isinstance(m, type) and issubclass(m, Settings)), None)
