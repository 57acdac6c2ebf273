"""Find the user's own code that a study names, which affects scores as a setting does."""

from __future__ import annotations

from collections.abc import Iterator

from tunecli.study_file.read.read_sections import Sections
from tunecli.study_file.settings.code_names import CodeName
from tunecli.study_file.space.tree import Named, Node, Tree, children


def code_names(sections: Sections, tree: Tree) -> dict[str, CodeName]:
    """Return the names of code in a study, by their file or package, as in `--code`."""
    names = map(CodeName.parse, _written(sections, tree))
    return {name.to_allow: name for name in names if name is not None}


def _written(sections: Sections, tree: Tree) -> Iterator[str]:
    """Yield the names of all components, and of the data source."""
    yield sections.shared_data.source
    yield from (objective.metric.name for objective in sections.objectives)
    yield from (constraint.metric.name for constraint in sections.constraints)
    yield from (metric.name for metric in sections.metrics)
    waiting: list[Node] = [
        node for slots in (tree.base, *tree.branches.values()) for node in slots.values()
    ]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Named):
            yield node.component
        waiting += children(node)
