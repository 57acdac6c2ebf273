"""Hash the user's own code that a study runs, which affects scores as a setting does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.read.read_sections import Sections
from tunecli.study_file.settings.code_names import CodeName
from tunecli.study_file.space.tree import Named, Node, Tree, children


def code_in_use(sections: Sections, tree: Tree, allowed: AllowedCode | None) -> dict[str, str]:
    """Return the hash of each file and package that a study names, by its name for `--code`.

    Args:
        allowed: the allowed code; None if the study file is only read, with empty hashes.
    """
    names = _names(sections, tree)
    return {option: (allowed and allowed.hash_of(name)) or "" for option, name in names.items()}


def changed_code(
    sections: Sections, tree: Tree, allowed: AllowedCode, before: Mapping[str, str]
) -> list[str]:
    """Return the files and packages that changed since a study ran, by their names for `--code`.

    Args:
        before: earlier result of `code_in_use`, or hashes of the oldest studies.
    """
    names = _names(sections, tree)
    return [
        option
        for option, content in before.items()
        if option not in names or not allowed.is_as_before(names[option], content)
    ]


def _names(sections: Sections, tree: Tree) -> dict[str, CodeName]:
    """Return the names of code in a study, by their file or package."""
    names = map(CodeName.parse, _written(sections, tree))
    return {name.to_allow: name for name in names if name is not None}


def _written(sections: Sections, tree: Tree) -> Iterator[str]:
    """Yield the names of all components, and of the data source."""
    if sections.data is not None:
        yield sections.data.source
    yield from (objective.metric.name for objective in sections.objectives)
    yield from (constraint.metric.name for constraint in sections.constraints)
    yield from (metric.name for metric in sections.metrics)
    waiting: list[Node] = [node for slots in _all_slots(tree) for node in slots]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Named):
            yield node.component
        waiting += children(node)


def _all_slots(tree: Tree) -> Iterator[list[Node]]:
    yield [*tree.base.values()]
    yield from ([*slots.values()] for slots in tree.branches.values())
