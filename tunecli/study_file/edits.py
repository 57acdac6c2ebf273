"""Compare two versions of a study file, and classify the effect of each change on a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic.fields import FieldInfo

from tunecli.study_file.print_study import goal_sections
from tunecli.study_file.read.read_sections import Sections
from tunecli.study_file.settings.objective_settings import ObjectiveSettings
from tunecli.study_file.settings.ranges import FloatRange, IntRange
from tunecli.study_file.settings.search_settings import SearchSettings
from tunecli.study_file.settings.setting_types import Effect, OnEdit, mark
from tunecli.study_file.settings.settings import (
    Component,
    ValidationSettings,
)
from tunecli.study_file.space.tree import (
    DATA_SLOTS,
    SETTINGS,
    SLOTS,
    Choice,
    ListNode,
    Named,
    Node,
    Number,
    OptionalRange,
    Record,
    Slots,
    Tree,
    component_data,
    node_data,
)
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.dump import inline


@dataclass(frozen=True)
class Change:
    """One difference between a study file and the one that a study was started with.

    Attributes:
        path: the setting or parameter.
        old: its old value, as text; "none" if it was missing.
        new: its new value.
    """

    path: str
    old: str
    new: str
    effect: Effect

    def __str__(self) -> str:
        return f"{self.path}: {self.old} → {self.new}"


def changes(old: StudyFile, new: StudyFile) -> tuple[Change, ...]:
    """Return every difference that matters, in the order of the sections.

    Names, text and the order of keys do not matter. Both must be completed, or neither.
    """
    return (*_shared(old, new), *_trees(old.tree, new.tree), *_searches(old, new))


def _shared(old: Sections, new: Sections) -> Iterator[Change]:
    """Yield changes in what every trial shares; most of it affects scores."""
    yield from _differing("seed", old.seed, new.seed)
    in_tree = {*DATA_SLOTS}
    yield from _settings("data.", *(s.shared_data.model_dump(exclude=in_tree) for s in (old, new)))
    for key, field in ValidationSettings.model_fields.items():
        before, after = (getattr(sections.validation, key) for sections in (old, new))
        yield from _differing(f"validation.{key}", before, after, _effect(field))
    before, after = goal_sections(old), goal_sections(new)
    for section in ("objective", "constraints", "metrics"):
        yield from _differing(section, before.get(section), after.get(section))
    for key, field in ObjectiveSettings.model_fields.items():
        earlier, later = (getattr(sections, key) for sections in (old, new))
        yield from _differing(f"objective.{key}", earlier, later, _effect(field))


def _searches(old: StudyFile, new: StudyFile) -> Iterator[Change]:
    effects = {key: _effect(field) for key, field in SearchSettings.model_fields.items()}
    for key in sorted(effects, key=lambda key: effects[key] != "budget"):
        before, after = (_in_data(getattr(study.search, key)) for study in (old, new))
        yield from _differing(f"search.{key}", before, after, effects[key])
    if (old.start_with, old.start_from) != (new.start_with, new.start_from):
        before, after = (inline(study.written_start) for study in (old, new))
        yield Change("search.start_with", before, after, "refused")


def _effect(field: FieldInfo) -> Effect:
    marked = mark(field, OnEdit)
    return marked.effect if marked else "refused"


def _trees(old: Tree, new: Tree) -> Iterator[Change]:
    labels = [list(tree.branches) for tree in (old, new)]
    yield from _slots(old.base, new.base, "")
    if labels[0] != labels[1]:
        yield from _differing("variant", labels[0] or None, labels[1] or None)
        return
    for label in old.branches:
        prefix = f"variant.{label}."
        yield from _slots(old.branches[label], new.branches[label], prefix)


def _slots(old: Slots, new: Slots, prefix: str) -> Iterator[Change]:
    for slot in SLOTS:
        settings = SETTINGS.get(slot[0])
        own = mark(settings.model_fields[slot[1]], OnEdit) if settings else None
        for change in _nodes(prefix + ".".join(slot), old.get(slot), new.get(slot)):
            yield replace(change, effect=own.effect) if own else change


def _nodes(path: str, old: Node | None, new: Node | None) -> Iterator[Change]:
    """Yield the differences between two nodes, down to single ranges and values."""
    match old, new:
        case Number(range=before), Number(range=after):
            yield from _ranges(path, before, after)
        case OptionalRange(), OptionalRange():
            yield from _nodes(path, old.inside, new.inside)
            yield from _differing(f"{path}.or", old.otherwise, new.otherwise)
        case Choice(), Choice() if old.range == new.range or _have_names(old, new):
            yield from _choices(path, old, new)
        case Named(), Named() if old.component == new.component:
            yield from _fields(f"{path}.{old.component}", old.arguments, new.arguments)
        case Record(), Record():
            yield from _fields(path, old.fields, new.fields)
        case ListNode(), ListNode() if len(old.nodes) == len(new.nodes):
            for index, pair in enumerate(zip(old.nodes, new.nodes, strict=True)):
                yield from _nodes(f"{path}[{index}]", *pair)
        case _:
            yield from _differing(path, _written(old), _written(new))


def _choices(path: str, old: Choice, new: Choice) -> Iterator[Change]:
    """Yield options that were added, removed or moved, and changes inside the others."""
    before, after = ({o.category: o.node for o in choice.options} for choice in (old, new))
    for label in before:
        if label not in after:
            yield Change(f"{path}.{label}", "present", "removed", "refused")
    for label in after:
        if label not in before:
            yield Change(f"{path}.{label}", "absent", "added", "refused")
    shared = [label for label in before if label in after]
    is_moved = shared != [label for label in after if label in before]
    if old.range != new.range and (is_moved or len(before) == len(shared)):
        names = [", ".join(str(label) for label in labels) for labels in (before, after)]
        yield Change(path, names[0], names[1], "refused")
    for label in shared:
        yield from _option(f"{path}.{label}", before[label], after[label])


def _option(path: str, old: Node, new: Node) -> Iterator[Change]:
    """Yield differences inside an option of a choice, whose label replaces a class in paths."""
    if isinstance(old, Named) and isinstance(new, Named):
        yield from _differing(path, old.component, new.component)
        if old.component == new.component:
            yield from _fields(path, old.arguments, new.arguments)
    else:
        yield from _nodes(path, old, new)


def _have_names(*choices: Choice) -> bool:
    """Return whether options are identified by labels or names of components."""
    nodes = [option.node for choice in choices for option in choice.options]
    return any(choice.labelled for choice in choices) or any(isinstance(n, Named) for n in nodes)


def _fields(path: str, old: Mapping[str, Node], new: Mapping[str, Node]) -> Iterator[Change]:
    for key in {**old, **new}:
        yield from _nodes(f"{path}.{key}", old.get(key), new.get(key))


def _ranges(path: str, old: FloatRange | IntRange, new: FloatRange | IntRange) -> Iterator[Change]:
    """Yield a changed range; with the same kind and scale, earlier trials stay valid."""
    if old == new:
        return
    same_kind = type(old) is type(new) and old.log == new.log
    if same_kind and old.step == new.step:
        before, after = (f"[{inline(r.low)}, {inline(r.high)}]" for r in (old, new))
        yield Change(path, before, after, "space")
    else:
        before, after = (inline(node_data(Number("", r))) for r in (old, new))
        yield Change(path, before, after, "space" if same_kind else "refused")


def _written(node: Node | None) -> Any:
    return None if node is None else node_data(node)


def _settings(prefix: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for key in {**old, **new}:
        yield from _differing(prefix + key, old.get(key), new.get(key))


def _differing(path: str, old: Any, new: Any, effect: Effect = "refused") -> Iterator[Change]:
    # In Python 1 equals true, in a study file it does not.
    if old != new or isinstance(old, bool) != isinstance(new, bool):
        yield Change(path, _as_text(old), _as_text(new), effect)


def _as_text(data: Any) -> str:
    return data if isinstance(data, str) else inline(data)


def _in_data(value: Any) -> Any:
    return component_data(value) if isinstance(value, Component) else value
