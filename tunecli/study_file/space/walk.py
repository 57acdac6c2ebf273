"""List and find the parameters of a tree, and resolve the tree with a sampler's answers.

Both walk the tree in the same order: `resolve` asks for parameters in the order of
`parameters_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunecli.study_file.settings.ranges import Categories, Condition, Parameter, Range
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.space.tree import (
    SLOTS,
    Broken,
    Choice,
    Named,
    Node,
    Number,
    OptionalRange,
    Plain,
    Record,
    Slot,
    Slots,
    Tree,
    children,
)
from tunecli.study_file.text.document import Path
from tunecli.study_file.text.scalars import Scalar

Suggest = Callable[[str, Range], Scalar]
"""A function from a parameter's name and range to a number in the range, or to a category."""

VARIANT = "variant"
"""The parameter that chooses between variants."""


def parameters_of(tree: Tree) -> tuple[Parameter, ...]:
    """Return all searched parameters, in the order in which a sampler is asked."""
    parameters = [] if tree.variants is None else [Parameter(VARIANT, tree.variants)]
    for slot in SLOTS:
        for node, conditions in _occupants(tree, slot):
            parameters += _parameters(node, conditions)
    return tuple(parameters)


def optional_ranges(tree: Tree) -> dict[str, Scalar]:
    """Return the alternative value of each range with `or:`, by the range's name."""
    ranges = (node for node in _nodes(tree) if isinstance(node, OptionalRange))
    return {node.inside.name: node.otherwise for node in ranges}


def _nodes(tree: Tree) -> Iterator[Node]:
    """Yield all nodes that a trial can reach, each before those inside it."""
    waiting = [node for slot in SLOTS for node, _ in _occupants(tree, slot)]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += children(node)


def _occupants(tree: Tree, slot: Slot) -> Iterator[tuple[Node, tuple[Condition, ...]]]:
    """Yield the nodes that can be in a slot, and the variants in which they are."""
    replacing = [label for label, slots in tree.branches.items() if slot in slots]
    others = tuple(label for label in tree.branches if label not in replacing)
    if slot in tree.base and (others or not tree.branches):
        yield tree.base[slot], (Condition(VARIANT, others),) if replacing else ()
    for label in replacing:
        yield tree.branches[label][slot], (Condition(VARIANT, (label,)),)


def _parameters(node: Node, conditions: tuple[Condition, ...]) -> Iterator[Parameter]:
    if isinstance(node, Number):
        yield Parameter(node.name, node.range, conditions)
    elif isinstance(node, OptionalRange):
        yield Parameter(node.name, node.range, conditions)
        yield from _parameters(node.inside, (*conditions, Condition(node.name, (False,))))
    elif isinstance(node, Choice):
        yield Parameter(node.name, node.range, conditions)
        for option in node.options:
            chosen = Condition(node.name, (option.category,))
            yield from _parameters(option.node, (*conditions, chosen))
    else:
        for child in children(node):
            yield from _parameters(child, conditions)


@dataclass(frozen=True)
class ParameterLocation:
    """The location of one parameter in a study file.

    Attributes:
        at: path in the document of the mapping with `float`, `int` or `choice`.
        node: node of the mapping; an OptionalRange for its coin as well as for its range; None for
            `variant`. The options of a Choice are in the order of the document.
    """

    at: Path
    node: Number | OptionalRange | Choice | None


def places(tree: Tree) -> dict[str, ParameterLocation]:
    """Return the location of each parameter, by its name.

    A range that is written under several branches of a choice is several parameters, each with its
    own location.
    """
    locations: dict[str, ParameterLocation] = {}
    if tree.branches:
        locations[VARIANT] = ParameterLocation((VARIANT,), None)
    for node in _nodes(tree):
        if isinstance(node, OptionalRange):
            location = ParameterLocation(node.at, node)
            locations[node.name] = locations[node.inside.name] = location
        elif isinstance(node, Number | Choice):  # the number of an optional range is located
            locations.setdefault(node.name, ParameterLocation(node.at, node))
    return locations


