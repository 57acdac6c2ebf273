"""A study file's settings with their ranges, as a tree of frozen values.

Only the tree contains ranges. It has one node per *slot*, a component or a single setting, which a
variant can replace. `read/read_tree.py` builds it from plain data, `walk.py` lists its parameters
and resolves it to values, `node_data` turns it back into plain data.

Every node knows its path in the document (`at`), and a node that asks a sampler knows its name in
the database (`name`). Comparisons of trees ignore the paths.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tunecli.study_file.catalogue.names import Kind
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange
from tunecli.study_file.settings.settings import (
    Component,
    CompressionSettings,
    Constraint,
    Objective,
    Settings,
    TrainingSettings,
)
from tunecli.study_file.text.document import Path
from tunecli.study_file.text.scalars import Scalar

Slot = tuple[str, ...]
"""A part of the study file that a variant can replace: ("optimizer",), ("training", "l1")."""

SOURCE: Slot = ("data", "source")
"""The slot of the user's own data function with searched arguments; unused for other sources."""

COMPONENT_SLOTS: dict[Slot, Kind] = {
    SOURCE: "data",
    ("data", "scale"): "scale",
    ("data", "tokenizer"): "tokenizer",
    ("model",): "model",
    ("loss",): "loss",
    ("optimizer",): "optimizer",
    ("schedule",): "schedule",
    ("train",): "train",
}
LIST_SLOTS: dict[Slot, Kind] = {("data", "augment"): "augmentation"}
"""Slots of lists of components, in their order."""
VALUE_SLOTS: tuple[Slot, ...] = (("data", "max_length"),)
"""Slots of values in a section whose other settings all trials share."""
OPTIONAL_SLOTS = frozenset({("data", "scale"), ("data", "tokenizer"), ("schedule",), ("train",)})
"""Slots whose component is optional."""
DATA_SLOTS = tuple(
    slot[1]
    for slot in (*COMPONENT_SLOTS, *LIST_SLOTS, *VALUE_SLOTS)
    if slot[0] == "data" and slot != SOURCE
)
"""The settings of `data` that are slots."""

SETTINGS: dict[str, type[Settings]] = {
    "training": TrainingSettings,
    "compression": CompressionSettings,
}
"""Sections in which each setting is a slot."""

SLOTS: tuple[Slot, ...] = (
    *COMPONENT_SLOTS,
    *LIST_SLOTS,
    *VALUE_SLOTS,
    *((section, name) for section, fields in SETTINGS.items() for name in fields.model_fields),
)
"""All slots, in the order in which a sampler is asked."""


@dataclass(frozen=True)
class Plain:
    """Data without a range."""

    value: Any
    at: Path = field(default=(), compare=False)


@dataclass(frozen=True)
class Number:
    """A float or int range."""

    name: str
    range: FloatRange | IntRange
    at: Path = field(default=(), compare=False)


@dataclass(frozen=True)
class OptionalRange:
    """A range with `or:`: first a coin decides whether to use the fixed value, then the range.

    Attributes:
        name: name of the coin, such as `training.l1.or`; True means `otherwise`.
    """

    name: str
    inside: Number
    otherwise: Scalar
    at: Path = field(default=(), compare=False)

    @property
    def range(self) -> Categories:
        """The categories of the coin."""
        return Categories((False, True))


@dataclass(frozen=True)
class Option:
    """One branch of a choice, and its category in the database."""

    category: Scalar
    node: Node


@dataclass(frozen=True)
class Choice:
    """A choice between branches, each with its own ranges.

    Attributes:
        labelled: whether it was written as a mapping from label to branch.
    """

    name: str
    options: tuple[Option, ...]
    labelled: bool = False
    at: Path = field(default=(), compare=False)

    @cached_property
    def range(self) -> Categories:
        """The categories of the options."""
        return Categories(tuple(option.category for option in self.options))

    @cached_property
    def _by_category(self) -> dict[tuple[type, Scalar], Option]:
        return {(type(option.category), option.category): option for option in self.options}

    def option(self, category: Scalar) -> Option:
        """Return the option of a category."""
        option = self._by_category.get((type(category), category))
        if option is None:
            raise ValueError(f"{self.name} has no category {category!r}")
        return option


@dataclass(frozen=True)
class Record:
    """A mapping with a range somewhere inside."""

    fields: Mapping[str, Node]
    at: Path = field(default=(), compare=False)


