"""Write plain data as YAML text that reads back exactly."""

from __future__ import annotations

from typing import Any

import yaml

from tunecli.study_file.text.scalars import BOOL, FLOAT, INT, NULL

LONGEST_FLOW = 75
"""Longest mapping on one line, in characters of its Python form."""


_BREAKS = ("\x85", "\u2028", "\u2029")
"""Line breaks in YAML 1.1, so only escapes keep them."""


class _Sections(dict[str, Any]):
    """The outermost mapping, which is never written on one line."""


class _Dumper(yaml.SafeDumper):
    """A dumper for YAML 1.2, which quotes only what would read back as something else."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # as PyYAML declares it

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_float(self, data: float) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:float", repr(data))

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = '"' if any(sign in data for sign in _BREAKS) else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)

    def represent_dict(self, data: Any) -> yaml.MappingNode:
        is_short = len(str(data)) <= LONGEST_FLOW and not isinstance(data, _Sections)
        return self.represent_mapping("tag:yaml.org,2002:map", data, flow_style=is_short)


for _tag, _pattern in (("null", NULL), ("bool", BOOL), ("int", INT), ("float", FLOAT)):
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, None)
_Dumper.add_representer(float, _Dumper.represent_float)
_Dumper.add_representer(str, _Dumper.represent_str)
_Dumper.add_representer(dict, _Dumper.represent_dict)
_Dumper.add_representer(_Sections, _Dumper.represent_dict)


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
    return _on_one_line([data]).strip()[1:-1]


def inline(data: Any, longest: int = 60) -> str:
    """Return plain data on one line for messages, cut if it is too long."""
    if data is None:
        return "none"
    if isinstance(data, str):
        return f"{data[:longest]!r}"
    line = " ".join(_on_one_line(data).removesuffix("...\n").split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def _on_one_line(data: Any) -> str:
    return yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=True,
        width=10**6,
    )