@dataclass(frozen=True)
class Resolved:
    """A tree with every range replaced by a value.

    Attributes:
        values: a Component, None, or a setting's plain value, by slot; without broken slots.
        places: path in the document of each part; a component's argument is directly below the
            component's slot, a nested component's argument below its name.
    """

    values: dict[Slot, Any] = field(default_factory=dict)
    places: dict[Path, Path] = field(default_factory=dict)

    def section(self, name: str) -> dict[str, Any]:
        """Return the values of a section in which each setting is a slot."""
        return {slot[1]: value for slot, value in self.values.items() if slot[0] == name}

    def place(self, path: Path) -> Path:
        """Return the path in the document of a setting or argument, at any depth.

        Args:
            path: the component of a slot may be named: `model.TextCNN.embed` is `model.embed`.
        """
        for slot, component in self.values.items():
            is_named = (
                isinstance(component, Component)
                and (*slot, component.name) == (path[: len(slot) + 1])
            )
            if is_named and len(path) > len(slot) + 1:
                path = (*slot, *path[len(slot) + 1 :])
                break
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                return (*self.places[path[:length]], *path[length:])
        return path


def resolve(tree: Tree, suggest: Suggest) -> Resolved:
    """Replace every range of a tree by the answer of `suggest`."""
    label = None if tree.variants is None else str(suggest(VARIANT, tree.variants))
    return resolve_slots(tree.slots(label), suggest)


def resolve_slots(slots: Slots, suggest: Suggest) -> Resolved:
    """Replace every range below `slots`; paths in the result begin with the slot."""
    resolution = _Resolution(suggest)
    for slot, node in slots.items():
        value = resolution.value(node, slot)
        if value is not _BROKEN:
            resolution.resolved.values[slot] = value
    return resolution.resolved


_BROKEN = object()


class _Resolution:
    """One walk through a tree with one sampler's answers."""

    def __init__(self, suggest: Suggest) -> None:
        self._suggest = suggest
        self._inside_component = False
        self.resolved = Resolved()

    def value(self, node: Node, here: Path) -> Any:
        """Return the value of `node`; `here` is its path in a configuration."""
        if isinstance(node, Choice):
            category = self._suggest(node.name, node.range)
            return self.value(node.option(category).node, here)
        if isinstance(node, OptionalRange):
            self.resolved.places[here] = node.at
            takes_other = self._suggest(node.name, node.range)
            return node.otherwise if takes_other else self.value(node.inside, here)
        self.resolved.places[here] = node.at
        if isinstance(node, Plain):
            return node.value
        if isinstance(node, Number):
            return self._suggest(node.name, node.range)
        if isinstance(node, Broken):
            return _BROKEN
        if isinstance(node, Record):
            return self._fields(node.fields, here)
        if isinstance(node, Named):
            return self._component(node, here)
        walked = [self.value(item, (*here, i)) for i, item in enumerate(node.nodes)]
        return _BROKEN if any(value is _BROKEN for value in walked) else walked

    def _component(self, node: Named, here: Path) -> Component:
        nested, self._inside_component = self._inside_component, True
        below = (*here, node.component) if nested else here
        arguments = self._fields(node.arguments, below)
        self._inside_component = nested
        return Component(name=node.component, arguments=arguments)

    def _fields(self, fields: Mapping[str, Node], below: Path) -> dict[str, Any]:
        walked = {name: self.value(child, (*below, name)) for name, child in fields.items()}
        return {name: value for name, value in walked.items() if value is not _BROKEN}


def first_value(range_: Range) -> Scalar:
    """Return the low end of a range, or the first option."""
    return range_.choices[0] if isinstance(range_, Categories) else range_.low


def last_value(range_: Range) -> Scalar:
    """Return the high end of a range, or the last option."""
    return range_.choices[-1] if isinstance(range_, Categories) else range_.high


def contains(range_: Range, value: object) -> bool:
    """Return whether a sampler could answer `value`, which may be any plain data."""
    if isinstance(range_, Categories):
        return any(type(c) is type(value) and c == value for c in range_.choices)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    if not range_.low <= value <= range_.high:
        return False
    return True if not range_.step else divides(range_.step, value - range_.low)


def divides(step: float, distance: float) -> bool:
    """Return whether `distance` is a whole number of steps, within float precision."""
    n_steps = round(distance / step)
    return abs(distance - n_steps * step) <= 1e-9 * max(abs(distance), abs(step))