@dataclass(frozen=True)
class ListNode:
    """A list with a range somewhere inside."""

    nodes: tuple[Node, ...]
    at: Path = field(default=(), compare=False)


@dataclass(frozen=True)
class Named:
    """A component: its class and its arguments.

    Attributes:
        component: its name in the catalogue.
    """

    kind: Kind
    component: str
    arguments: Mapping[str, Node] = field(default_factory=dict)
    at: Path = field(default=(), compare=False)


@dataclass(frozen=True)
class Broken:
    """Placeholder of a part whose mistake has already been reported."""

    at: Path = field(default=(), compare=False)


Node = Plain | Number | OptionalRange | Choice | Record | ListNode | Named | Broken
Slots = Mapping[Slot, Node]


@dataclass(frozen=True)
class Tree:
    """Everything that a trial's training depends on and that can be searched.

    Attributes:
        base: the slots, unless a variant replaces them.
        branches: the slots that each branch of `variant` replaces, by label; empty without
            variants.
    """

    base: Slots
    branches: Mapping[str, Slots] = field(default_factory=dict)

    @property
    def variants(self) -> Categories | None:
        """The labels of `variant`; None without variants."""
        return Categories(tuple(self.branches)) if self.branches else None

    def slots(self, label: str | None) -> dict[Slot, Node]:
        """Return the slots under a variant's label, in the order of `SLOTS`."""
        replaced = self.branches[label] if label is not None else {}
        both = {**self.base, **replaced}
        return {slot: both[slot] for slot in SLOTS if slot in both}

    def with_default(self, slot: Slot, node: Node) -> Tree:
        """Return the tree with `node` in `slot`, unless the study file sets it."""
        return Tree({slot: node, **self.base}, self.branches)


def is_everywhere(slot: Slot, tree: Tree) -> bool:
    """Return whether a slot has a value in every trial."""
    base = tree.base.get(slot, Plain(None))
    nodes = [slots.get(slot, base) for slots in tree.branches.values()] or [base]
    return not any(map(_may_be_empty, nodes))


def _may_be_empty(node: Node) -> bool:
    if isinstance(node, Choice):
        return any(_may_be_empty(option.node) for option in node.options)
    return node == Plain(None)


def trains_itself(tree: Tree) -> bool:
    """Return whether every trial uses the user's own training."""
    return is_everywhere(("train",), tree)


def children(node: Node) -> Iterator[Node]:
    """Yield the nodes directly below `node`."""
    if isinstance(node, OptionalRange):
        yield node.inside
    elif isinstance(node, Choice):
        yield from (option.node for option in node.options)
    elif isinstance(node, Record):
        yield from node.fields.values()
    elif isinstance(node, ListNode):
        yield from node.nodes
    elif isinstance(node, Named):
        yield from node.arguments.values()


def subtree(node: Node) -> Iterator[Node]:
    """Yield a node, and all nodes below it."""
    yield node
    for child in children(node):
        yield from subtree(child)


def every_node(tree: Tree) -> Iterator[Node]:
    """Yield all nodes of a tree."""
    for slots in (tree.base, *tree.branches.values()):
        for node in slots.values():
            yield from subtree(node)


def identity(value: Any) -> str:
    """Return a string that is equal only for equal plain data; 1, 1.0, true and "1" differ."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def categories(values: Sequence[Any]) -> tuple[Scalar, ...]:
    """Return the category of each option of a choice of values.

    A scalar is its own category unless it equals another option in Python (1, 1.0 and true).
    Values that Optuna cannot store or tell apart are represented by their JSON text.

    Args:
        values: plain data, different in `identity`.
    """
    n_equal = Counter(value for value in values if not isinstance(value, list | dict))
    scalars: list[Scalar] = []
    for value in values:
        alone = not isinstance(value, list | dict) and n_equal[value] == 1
        scalars.append(value if alone else identity(value))
    if len(set(scalars)) < len(scalars):  # a string looks like another option's JSON
        return tuple(identity(value) for value in values)
    return tuple(scalars)


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
    """Return `{metric: {min: …, max: …}}`, with the metric's arguments before its limits."""
    return {
        one.metric.name: one.metric.arguments
        | one.model_dump(include={"min", "max"}, exclude_none=True)
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
