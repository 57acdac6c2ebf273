"""Trees and components as plain data, and plain data as YAML that reads back exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from tunecli.study_file.ranges import FloatRange, IntRange
from tunecli.study_file.scalars import BOOL, FLOAT, INT, NULL
from tunecli.study_file.settings import Component, Constraint, Objective
from tunecli.study_file.tree import Broken, Choice, Gate, Items, Named, Node, Number, Plain, Record


def component_data(component: Component | None) -> Any:
    """`Name`, or `{Name: {arguments}}`; None for none."""
    if component is None:
        return None
    if not component.arguments:
        return component.name
    arguments = {
        key: component_data(value) if isinstance(value, Component) else value
        for key, value in component.arguments.items()
    }
    return {component.name: arguments}


def objective_data(objectives: Sequence[Objective]) -> Any:
    """`{maximize: accuracy}`, or a list of several; None for none."""
    listed = [{one.direction: component_data(one.metric)} for one in objectives]
    return listed if len(listed) > 1 else next(iter(listed), None)


def constraint_data(constraints: Sequence[Constraint]) -> dict[str, Any]:
    """`{metric: {min: …, max: …}}`."""
    return {
        one.metric.name: one.model_dump(include={"min", "max"}, exclude_none=True)
        for one in constraints
    }


def range_data(number: FloatRange | IntRange) -> dict[str, Any]:
    """`{float: [low, high], log: true}`."""
    is_float = isinstance(number, FloatRange)
    data: dict[str, Any] = {"float" if is_float else "int": [number.low, number.high]}
    if number.log:
        data["log"] = True
    if number.step not in (None, 1) or (is_float and number.step):
        data["step"] = number.step
    return data


def node_data(node: Node) -> Any:
    """What the grammar would read as `node`."""
    if isinstance(node, Plain):
        return node.value
    if isinstance(node, Number):
        return range_data(node.range)
    if isinstance(node, Gate):
        return {**range_data(node.inside.range), "or": node.otherwise}
    if isinstance(node, Choice):
        return {"choice": _options(node)}
    if isinstance(node, Items):
        return [node_data(item) for item in node.nodes]
    if isinstance(node, Record):
        return {key: node_data(child) for key, child in node.fields.items()}
    if isinstance(node, Broken):
        raise ValueError("a study file with mistakes has no resolved form")
    return {node.component: _arguments(node)} if node.arguments else node.component


def _arguments(node: Named) -> dict[str, Any]:
    return {key: node_data(child) for key, child in node.arguments.items()}


def _options(node: Choice) -> Any:
    if not node.labelled:
        return [node_data(option.node) for option in node.options]
    return {
        str(option.category): _arguments(option.node)
        if isinstance(option.node, Named) and option.node.component == option.category
        else node_data(option.node)
        for option in node.options
    }


LONGEST_FLOW = 75
"""Characters of a mapping that stays on one line, as Python writes it."""


class _Dumper(yaml.SafeDumper):
    """Writes YAML 1.2: quotes only what would read back as something else."""

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
    """The outermost mapping, which stands on lines of its own however short it is."""


_Dumper.add_representer(
    _Sections,
    lambda dumper, data: dumper.represent_mapping("tag:yaml.org,2002:map", data, flow_style=False),
)


def to_text(sections: dict[str, Any]) -> str:
    """YAML of a study file's sections; short mappings and lists stay on one line."""
    return yaml.dump(
        _Sections(sections),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=99,
    )


def flow(data: Any) -> str:
    """Plain data as YAML on one line, as it may stand inside a list."""
    text = yaml.dump([data], Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10**6)
    return text.strip()[1:-1]


def inline(data: Any, longest: int = 60) -> str:
    """Plain data on one line, for messages; what is too long is cut."""
    if data is None:
        return "none"
    if isinstance(data, str):
        return f"{data[:longest]!r}"
    text = yaml.dump(data, Dumper=_Dumper, default_flow_style=True, sort_keys=False, width=10**6)
    line = " ".join(text.removesuffix("...\n").split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
