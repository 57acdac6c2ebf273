"""Where in a study file each parameter stands."""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.study_file.space.tree import Choice, Gate, Node, Number, Tree, children
from tunecli.study_file.space.walk import VARIANT
from tunecli.study_file.text.document import Path


@dataclass(frozen=True)
class Place:
    """Where one parameter stands.

    Attributes:
        at: path in the document of the mapping with `float`, `int` or `choice`.
        node: what the mapping is; a Gate for its coin and for the range behind it; None for
            `variant`. The options of a Choice are in the order of the document.
    """

    at: Path
    node: Number | Gate | Choice | None


def places(tree: Tree) -> dict[str, Place]:
    """By the name of each parameter, where it stands.

    A range that is written under several branches of a choice is several parameters, each with a
    place of its own.
    """
    found: dict[str, Place] = {}
    if tree.branches:
        found[VARIANT] = Place((VARIANT,), None)
    waiting: list[Node] = [*tree.base.values()]
    waiting += [node for slots in tree.branches.values() for node in slots.values()]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Gate):
            found[node.name] = found[node.inside.name] = Place(node.at, node)
            continue
        if isinstance(node, Number | Choice):
            found[node.name] = Place(node.at, node)
        waiting += children(node)
    return found
