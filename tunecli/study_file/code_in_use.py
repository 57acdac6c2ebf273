"""Which code of the user's own a study runs, and what it was: it decides scores like a setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.read.read_sections import Sections
from tunecli.study_file.settings.code_names import CodeName
from tunecli.study_file.space.tree import Named, Node, Tree, children


def code_in_use(sections: Sections, tree: Tree, allowed: AllowedCode | None) -> dict[str, str]:
    """Hash of each file and package that a study names, as `--code` names it.

    Args:
        allowed: what was looked at; None for a study file that is only looked at, whose hashes
            are empty.
    """
    names = _names(sections, tree)
    return {option: (allowed and allowed.hash_of(name)) or "" for option, name in names.items()}


def changed_code(
    sections: Sections, tree: Tree, allowed: AllowedCode, before: Mapping[str, str]
) -> list[str]:
    """Which files and packages are not what a study ran before, as `--code` names them.

    Args:
        before: what `code_in_use` gave then, or the like of the first studies.
    """
    names = _names(sections, tree)
    return [
        option
        for option, content in before.items()
        if option not in names or not allowed.is_as_before(names[option], content)
    ]


def _names(sections: Sections, tree: Tree) -> dict[str, CodeName]:
    """What a study names, each by its file or package."""
    names = (found for written in _written(sections, tree) if (found := CodeName.parse(written)))
    return {name.to_allow: name for name in names}


def _written(sections: Sections, tree: Tree) -> Iterator[str]:
    """The names of all components, and of the data's source."""
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
