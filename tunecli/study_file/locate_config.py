"""Find the answers of a sampler that give a configuration: the inverse of `walk.resolve`.

Names of parameters may have changed since a trial, when a choice was reduced to its only option or
an option got a label. The configuration still determines its position in the space.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunecli.study_file.catalogue.component_arguments import signature
from tunecli.study_file.catalogue.names import Kind
from tunecli.study_file.read_start_with import Assignment
from tunecli.study_file.settings.ranges import FloatRange
from tunecli.study_file.settings.settings import WITHOUT, Component, TrialConfig
from tunecli.study_file.space.tree import (
    DATA_SLOTS,
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

    answers: Assignment = field(default_factory=dict)
    misfits: tuple[str, ...] = ()


def match(
    tree: Tree,
    config: TrialConfig,
    params: Mapping[str, Scalar],
    *,
    avoided: frozenset[str] = frozenset(),
) -> Match:
    """Find a configuration in a search space.

    Args:
        params: parameters of its trial, to distinguish options with equal content.
        avoided: misfits that are worse than any others. If there are some, an option with the
            same component fits, however many of its arguments differ, and arguments that are not
            written have their defaults.
    """
    values, search = _values(config), _Search(params, avoided)
    if not tree.branches:
        return search.slots(tree.slots(None), values)
    matches = [
        _joined([Match({VARIANT: label}), search.slots(tree.slots(label), values)])
        for label in sorted(tree.branches, key=lambda label: label != params.get(VARIANT))
    ]
    return min(matches, key=search.distance)  # on ties, the trial's own variant


def place_of(misfit: str) -> str:
    """Return the name of the part in a misfit."""
    return misfit.removeprefix("another ").removesuffix(_OUTSIDE)


_OUTSIDE = " outside its range"


def _values(config: TrialConfig) -> dict[Slot, Any]:
    values: dict[Slot, Any] = {
        (section, name): value
        for section in SETTINGS
        for name, value in getattr(config, section).model_dump().items()
    }
    for name in ("model", "loss", "optimizer", "schedule", "train"):
        component = getattr(config, name)
        values[name,] = None if component == WITHOUT else component
    for name in DATA_SLOTS:
        values["data", name] = getattr(config.data, name)
    values["data", "augment"] = list(config.data.augment)
    return values


@dataclass(frozen=True)
class _Search:
    """The matches of one trial's values with parts of a tree.

    `name` is the name of the part, for misfits.
    """

    params: Mapping[str, Scalar]
    avoided: frozenset[str] = frozenset()

    def distance(self, one: Match) -> tuple[int, int]:
        """Return how far a match is from a complete one: the avoided misfits first."""
        return len(self.avoided.intersection(one.misfits)), len(one.misfits)

    def slots(self, slots: Slots, values: Mapping[Slot, Any]) -> Match:
        matches: list[Match] = []
        for slot, node in slots.items():
            name = ".".join(slot)
            if slot in LIST_SLOTS:
                matches.append(self._list(node, values[slot], name))
            elif slot != ("training", "max_time"):  # ends a trial, but changes no score
                matches.append(self._node(node, values.get(slot), name))
        others = (slot for slot, x in values.items() if x and slot[0] not in SETTINGS)
        missing = (_another(".".join(slot)) for slot in others if slot not in slots)
        return _joined([*matches, *missing])

    def _node(self, node: Node, value: Any, name: str) -> Match:
        if isinstance(node, Number):
            if not contains(node.range, value):
                return Match(misfits=(f"{node.name}{_OUTSIDE}",))
            is_float = isinstance(node.range, FloatRange)
            return Match({node.name: float(value) if is_float else value})
        if isinstance(node, OptionalRange):
            takes_other = _same(node.otherwise, value)
            coin = Match({node.name: takes_other})
            return coin if takes_other else _joined([coin, self._node(node.inside, value, name)])
        if isinstance(node, Choice):
            return self._choice(node, value, name)
        return self._inside(node, value, name)

    def _choice(self, node: Choice, value: Any, name: str) -> Match:
        hint = self.params.get(node.name)
        fits: list[tuple[Option, Match]] = []
        for option in sorted(node.options, key=lambda option: option.category != hint):
            is_list = isinstance(value, list) and not isinstance(option.node, Plain)
            fit = self._list if is_list else self._node
            fits.append((option, fit(option.node, value, name)))
        other = f"another {name}"
        option, best = min(
            fits,
            key=lambda fit: (
                bool(self.avoided) and other in fit[1].misfits,
                *self.distance(fit[1]),
            ),
        )
        if other in best.misfits:
            return _another(name)
        return _joined([Match({node.name: option.category}), best])

    def _inside(self, node: Node, value: Any, name: str) -> Match:
        match node, value:
            case Named(component=component), Component(name=known) if known == component:
                below = f"{name}.{component}"
                extra = sorted(value.arguments.keys() - node.arguments.keys())
                if self.avoided:
                    extra = [key for key in extra if not _is_default(value, node.kind, key)]
                fields = self._fields(node.arguments, value.arguments, below)
                return _joined([fields, *(_another(f"{below}.{key}") for key in extra)])
            case Record(), dict():
                return self._fields(node.fields, value, name)
            case ListNode(), list() | tuple() if len(value) == len(node.nodes):
                pairs = enumerate(zip(node.nodes, value, strict=True))
                return _joined(self._node(child, x, f"{name}[{i}]") for i, (child, x) in pairs)
            case Plain(), _ if _same(node.value, value):
                return Match()
        return _another(name)

    def _fields(self, fields: Mapping[str, Node], values: Mapping[str, Any], name: str) -> Match:
        return _joined(
            self._node(child, values[key], f"{name}.{key}")
            if key in values
            else _another(f"{name}.{key}")
            for key, child in fields.items()
        )

    def _list(self, node: Node, values: list[Any], name: str) -> Match:
        """Match a list of components, whose values leave out components that are none."""
        if isinstance(node, Choice):
            return self._choice(node, values, name)
        if not isinstance(node, ListNode):
            return self._node(node, values or None, name)
        matches, left = [], [*values]
        for index, child in enumerate(node.nodes):
            here = f"{name}[{index}]"
            fit = self._node(child, left[0] if left else None, here)
            if fit.misfits and not (without := self._node(child, None, here)).misfits:
                fit = without
            matches.append(fit)
            if not _takes_none(child, fit):
                left = left[1:]
        return _joined([*matches, _another(name)] if left else matches)


def _joined(matches: Iterable[Match]) -> Match:
    answers: Assignment = {}
    misfits: list[str] = []
    for match in matches:
        answers |= match.answers
        misfits += match.misfits
    return Match(answers, tuple(misfits))


def _another(name: str) -> Match:
    return Match(misfits=(f"another {name}",))


def _takes_none(node: Node, match: Match) -> bool:
    """Return whether the answer for an item of a list is none."""
    if isinstance(node, Choice) and node.name in match.answers:
        return _takes_none(node.option(match.answers[node.name]).node, match)
    return isinstance(node, Plain) and node.value is None


def _is_default(component: Component, kind: Kind, argument: str) -> bool:
    """Return whether a component would have the same value if the argument were left out."""
    known = signature(kind, component.name).argument(argument)
    value = component.arguments[argument]
    return known is not None and not known.required and _same(known.default, value)


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
