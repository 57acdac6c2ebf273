"""Find the answers of a sampler that give a configuration: the inverse of `walk.resolve`.

Names of parameters may have changed since a trial, when a choice was reduced to its only option or
an option got a label. The configuration still determines its position in the space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tunecli.study_file.read_start_with import Assignment
from tunecli.study_file.settings.ranges import FloatRange
from tunecli.study_file.settings.settings import WITHOUT, Component, TrialConfig
from tunecli.study_file.space.tree import (
    LIST_SLOTS,
    SETTINGS,
    Choice,
    ListNode,
    Named,
    Node,
    Number,
    Option,
    OptionalRange,
    Plain,
    Record,
    Slot,
    Slots,
    Tree,
)
from tunecli.study_file.space.walk import VARIANT, contains
from tunecli.study_file.text.scalars import Scalar


@dataclass(frozen=True)
class Match:
    """The fit of a configuration into a search space.

    Attributes:
        answers: values of the parameters whose ranges contain the configuration.
        misfits: other parts, in a few words each; empty if the space contains the configuration.
    """

    answers: Assignment
    misfits: tuple[str, ...] = ()


def match(tree: Tree, config: TrialConfig, params: Mapping[str, Scalar]) -> Match:
    """Find a configuration in a search space.

    Args:
        params: parameters of its trial, to distinguish options with equal content.
    """
    values = _values(config)
    matches: list[Match] = []
    for label in _in_order(list(tree.branches) or [None], params.get(VARIANT)):
        walk = _Walk(params)
        walk.slots(tree.slots(label), values)
        answers = {VARIANT: label, **walk.answers} if label is not None else walk.answers
        matches.append(Match(answers, tuple(walk.misfits)))
    return min(matches, key=lambda one: len(one.misfits))  # on ties, the trial's own variant


def _values(config: TrialConfig) -> dict[Slot, Any]:
    values: dict[Slot, Any] = {
        (section, name): value
        for section in SETTINGS
        for name, value in getattr(config, section).model_dump().items()
    }
    for name in ("model", "loss", "optimizer", "schedule", "train"):
        component = getattr(config, name)
        values[name,] = None if component == WITHOUT else component
    values["data", "scale"] = config.data.scale
    values["data", "augment"] = list(config.data.augment)
    return values


def _in_order(labels: list[Any], first: Any) -> list[Any]:
    return sorted(labels, key=lambda label: label != first)


@dataclass
class _Walk:
    """One walk through a tree with the values of one configuration."""

    params: Mapping[str, Scalar]
    answers: Assignment = field(default_factory=dict)
    misfits: list[str] = field(default_factory=list)

    def slots(self, slots: Slots, values: Mapping[Slot, Any]) -> None:
        for slot, node in slots.items():
            if slot == ("training", "max_time"):  # ends a trial, but changes no score
                continue
            name = ".".join(slot)
            if slot in LIST_SLOTS:
                self._list(node, values[slot], name)
            else:
                self.node(node, values.get(slot), name)
        for slot, value in values.items():
            if slot not in slots and slot[0] not in SETTINGS and value:
                self.misfits.append(f"another {'.'.join(slot)}")

    def node(self, node: Node, value: Any, name: str) -> None:
        """Match a value to a node.

        Args:
            name: name of the part, for misfits.
        """
        if isinstance(node, Number):
            if contains(node.range, value):
                is_float = isinstance(node.range, FloatRange)
                self.answers[node.name] = float(value) if is_float else value
            else:
                self.misfits.append(f"{node.name} outside its range")
        elif isinstance(node, OptionalRange):
            takes_other = _same(node.otherwise, value)
            self.answers[node.name] = takes_other
            if not takes_other:
                self.node(node.inside, value, name)
        elif isinstance(node, Choice):
            self._choice(node, value, name)
        else:
            self._inside(node, value, name)

    def _choice(self, node: Choice, value: Any, name: str) -> None:
        best: tuple[Option, _Walk] | None = None
        hint = self.params.get(node.name)
        for option in sorted(node.options, key=lambda option: option.category != hint):
            walk = _Walk(self.params)
            if isinstance(value, list) and not isinstance(option.node, Plain):
                walk._list(option.node, value, name)
            else:
                walk.node(option.node, value, name)
            if best is None or len(walk.misfits) < len(best[1].misfits):
                best = option, walk
        assert best is not None
        option, walk = best
        if walk.misfits and any(misfit == f"another {name}" for misfit in walk.misfits):
            self.misfits.append(f"another {name}")
            return
        self.answers |= {node.name: option.category, **walk.answers}
        self.misfits += walk.misfits

    def _inside(self, node: Node, value: Any, name: str) -> None:
        if isinstance(node, Named):
            if not isinstance(value, Component) or value.name != node.component:
                self.misfits.append(f"another {name}")
                return
            below = f"{name}.{node.component}"
            self._fields(node.arguments, value.arguments, below)
            extra = value.arguments.keys() - node.arguments.keys()
            self.misfits += [f"another {below}.{key}" for key in sorted(extra)]
        elif isinstance(node, Record) and isinstance(value, dict):
            self._fields(node.fields, value, name)
        elif isinstance(node, ListNode) and isinstance(value, list | tuple):
            if len(value) != len(node.nodes):
                self.misfits.append(f"another {name}")
                return
            for index, (child, item) in enumerate(zip(node.nodes, value, strict=True)):
                self.node(child, item, f"{name}[{index}]")
        elif not isinstance(node, Plain) or not _same(node.value, value):
            self.misfits.append(f"another {name}")

    def _fields(self, fields: Mapping[str, Node], values: Mapping[str, Any], name: str) -> None:
        for key, child in fields.items():
            if key in values:
                self.node(child, values[key], f"{name}.{key}")
            else:
                self.misfits.append(f"another {name}.{key}")

    def _list(self, node: Node, values: list[Any], name: str) -> None:
        """Match a list of components, whose values leave out components that are none."""
        if isinstance(node, Choice):
            self._choice(node, values, name)
            return
        if not isinstance(node, ListNode):
            self.node(node, values or None, name)
            return
        left = [*values]
        for index, child in enumerate(node.nodes):
            walk = _Walk(self.params)
            walk.node(child, left[0] if left else None, f"{name}[{index}]")
            if walk.misfits:
                without = _Walk(self.params)
                without.node(child, None, f"{name}[{index}]")
                walk = without if not without.misfits else walk
            self.answers |= walk.answers
            self.misfits += walk.misfits
            if not _takes_none(child, walk):
                left = left[1:]
        if left:
            self.misfits.append(f"another {name}")


def _takes_none(node: Node, walk: _Walk) -> bool:
    """Return whether the answer for an item of a list is none."""
    if isinstance(node, Choice) and node.name in walk.answers:
        return _takes_none(node.option(walk.answers[node.name]).node, walk)
    return isinstance(node, Plain) and node.value is None


def _same(written: Any, value: Any) -> bool:
    """Return whether a value equals the written one; a mapping can have more keys."""
    if isinstance(written, dict):
        return isinstance(value, dict) and all(
            key in value and _same(inside, value[key]) for key, inside in written.items()
        )
    if isinstance(written, list):
        return (
            isinstance(value, list | tuple)
            and len(written) == len(value)
            and all(map(_same, written, value))
        )
    return isinstance(written, bool) == isinstance(value, bool) and bool(written == value)
