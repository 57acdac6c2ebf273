"""Read components, choices and ranges from plain data into nodes of the tree.

Mistakes are reported, not raised, so that one pass finds all of them; a `Broken` node replaces
each wrong part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from tunecli.study_file.catalogue import component_arguments, names
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.catalogue.names import Kind, with_article
from tunecli.study_file.read import number_ranges, option_labels
from tunecli.study_file.read.number_ranges import RangeMistakeError, kind_of_range
from tunecli.study_file.settings.code_names import is_code, short_name
from tunecli.study_file.settings.switching_off import is_none
from tunecli.study_file.space.tree import (
    Broken,
    Choice,
    ListNode,
    Named,
    Node,
    Number,
    Option,
    OptionalRange,
    Plain,
    Record,
    categories,
    identity,
)
from tunecli.study_file.text.document import Path
from tunecli.study_file.text.dump import inline
from tunecli.study_file.text.problems import Problems


def without_none(data: Any) -> Any:
    """Replace the word `none` by None, its meaning in every setting and argument."""
    if isinstance(data, list):
        return [without_none(item) for item in data]
    if isinstance(data, dict):
        return {key: without_none(value) for key, value in data.items()}
    return None if data == "none" else data


def has_ranges(data: Any) -> bool:
    """Return whether plain data contains a range, or something meant as one, at any depth."""
    if isinstance(data, dict):
        return number_ranges.is_range(data) or any(map(has_ranges, data.values()))
    return isinstance(data, list) and any(map(has_ranges, data))


def searches_source(data: Any) -> bool:
    """Return whether a section `data` has ranges in the arguments of the user's own function."""
    source = data.get("source") if isinstance(data, dict) else None
    if not isinstance(source, dict) or len(source) != 1:
        return False
    [(name, arguments)] = source.items()
    return is_code(name) and has_ranges(arguments)


@dataclass(frozen=True)
class Role:
    """The role of a component in the study file.

    Attributes:
        at: its path in the document.
        name: prefix of the names of its parameters.
        optional: whether the component can be left out.
        has_label: whether it is an option of a choice, so that `name` has its label instead of its
            class.
    """

    kind: Kind
    at: Path
    name: str
    optional: bool
    has_label: bool = False

    def branch(self, at: Path, name: str) -> Role:
        """Return the role of one option of a choice."""
        return Role(self.kind, at, name, self.optional, has_label=True)


