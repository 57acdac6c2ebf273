"""Read `search.start_with`: configurations to try first, written like the study file itself.

An entry names an option by its label or value, and gives values inside ranges; the sampler
suggests what it leaves out. `tuned` takes the published defaults of the study's models
(`tuned_defaults`). `{study: NAME, best: 5}` takes the entries from another study; with
`repeat: false` only those that would not repeat one of its trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tunecli.study_file.read.read_components import without_none
from tunecli.study_file.settings.ranges import FloatRange
from tunecli.study_file.settings.switching_off import is_none
from tunecli.study_file.space.tree import (
    Choice,
    ListNode,
    Named,
    Node,
    Number,
    Option,
    OptionalRange,
    Plain,
    Record,
    Slots,
    Tree,
    identity,
    range_data,
)
from tunecli.study_file.space.walk import VARIANT, contains
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.document import Path
from tunecli.study_file.text.dump import flow, inline
from tunecli.study_file.text.problems import Problems
from tunecli.study_file.text.scalars import Scalar, read_scalar
from tunecli.study_file.text.suggestions import did_you_mean, listed

Assignment = dict[str, Scalar]
"""Values of some parameters, by name in the database."""


TUNED: Literal["tuned"] = "tuned"
_FROM_STUDY = ("study", "best", "repeat")
_ONLY_SEARCHED = " Only searched settings are allowed here."


@dataclass(frozen=True)
class StartFrom:
    """Another study whose best trials are tried first.

    Attributes:
        best: number of trials.
        repeat: whether trials of it are tried again that this study would only repeat: the same
            configuration on the same data, validation and objective.
    """

    study: str
    best: int
    repeat: bool = True


def read_start_with(
    data: Any, tree: Tree, problems: Problems
) -> tuple[tuple[Assignment, ...], StartFrom | Literal["tuned"] | None]:
    """Return the entries as partial assignments, or what to take them from."""
    at: Path = ("search", "start_with")
    if is_none(data):
        return (), None
    if data == TUNED:
        return (), TUNED
    if _names_study(data):
        return (), _start_from(data, at, problems)
    if isinstance(data, list) and (named := [entry for entry in data if _names_study(entry)]):
        message = "{study: …} must not be inside a list."
        problems.add(at, f"{message} Write start_with: {inline(named[0])}.")
    if not isinstance(data, list):
        advice = "Write tuned, {study: NAME, best: 5}, or a list of configurations."
        problems.add(at, f"must be a list, but got {inline(data)}. {advice}")
        return (), None
    entries = [(i, x) for i, x in enumerate(without_none(data)) if not _names_study(x)]
    return tuple(_Entry(tree, problems).read(x, (*at, i)) for i, x in entries), None


def _names_study(data: Any) -> bool:
    return isinstance(data, dict) and "study" in data


def _start_from(data: dict[str, Any], at: Path, problems: Problems) -> StartFrom | None:
    for key in data:
        if key not in _FROM_STUDY:
            hint = did_you_mean(key, _FROM_STUDY) or f" Valid keys are {listed(_FROM_STUDY)}."
            problems.add((*at, key), f"unknown key.{hint}", of_key=True)
    study, best, repeat = data["study"], data.get("best", 5), data.get("repeat", True)
    if not isinstance(study, str) or not study:
        problems.add((*at, "study"), f"must be the name of a study, but got {inline(study)}.")
    if not isinstance(best, int) or isinstance(best, bool) or best < 1:
        message = f"must be a whole number of at least 1, but got {inline(best)}."
        problems.add((*at, "best"), message)
        return None
    if not isinstance(repeat, bool):
        problems.add((*at, "repeat"), f"must be true or false, but got {inline(repeat)}.")
        return None
    return StartFrom(str(study), best, repeat)


class _Entry:
    """A reader of one entry, which matches it to the tree."""

    def __init__(self, tree: Tree, problems: Problems) -> None:
        self._tree = tree
        self._problems = problems

    def read(self, data: Any, at: Path) -> Assignment:
        self._assignment: Assignment = {}
        if not isinstance(data, dict):
            self._must_be("a mapping such as {optimizer: {AdamW: {lr: 1e-3}}}", data, at)
            return {}
        slots: Slots = self._tree.base
        if VARIANT in data:
            slots = self._variant(data[VARIANT], (*at, VARIANT))
        rest = {key: value for key, value in data.items() if key != VARIANT}
        self._slots(rest, at, slots)
        return self._assignment

    def _variant(self, data: Any, at: Path) -> Slots:
        """Choose a variant, read the entry for its slots, and return the other slots."""
        written, parts = next(iter(data.items())) if _is_single(data) else (data, None)
        branches = self._tree.branches
        label = next((label for label in branches if _is_label(label, written)), None)
        if label is None:
            self._problems.add(at, _not_an_option(data, [flow(label) for label in branches]))
            return self._tree.base
        self._assignment[VARIANT] = label
        branch = branches[label]
        if isinstance(parts, dict):
            self._slots(parts, (*at, label), branch)
        elif not is_none(parts):
            self._must_be("a mapping", parts, (*at, label))
        return {slot: node for slot, node in self._tree.base.items() if slot not in branch}

    def _slots(self, data: dict[str, Any], at: Path, slots: Slots) -> None:
        sections = {slot[0] for slot in slots}
        for key, value in data.items():
            below = (*at, key)
            if (key,) in slots:
                self._node(value, below, slots[key,])
            elif key in sections and isinstance(value, dict):
                self._settings(value, below, key, slots)
            elif "." in key:
                message = f"must be nested mappings. Write {flow(_nested(key.split('.'), value))}."
                self._problems.add(below, message, of_key=True)
            else:
                hint = did_you_mean(key, sections) or _ONLY_SEARCHED
                self._problems.add(below, f"{key} contains no range.{hint}", of_key=True)

    def _settings(self, data: dict[str, Any], at: Path, section: str, slots: Slots) -> None:
        known = {slot[1]: node for slot, node in slots.items() if slot[0] == section and slot[1:]}
        for key, value in data.items():
            if key in known:
                self._node(value, (*at, key), known[key])
            else:
                message = f"unknown setting.{did_you_mean(key, known)}"
                self._problems.add((*at, key), message, of_key=True)

    def _node(self, data: Any, at: Path, node: Node) -> None:
        if isinstance(node, Number):
            self._number(data, at, node)
        elif isinstance(node, OptionalRange):
            takes_other = identity(data) == identity(node.otherwise)
            self._assignment[node.name] = takes_other
            if not takes_other:
                self._number(data, at, node.inside)
        elif isinstance(node, Choice):
            self._choice(data, at, node)
        elif isinstance(node, Named):
            self._component(data, at, node)
        elif isinstance(node, Record):
            self._children(data, at, node.fields, "a mapping")
        elif isinstance(node, ListNode):
            self._items(data, at, node)
        elif isinstance(node, Plain):
            why = f"this is fixed at {inline(node.value)}. Remove it."
            self._problems.add(at, f"only searched settings are allowed, but {why}")

    def _number(self, data: Any, at: Path, node: Number) -> None:
        takes_float = isinstance(node.range, FloatRange)
        if not contains(node.range, data) or (isinstance(data, float) and not takes_float):
            message = f"must lie in {inline(range_data(node.range))}, but got {inline(data)}."
            self._problems.add(at, message)
            return
        self._assignment[node.name] = float(data) if takes_float else data

    def _choice(self, data: Any, at: Path, node: Choice) -> None:
        option, inside, below = _chosen(node, data, at)
        if option is None:
            if any(self._problems.misspelled_at(option.node.at) for option in node.options):
                return  # the entry may mean the option whose name is misspelled
            known = [_written(option, labelled=node.labelled) for option in node.options]
            self._problems.add(at, _not_an_option(data, known))
            return
        self._assignment[node.name] = option.category
        if is_none(inside):
            return
        if isinstance(option.node, Named) and _head(inside) != option.node.component:
            self._children(inside, below, option.node.arguments, "a mapping of arguments")
        else:
            self._node(inside, below, option.node)

    def _component(self, data: Any, at: Path, node: Named) -> None:
        if _head(data) != node.component:
            if self._problems.misspelled_at(node.at):
                return  # its name is misspelled
            self._must_be(f"{{{node.component}: {{…}}}}", data, at)
        elif isinstance(data, dict) and not is_none(inside := data[node.component]):
            below = (*at, node.component)
            self._children(inside, below, node.arguments, "a mapping of arguments")

    def _children(self, data: Any, at: Path, known: Any, what: str) -> None:
        if not isinstance(data, dict):
            self._must_be(what, data, at)
            return
        for key, value in data.items():
            if key in known:
                self._node(value, (*at, key), known[key])
            elif not any(self._problems.misspelled_at(node.at) for node in known.values()):
                message = f"no range has this name.{did_you_mean(key, known) or _ONLY_SEARCHED}"
                self._problems.add((*at, key), message, of_key=True)

    def _items(self, data: Any, at: Path, node: ListNode) -> None:
        if not isinstance(data, list) or len(data) != len(node.nodes):
            self._must_be(f"a list of {count(len(node.nodes), 'value')}", data, at)
            return
        for index, (value, child) in enumerate(zip(data, node.nodes, strict=True)):
            is_same = isinstance(child, Plain) and identity(child.value) == identity(value)
            if not is_same:  # a list is given as a whole, its fixed items too
                self._node(value, (*at, index), child)

    def _must_be(self, what: str, data: Any, at: Path) -> None:
        self._problems.add(at, f"must be {what}, but got {inline(data)}.")


def _nested(steps: list[str], value: Any) -> Any:
    """Return `{optimizer: {AdamW: {lr: 1e-3}}}` for the parameter `optimizer.AdamW.lr`."""
    for step in reversed(steps):
        value = {step: value}
    return value


def _is_single(data: Any) -> bool:
    return isinstance(data, dict) and len(data) == 1


def _head(data: Any) -> Any:
    """Return `AdamW` for both `AdamW` and `{AdamW: {…}}`."""
    return next(iter(data)) if _is_single(data) else data


def _chosen(node: Choice, data: Any, at: Path) -> tuple[Option | None, Any, Path]:
    """Return the option that an entry names, the data for its inside, and the path of that.

    An option is named by its label or by its value; the label takes precedence.
    """
    for option in node.options:
        is_value = not node.labelled and isinstance(option.node, Plain)
        if not is_value and _is_label(option.category, data):
            return option, None, at
        if not is_value and _is_single(data) and option.category in data:
            return option, data[option.category], (*at, str(option.category))
    for option in node.options:
        if isinstance(option.node, Plain) and identity(option.node.value) == identity(data):
            return option, None, at
    return None, None, at


def _is_label(label: Scalar, data: Any) -> bool:
    """Return whether `data` is a label, which may be read as a number (`4`) or None (`none`)."""
    if identity(data) == identity(label) or (data is None and label == "none"):
        return True
    try:
        return identity(data) == identity(read_scalar(str(label)))
    except ValueError:  # looks like a number, but is too large
        return False


def _written(option: Option, *, labelled: bool) -> str:
    """Return the YAML by which an entry names an option."""
    if not labelled and isinstance(option.node, Plain) and option.node.value is not None:
        return flow(option.node.value)
    return flow(option.category)


def _not_an_option(data: Any, known: list[str]) -> str:
    got = inline(_head(data))
    hint = did_you_mean(str(_head(data)), known)
    return f"must be one of {listed(known, last='or')}, but got {got}.{hint}"
