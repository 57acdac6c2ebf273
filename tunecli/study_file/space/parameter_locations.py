"""Where in a study file each parameter stands."""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.study_file.space.tree import Choice, Node, Number, OptionalRange, Tree, children
from tunecli.study_file.space.walk import VARIANT
from tunecli.study_file.text.document import Path


@dataclass(frozen=True)
class ParameterLocation:
    """Where one parameter stands.

    Attributes:
        at: path in the document of the mapping with `float`, `int` or `choice`.
        node: what the mapping is; a Gate for its coin and for the range behind it; None for
            `variant`. The options of a Choice are in the order of the document.
    """

    at: Path
    node: Number | OptionalRange | Choice | None


def places(tree: Tree) -> dict[str, ParameterLocation]:
    """By the name of each parameter, where it stands.

    A range that is written under several branches of a choice is several parameters, each with a
    place of its own.
    """
    found: dict[str, ParameterLocation] = {}
    if tree.branches:
        found[VARIANT] = ParameterLocation((VARIANT,), None)
    waiting: list[Node] = [*tree.base.values()]
    waiting += [node for slots in tree.branches.values() for node in slots.values()]
    while waiting:
        node = waiting.pop()
        if isinstance(node, OptionalRange):
            found[node.name] = found[node.inside.name] = ParameterLocation(node.at, node)
            continue
        if isinstance(node, Number | Choice):
            found[node.name] = ParameterLocation(node.at, node)
        waiting += children(node)
    return found
