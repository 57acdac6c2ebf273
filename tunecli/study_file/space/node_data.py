"""Convert trees and components back to the plain data of a study file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunecli.study_file.settings.ranges import FloatRange, IntRange
from tunecli.study_file.settings.settings import Component, Constraint, Objective
from tunecli.study_file.space.tree import (
    Broken,
    Choice,
    ListNode,
    Named,
    Node,
    Number,
    OptionalRange,
    Plain,
    Record,
)


def component_data(component: Component | None) -> Any:
    """Return `Name` or `{Name: {arguments}}`; None without a component."""
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
    """Return `{maximize: accuracy}`, or a list of several; None without objectives."""
    listed = [{one.direction: component_data(one.metric)} for one in objectives]
    return listed if len(listed) > 1 else next(iter(listed), None)


def constraint_data(constraints: Sequence[Constraint]) -> dict[str, Any]:
    """Return `{metric: {min: …, max: …}}`."""
    return {
        one.metric.name: one.model_dump(include={"min", "max"}, exclude_none=True)
        for one in constraints
    }


def range_data(number: FloatRange | IntRange) -> dict[str, Any]:
    """Return a range such as `{float: [low, high], log: true}`."""
    is_float = isinstance(number, FloatRange)
    data: dict[str, Any] = {"float" if is_float else "int": [number.low, number.high]}
    if number.log:
        data["log"] = True
    if number.step not in (None, 1) or (is_float and number.step):
        data["step"] = number.step
    return data


def node_data(node: Node) -> Any:
    """Return the plain data that the grammar reads as `node`."""
    if isinstance(node, Plain):
        return node.value
    if isinstance(node, Number):
        return range_data(node.range)
    if isinstance(node, OptionalRange):
        return {**range_data(node.inside.range), "or": node.otherwise}
    if isinstance(node, Choice):
        return {"choice": _options(node)}
    if isinstance(node, ListNode):
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