class Grammar:
    """A reader of parts of one study file, which reports their mistakes.

    Attributes:
        code: the user's code that the study file may name; None to accept all code.
        folder: the folder that paths are relative to; None to assume that files exist.
    """

    def __init__(
        self,
        problems: Problems,
        code: AllowedCode | None = None,
        folder: FilePath | None = None,
    ) -> None:
        self.problems = problems
        self.code = code
        self.folder = folder

    def broken(self, at: Path, message: str, *, of_key: bool = False) -> Broken:
        """Report a mistake, and return a node that marks it."""
        self.problems.add(at, message, of_key=of_key)
        return Broken(at)

    def _report(self, at: Path, messages: Iterable[str]) -> None:
        for message in messages:
            self.problems.add(at, message)

    # Values: settings and arguments

    def value(self, data: Any, at: Path, name: str) -> Node:
        """Return the node of a setting or an argument, with ranges at any depth."""
        if isinstance(data, dict):
            return self._mapping(data, at, name)
        if isinstance(data, list):
            nodes = [self.value(x, (*at, i), f"{name}[{i}]") for i, x in enumerate(data)]
            is_plain = all(isinstance(node, Plain) for node in nodes)
            return Plain(data, at) if is_plain else ListNode(tuple(nodes), at)
        return Plain(data, at)

    def _mapping(self, data: dict[str, Any], at: Path, name: str) -> Node:
        try:
            kind = kind_of_range(data)
            if kind == "choice":
                self._report(at, number_ranges.beside_mistakes(data))
                return self._choice_of_values(data["choice"], (*at, "choice"), name)
            if kind is not None:
                return _number_node(data, at, name)
        except RangeMistakeError as mistake:
            if not self.problems.leave_unread(at):
                self._report(at, mistake.messages)
            return Broken(at)
        fields = {key: self.value(data[key], (*at, key), f"{name}.{key}") for key in data}
        is_plain = all(isinstance(node, Plain) for node in fields.values())
        return Plain(data, at) if is_plain else Record(fields, at)

    def _choice_of_values(self, data: Any, at: Path, name: str) -> Node:
        if isinstance(data, dict) and data:
            return self._labelled(data, at, name, self.value)
        if not isinstance(data, list) or not data:
            return self.broken(at, f"a choice must be a list of options, but got {inline(data)}.")
        if mistake := option_labels.too_many_options(data):
            return self.broken(at, mistake)
        options: dict[str, tuple[Any, Node]] = {}
        for index, option in enumerate(data):
            below = (*at, index)
            if identity(option) in options:
                message = f"the option {inline(option)} occurs twice. Remove one of them."
                self.problems.add(below, message)
                continue
            node = self.value(option, below, f"{name}.{index}")
            if has_ranges(option):
                self.problems.add(below, option_labels.needs_label(option))
            options[identity(option)] = option, node
        values, nodes = zip(*options.values(), strict=True)
        return Choice(name, tuple(map(Option, categories(values), nodes)), at=at[:-1])

    def _labelled(
        self, data: dict[str, Any], at: Path, name: str, read: Callable[[Any, Path, str], Node]
    ) -> Node:
        """Return the choice of a mapping from labels to branches."""
        if mistake := option_labels.too_many_options(data):
            return self.broken(at, mistake)
        options: dict[str, Option] = {}
        for written, branch in data.items():
            below, label = (*at, written), short_name(written)
            if mistake := self.label_mistake(label):
                self.problems.add(below, mistake, of_key=True)
            if label in options:
                self.problems.add(below, option_labels.occurs_twice(label), of_key=True)
            options[label] = Option(label, read(branch, below, f"{name}.{label}"))
        return Choice(name, tuple(options.values()), labelled=True, at=at[:-1])

    @staticmethod
    def label_mistake(label: str) -> str | None:
        """Return the message for an invalid label; labels are part of names in the database."""
        is_long_enough = label == label.strip() and 1 <= len(label) <= 64
        if is_long_enough and all(c.isalnum() or c in "_- +:" for c in label):
            return None
        characters = "letters, digits, `_`, `-`, `+`, `:`, and spaces between them"
        return f"a label must have 1 to 64 characters: {characters}."

    # Components

    def component(self, data: Any, role: Role) -> Node:
        """Return the node of a component, or of a choice between several."""
        if isinstance(data, dict) and "choice" in data:
            return self._choice_of_components(data, role)
        return self._single(data, role)

    def components(self, data: Any, role: Role) -> Node:
        """Return a list of components (one needs no brackets), or a choice of labelled lists."""
        if is_none(data):
            return Plain(None, role.at)
        if (
            isinstance(data, dict)
            and list(data) == ["choice"]
            and isinstance(data["choice"], dict)
        ):
            at = (*role.at, "choice")
            lists = {k: v for k, v in data["choice"].items() if not self._is_one(v, role.kind, k)}
            if len(lists) == len(data["choice"]) and lists:

                def branch(data: Any, at: Path, name: str) -> Node:
                    return self.components(data, Role(role.kind, at, name, role.optional))

                return self._labelled(data["choice"], at, role.name, branch)
        items = data if isinstance(data, list) else [data]
        nodes = []
        for i, item in enumerate(items):
            below = (*role.at, i) if isinstance(data, list) else role.at
            name = f"{role.name}[{i}]"
            nodes.append(self.component(item, Role(role.kind, below, name, optional=True)))
        return ListNode(tuple(nodes), role.at)

    @staticmethod
    def _is_one(data: Any, kind: Kind, label: str) -> bool:
        """Return whether an option of a choice is one component, not a list."""
        is_list = isinstance(data, list) or is_none(data)
        return not is_list or (names.canonical(kind, label) is not None)

    def _single(self, data: Any, role: Role) -> Node:
        if is_none(data):
            if role.optional:
                return Plain(None, role.at)
            return self.broken(role.at, f"{with_article(role.kind)} is required, but got none.")
        if isinstance(data, str):
            return self._named(data, None, role, role.at)
        if not isinstance(data, dict) or not data:
            got = f"but got {inline(data)}"
            rule = f"must be a name or {{Name: {{arguments}}}}, {got}."
            if isinstance(data, list):
                rule += " To search over several, write choice: [...]."
            return self.broken(role.at, rule)
        if len(data) > 1:  # probably meant as a choice
            self.problems.add(role.at, option_labels.too_many_names(data, role.kind))
            options = []
            for key in (key for key in data if names.canonical(role.kind, key)):
                branch = role.branch(role.at, f"{role.name}.{key}")
                options.append(Option(key, self._single({key: data[key]}, branch)))
            return Choice(role.name, tuple(options), at=role.at) if options else Broken(role.at)
        written, arguments = next(iter(data.items()))
        if written in ("float", "int"):
            message = f"{with_article(role.kind)} cannot be a range of numbers. Write a name."
            return self.broken(role.at, message)
        return self._named(written, arguments, role, (*role.at, written))

    def _named(self, written: str, arguments: Any, role: Role, at: Path) -> Node:
        canonical = names.canonical(role.kind, written)
        name = role.name if role.has_label else f"{role.name}.{short_name(canonical or written)}"
        if canonical is None:
            return self._unknown(written, arguments, at, name, role.kind)
        return self._arguments(canonical, arguments, at, name, role.kind)

    def _unknown(self, written: str, arguments: Any, at: Path, name: str, kind: Kind) -> Node:
        """Report an unknown name, and read its arguments as those of the most similar name."""
        self.problems.add(at, names.unknown_name(kind, written), of_key=True)
        meant = names.closest_name(kind, written)
        if meant is not None:
            return self._arguments(meant, arguments, at, name, kind)
        self.value(arguments, at, name)
        return Broken(at)

    def _arguments(self, component: str, data: Any, at: Path, name: str, kind: Kind) -> Node:
        """Return a component whose parameters have names that begin with `name`."""
        if is_none(data):
            data = {}
        if not isinstance(data, dict):
            message = f"the arguments of {component} must be a mapping, but got {inline(data)}."
            return self.broken(at, f"{message} Write {component}: {{argument: value}}.")
        if any(word in data for word in number_ranges.RANGE_WORDS):
            message = f"a range cannot replace all arguments of {component}."
            self.problems.add(at, f"{message} Write it for a single argument.")
            of_range = (*number_ranges.RANGE_WORDS, *number_ranges.BESIDE)
            data = {key: data[key] for key in data if key not in of_range}
        arguments: dict[str, Node] = {}
        for key, value in data.items():
            unknown = component_arguments.unknown_argument(kind, component, key, data)
            meant = self._meant(kind, component, key, data) if unknown else key
            nested = component_arguments.nested_kind(kind, component, meant)
            can_lack = component_arguments.can_be_none(kind, component, meant)
            below, inner = (*at, key), f"{name}.{key}"
            arguments[meant] = (
                self.component(value, Role(nested, below, inner, optional=can_lack))
                if nested is not None
                else self.value(without_none(value), below, inner)
            )
            if unknown is not None:
                self.problems.add(below, unknown, of_key=True)
        return Named(kind, component, arguments, at)

    @staticmethod
    def _meant(kind: Kind, component: str, key: str, data: dict[str, Any]) -> str:
        """Return the argument that an unknown key probably means, unless it is given too."""
        meant = component_arguments.closest_argument(kind, component, key, data)
        return key if meant is None or meant in data else meant

    def _choice_of_components(self, data: dict[str, Any], role: Role) -> Node:
        if role.has_label:
            message = (
                "a choice cannot be an option of a choice. Move its options to the outer choice."
            )
            self.problems.add(role.at, message)
        if len(data) > 1:
            others = ", ".join(key for key in data if key != "choice")
            message = f"`choice` allows no other key, but got {others}. Move it into the choice."
            self.problems.add(role.at, message)
        options, at = data["choice"], (*role.at, "choice")
        if isinstance(options, list) and options:
            return self._listed_components(options, at, role)
        if not isinstance(options, dict) or not options:
            message = f"a choice must be a list of options, but got {inline(options)}."
            return self.broken(at, message)

        def branch(data: Any, at: Path, name: str) -> Node:
            return self._labelled_component(data, role.branch(at, name))

        return self._labelled(options, at, role.name, branch)

    def _labelled_component(self, data: Any, role: Role) -> Node:
        """Return a known component with its arguments, or the component below a label."""
        label = str(role.at[-1])
        canonical = names.canonical(role.kind, label)
        if canonical is not None:
            return self._arguments(canonical, data, role.at, role.name, role.kind)
        is_empty = is_none(data) and label != "none"
        is_mapping = isinstance(data, dict)
        if is_empty or (is_mapping and option_labels.is_misspelled_name(label, data, role.kind)):
            return self._unknown(label, data, role.at, role.name, role.kind)
        return self.component(data, role)

    def _listed_components(self, options: list[Any], at: Path, role: Role) -> Node:
        if mistake := option_labels.too_many_options(options):
            return self.broken(at, mistake)
        nodes: dict[str, Node] = {}
        for index, data in enumerate(options):
            label = option_labels.option_label(data, role.kind)
            below = (*at, index)
            if label in nodes:
                self.problems.add(below, option_labels.occurs_twice(label))
                label = f"{label}[{index}]"
            nodes[label] = self.component(data, role.branch(below, f"{role.name}.{label}"))
        branches = tuple(Option(label, node) for label, node in nodes.items())
        return Choice(role.name, branches, at=role.at)


def _number_node(data: dict[str, Any], at: Path, name: str) -> Number | OptionalRange:
    number = Number(name, number_ranges.read_number_range(data), at)
    return OptionalRange(f"{name}.or", number, data["or"], at) if "or" in data else number
