"""A study file's settings with their ranges, as a tree of frozen values.

Ranges live here and nowhere else. The tree has one node per *slot*, a component or a single
setting, which is what a variant may replace. `grammar.py` grows it from plain data,
`space.py` reads the parameters off it and resolves it to values, `plain.py` turns it back into
plain data.

Every node knows its place in the document (`at`), and one that asks a sampler knows its name in
the database (`name`). Places do not count when trees are compared.
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
from tunecli.study_file.settings.settings import CompressionSettings, Settings, TrainingSettings
from tunecli.study_file.text.document import Path
from tunecli.study_file.text.scalars import Scalar

Slot = tuple[str, ...]
"""Where in the study file a variant may replace something: ("optimizer",), ("training", "l1")."""

SOURCE: Slot = ("data", "source")
"""A function of the user's own whose arguments are searched; nothing for all other sources."""

COMPONENT_SLOTS: dict[Slot, Kind] = {
    SOURCE: "data",
    ("data", "scale"): "scale",
    ("model",): "model",
    ("loss",): "loss",
    ("optimizer",): "optimizer",
    ("schedule",): "schedule",
    ("train",): "train",
}
LIST_SLOTS: dict[Slot, Kind] = {("data", "augment"): "augmentation"}
"""Slots that hold any number of components, in their order."""
OPTIONAL_SLOTS = frozenset({("data", "scale"), ("schedule",), ("train",)})
"""Slots that may hold no component."""

SETTINGS: dict[str, type[Settings]] = {
    "training": TrainingSettings,
    "compression": CompressionSettings,
}
"""Sections whose settings are a slot each."""

SLOTS: tuple[Slot, ...] = (
    *COMPONENT_SLOTS,
    *LIST_SLOTS,
    *((section, name) for section, fields in SETTINGS.items() for name in fields.model_fields),
)
"""All of them, in the order in which a sampler is asked."""


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
    """A range with `or:`: first a coin, whether the fixed value is taken, then the range.

    Attributes:
        name: of the coin, e.g. `training.l1.or`; True takes `otherwise`.
    """

    name: str
    inside: Number
    otherwise: Scalar
    at: Path = field(default=(), compare=False)

    @property
    def range(self) -> Categories:
        """The coin's categories."""
        return Categories((False, True))


@dataclass(frozen=True)
class Option:
    """One branch of a choice, and the category that stands for it in the database."""

    category: Scalar
    node: Node


@dataclass(frozen=True)
class Choice:
    """One of several branches, each with ranges of its own.

    Attributes:
        labelled: whether it was written as a mapping from label to branch.
    """

    name: str
    options: tuple[Option, ...]
    labelled: bool = False
    at: Path = field(default=(), compare=False)

    @cached_property
    def range(self) -> Categories:
        """The options' categories."""
        return Categories(tuple(option.category for option in self.options))

    @cached_property
    def _by_category(self) -> dict[tuple[type, Scalar], Option]:
        return {(type(option.category), option.category): option for option in self.options}

    def option(self, category: Scalar) -> Option:
        """The branch for which `category` stands."""
        found = self._by_category.get((type(category), category))
        if found is None:
            raise ValueError(f"{self.name} has no category {category!r}")
        return found


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
        component: the name as the catalogue has it.
    """

    kind: Kind
    component: str
    arguments: Mapping[str, Node] = field(default_factory=dict)
    at: Path = field(default=(), compare=False)


@dataclass(frozen=True)
class Broken:
    """Stands where a mistake has been reported already."""

    at: Path = field(default=(), compare=False)


Node = Plain | Number | OptionalRange | Choice | Record | ListNode | Named | Broken
Slots = Mapping[Slot, Node]


@dataclass(frozen=True)
class Tree:
    """All that a trial's training depends on and that may be searched.

    Attributes:
        base: what holds unless a variant says otherwise.
        branches: of `variant`, by label: the slots that each replaces. Empty without variants.
    """

    base: Slots
    branches: Mapping[str, Slots] = field(default_factory=dict)

    @property
    def variants(self) -> Categories | None:
        """The labels of `variant`, if there are any."""
        return Categories(tuple(self.branches)) if self.branches else None

    def slots(self, label: str | None) -> dict[Slot, Node]:
        """What holds under a variant's label, in the order of `SLOTS`."""
        replaced = self.branches[label] if label is not None else {}
        both = {**self.base, **replaced}
        return {slot: both[slot] for slot in SLOTS if slot in both}

    def with_default(self, slot: Slot, node: Node) -> Tree:
        """The same tree where `slot`, if the study file leaves it open, is `node`."""
        return Tree({slot: node, **self.base}, self.branches)


def is_everywhere(slot: Slot, tree: Tree) -> bool:
    """Whether a slot holds something in every trial."""
    base = tree.base.get(slot, Plain(None))
    held = [slots.get(slot, base) for slots in tree.branches.values()] or [base]
    return not any(map(_may_be_empty, held))


def _may_be_empty(node: Node) -> bool:
    if isinstance(node, Choice):
        return any(_may_be_empty(option.node) for option in node.options)
    return node == Plain(None)


def trains_itself(tree: Tree) -> bool:
    """Whether every trial has a training of the user's own."""
    return is_everywhere(("train",), tree)


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below `node`."""
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


def identity(value: Any) -> str:
    """Equal for equal plain data only: JSON keeps 1, 1.0, true and "1" apart."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def categories(values: Sequence[Any]) -> tuple[Scalar, ...]:
    """What stands for each option of a choice of values.

    A scalar stands for itself unless another option equals it in Python's eyes (1, 1.0 and true);
    what Optuna cannot hold or tell apart is stored as its JSON text.

    Args:
        values: plain data, different in `identity`.
    """
    n_equal = Counter(value for value in values if not isinstance(value, list | dict))
    found: list[Scalar] = []
    for value in values:
        alone = not isinstance(value, list | dict) and n_equal[value] == 1
        found.append(value if alone else identity(value))
    if len(set(found)) < len(found):  # some text looks like another option's JSON
        return tuple(identity(value) for value in values)
    return tuple(found)
