"""Paths of a study file, rewritten to mean the same from another folder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_CODE = re.compile(r"(?P<file>[^:]+\.py):(?P<name>[A-Za-z_]\w*)")
_SETTINGS = {"data": ("source", "test", "target", "root"), "validation": ("file", "folder")}


def moved(data: dict[str, Any], before: Path, after: Path) -> dict[str, Any]:
    """Return plain data of a study file that moves from one folder to another.

    Relative paths that exist in the first folder are rewritten: those of settings that may be
    paths, and those of code, wherever it is named.
    """
    if before.resolve() == after.resolve():
        return data
    new: dict[str, Any] = _code_moved(data, before, after)
    if isinstance(new.get("data"), str):
        new["data"] = _path_moved(new["data"], before, after)
    for section, settings in _SETTINGS.items():
        inside: Any = new.get(section)
        for setting in settings if isinstance(inside, dict) else ():
            if isinstance(inside.get(setting), str):
                inside[setting] = _path_moved(inside[setting], before, after)
    return new


def _path_moved(written: str, before: Path, after: Path) -> str:
    is_path = "/" in written or "." in written  # a bare name is a data set's
    if not is_path or os.path.isabs(written) or not (before / written).exists():
        return written
    new = os.path.relpath(before.resolve() / written, after.resolve())
    return new + "/" if written.endswith("/") else new


def _code_moved(data: Any, before: Path, after: Path) -> Any:
    if isinstance(data, dict):
        return {
            _code_moved(key, before, after): _code_moved(value, before, after)
            for key, value in data.items()
        }
    if isinstance(data, list):
        return [_code_moved(item, before, after) for item in data]
    match = _CODE.fullmatch(data) if isinstance(data, str) else None
    if match is None:
        return data
    return f"{_path_moved(match['file'], before, after)}:{match['name']}"
