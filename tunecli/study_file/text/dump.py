"""Write plain data as YAML text that reads back exactly."""

from __future__ import annotations

from typing import Any

import yaml

from tunecli.study_file.text.scalars import BOOL, FLOAT, INT, NULL

LONGEST_FLOW = 75
"""Longest mapping on one line, in characters of its Python form."""


class _Dumper(yaml.SafeDumper):
    """A dumper for YAML 1.2, which quotes only what would read back as something else."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # as PyYAML declares it

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _tag, _pattern in (("null", NULL), ("bool", BOOL), ("int", INT), ("float", FLOAT)):
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, None)
_Dumper.add_representer(
    float, lambda dumper, number: dumper.represent_scalar("tag:yaml.org,2002:float", repr(number))
)


_Dumper.add_representer(
    dict,
    lambda dumper, data: dumper.represent_mapping(
        "tag:yaml.org,2002:map", data, flow_style=len(str(data)) <= LONGEST_FLOW
    ),
)

_BREAKS = ("\x85", "\u2028", "\u2029")  # line breaks in YAML 1.1, so only escapes keep them


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style='"' if any(map(text.__contains__, _BREAKS)) else None
    ),
)


class _Sections(dict[str, Any]):
    """The outermost mapping, which is never written on one line."""


_Dumper.add_representer(
    _Sections,
    lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=False),
)


def to_text(sections: dict[str, Any]) -> str:
    """Return the YAML of a study file's sections; short mappings and lists stay on one line."""
    return yaml.dump(
        _Sections(sections),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=99,
    )


def flow(data: Any) -> str:
    """Return plain data as YAML on one line, valid inside a list."""
    text = yaml.dump([data], Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10**6)
    return text.strip()[1:-1]


def inline(data: Any, longest: int = 60) -> str:
    """Return plain data on one line for messages, cut if it is too long."""
    if data is None:
        return "none"
    if isinstance(data, str):
        return f"{data[:longest]!r}"
    text = yaml.dump(data, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10**6)
    line = " ".join(text.removesuffix("...\n").split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
