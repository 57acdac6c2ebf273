"""What the docstring of a class of settings says about the class and each of its fields."""

from __future__ import annotations

import inspect
import re

from tunecli.study_file.settings.settings import Settings


def described(settings: type[Settings]) -> dict[str, str]:
    """Return the `Attributes:` of a settings class's docstring, by name."""
    descriptions: dict[str, str] = {}
    name = ""
    for line in (inspect.getdoc(settings) or "").partition("Attributes:\n")[2].splitlines():
        start = re.match(r" {4}(\w+): (.*)", line)
        if start:
            name = start[1]
            descriptions[name] = start[2]
        elif name and line.strip():
            descriptions[name] += f" {line.strip()}"
    return descriptions


def first_paragraph(settings: type[Settings]) -> str:
    """Return the first paragraph of a settings class's docstring, on one line."""
    return " ".join((inspect.getdoc(settings) or "").split("\n\n")[0].split())
