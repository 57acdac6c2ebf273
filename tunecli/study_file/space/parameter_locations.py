"""Find where in a study file each parameter is written."""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.study_file.space.tree import Choice, Node, Number, OptionalRange, Tree, children
from tunecli.study_file.space.walk import VARIANT
from tunecli.study_file.text.document import Path


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
    waiting: list[Node] = [*tree.base.values()]
    waiting += [node for slots in tree.branches.values() for node in slots.values()]
    while waiting:
        node = waiting.pop()
        if isinstance(node, OptionalRange):
            location = ParameterLocation(node.at, node)
            locations[node.name] = locations[node.inside.name] = location
            continue
        if isinstance(node, Number | Choice):
            locations[node.name] = ParameterLocation(node.at, node)
        waiting += children(node)
    return locations
