"""The grammar of components, choices and ranges: plain data in, nodes of the tree out.

Mistakes are reported, not raised, so that one reading finds all of them; a `Broken` node stands in
their place. See DESIGN 3 for the language.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tunecli.study_file import catalogue
from tunecli.study_file.catalogue import Kind, with_article
from tunecli.study_file.document import Path
from tunecli.study_file.number_ranges import (
    RANGE_WORDS,
    RangeMistakeError,
    kind_of_range,
    read_number_range,
)
from tunecli.study_file.plain import inline
from tunecli.study_file.problems import Problems
from tunecli.study_file.suggestions import closest
from tunecli.study_file.tree import (
    Broken,
    Choice,
    Gate,
    Items,
    Named,
    Node,
    Number,
    Option,
    Plain,
    Record,
    categories,
    children,
    identity,
)

_NOT_OFFERED = {
    "Wilcoxon": "WilcoxonPruner is not offered: it takes steps for independent instances, and "
    "here they are evaluations of one curve. Write `Median` or `Hyperband`.",
    "SparseAdam": "SparseAdam is not offered: it wants sparse gradients, which no model here has. "
    "Write `Adam`.",
    "LambdaLR": "LambdaLR is not offered: it takes code, and a study file is data.",
}


def is_none(data: Any) -> bool:
    """`none`, `null` and empty are one thing: without."""
    return data is None or data == "none"


def without_none(data: Any) -> Any:
    """No setting or argument has a word `none`: it means null, as for components."""
    if isinstance(data, list):
        return [without_none(item) for item in data]
    if isinstance(data, dict):
        return {key: without_none(value) for key, value in data.items()}
    return None if data == "none" else data


def has_ranges(data: Any) -> bool:
    """Whether plain data holds a range, or something meant as one, at any depth."""
    if isinstance(data, dict):
        try:
            return kind_of_range(data) is not None or any(map(has_ranges, data.values()))
        except RangeMistakeError:
            return True
    return isinstance(data, list) and any(map(has_ranges, data))


@dataclass(frozen=True)
class Role:
    """What a component is there for.

    Attributes:
        at: its place in the document.
        name: with which its parameters' names begin.
        optional: whether there may be none.
        has_label: it is an option of a choice, whose label stands in `name` in place of its class.
    """

    kind: Kind
    at: Path
    name: str
    optional: bool
    has_label: bool = False

    def branch(self, at: Path, name: str) -> Role:
        """The role of one option of a choice."""
        return Role(self.kind, at, name, self.optional, has_label=True)


class Grammar:
    """Reads parts of one study file, and reports what is wrong with them."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def broken(self, at: Path, message: str, *, of_key: bool = False) -> Broken:
        """Report a mistake and mark its place."""
        self.problems.add(at, message, of_key=of_key)
        return Broken(at)

    # Values: settings and arguments

    def value(self, data: Any, at: Path, name: str) -> Node:
        """A setting's or an argument's value, with ranges at any depth."""
        if isinstance(data, dict):
            return self._mapping(data, at, name)
        if isinstance(data, list):
            nodes = [self.value(x, (*at, i), f"{name}[{i}]") for i, x in enumerate(data)]
            is_plain = all(isinstance(node, Plain) for node in nodes)
            return Plain(data, at) if is_plain else Items(tuple(nodes), at)
        return Plain(data, at)

    def _mapping(self, data: dict[str, Any], at: Path, name: str) -> Node:
        try:
            kind = kind_of_range(data)
            if kind == "choice":
                return self._choice_of_values(data["choice"], (*at, "choice"), name)
            if kind is not None:
                return _number_node(data, at, name)
        except RangeMistakeError as mistake:
            return self.broken(at, str(mistake))
        fields = {key: self.value(data[key], (*at, key), f"{name}.{key}") for key in data}
        is_plain = all(isinstance(node, Plain) for node in fields.values())
        return Plain(data, at) if is_plain else Record(fields, at)

    def _choice_of_values(self, data: Any, at: Path, name: str) -> Node:
        if isinstance(data, dict) and data:
            return self._labelled(data, at, name, self.value)
        if not isinstance(data, list) or not data:
            return self.broken(at, f"a choice is a list of options, but got {inline(data)}.")
        if any(has_ranges(option) for option in data):
            advice = "Give each option a label: choice: {small: …, large: …}."
            return self.broken(at, f"an option with a range of its own needs a label. {advice}")
        seen: set[str] = set()
        for index, option in enumerate(data):
            if identity(option) in seen:
                message = f"the option {inline(option)} stands twice. Remove one of the two."
                return self.broken((*at, index), message)
            seen.add(identity(option))
        options = zip(categories(data), data, range(len(data)), strict=True)
        return Choice(
            name, tuple(Option(c, Plain(x, (*at, i))) for c, x, i in options), at=at[:-1]
        )

    def _labelled(
        self, data: dict[str, Any], at: Path, name: str, read: Callable[[Any, Path, str], Node]
    ) -> Node:
        """A mapping from label to branch."""
        options = []
        for label, branch in data.items():
            below = (*at, label)
            if mistake := self.label_mistake(label):
                self.problems.add(below, mistake, of_key=True)
            options.append(Option(label, read(branch, below, f"{name}.{label}")))
        return Choice(name, tuple(options), labelled=True, at=at[:-1])

    @staticmethod
    def label_mistake(label: str) -> str | None:
        """What is wrong with a label; it becomes part of names in the database."""
        is_long_enough = label == label.strip() and 1 <= len(label) <= 64
        if is_long_enough and all(c.isalnum() or c in "_- +:" for c in label):
            return None
        rule = "a label has letters, digits, `_`, `-`, `+`, `:` and, inside, blanks"
        return f"{rule}: at least 1 and at most 64 of them."

    # Components

    def component(self, data: Any, role: Role) -> Node:
        """A component, or a choice between several."""
        if isinstance(data, dict) and "choice" in data:
            return self._choice_of_components(data, role)
        return self._single(data, role)

    def _single(self, data: Any, role: Role) -> Node:
        if is_none(data):
            if role.optional:
                return Plain(None, role.at)
            return self.broken(role.at, f"{with_article(role.kind)} is needed, but got none.")
        if isinstance(data, str):
            return self._named(data, None, role, role.at)
        if not isinstance(data, dict) or not data:
            got = f"but got {inline(data)}"
            rule = f"must be a name or {{Name: {{arguments}}}}, {got}."
            if isinstance(data, list):
                rule += " Write choice: [...] to search over several."
            return self.broken(role.at, rule)
        if len(data) > 1:
            return self.broken(role.at, _too_many_names(data, role.kind))
        written, arguments = next(iter(data.items()))
        if written in ("float", "int"):
            message = f"{with_article(role.kind)} cannot be a range of numbers. Write a name."
            return self.broken(role.at, message)
        return self._named(written, arguments, role, (*role.at, written))

    def _named(self, written: str, arguments: Any, role: Role, at: Path) -> Node:
        canonical = catalogue.canonical(role.kind, written)
        if canonical is None:
            return self.broken(at, _unknown(role.kind, written), of_key=True)
        name = role.name if role.has_label else f"{role.name}.{canonical}"
        return self._arguments(canonical, arguments, at, name, role.kind)

    def _arguments(self, component: str, data: Any, at: Path, name: str, kind: Kind) -> Node:
        """A component whose arguments' parameters begin with `name`."""
        if is_none(data):
            data = {}
        if not isinstance(data, dict):
            message = f"the arguments of {component} are a mapping, but got {inline(data)}."
            return self.broken(at, f"{message} Write {component}: {{argument: value}}.")
        if any(word in data for word in RANGE_WORDS):
            message = f"a range may not stand for all arguments of {component}."
            return self.broken(at, f"{message} Give one to a single argument.")
        arguments: dict[str, Node] = {}
        for key, value in data.items():
            nested = catalogue.nested_kind(kind, component, key)
            below, inner = (*at, key), f"{name}.{key}"
            arguments[key] = (
                self.component(value, Role(nested, below, inner, optional=False))
                if nested is not None
                else self.value(without_none(value), below, inner)
            )
            unknown = catalogue.unknown_argument(kind, component, key)
            if unknown is not None and isinstance(arguments[key], Broken):
                self.problems.add(below, unknown)  # a value that is not broken is checked later
        return Named(kind, component, arguments, at)

    def _choice_of_components(self, data: dict[str, Any], role: Role) -> Node:
        if role.has_label:
            message = "a choice may not stand directly inside a choice. Put its options outside."
            return self.broken(role.at, message)
        if len(data) > 1:
            others = ", ".join(key for key in data if key != "choice")
            message = f"`choice` stands alone, but got {others} beside it. Move it inside."
            return self.broken(role.at, message)
        options, at = data["choice"], (*role.at, "choice")
        if isinstance(options, list) and options:
            return self._listed_components(options, at, role)
        if not isinstance(options, dict) or not options:
            message = f"a choice lists what to choose from, but got {inline(options)}."
            return self.broken(at, message)

        def branch(data: Any, at: Path, name: str) -> Node:
            return self._labelled_component(data, role.branch(at, name))

        return self._labelled(options, at, role.name, branch)

    def _labelled_component(self, data: Any, role: Role) -> Node:
        """A known name with its arguments, or a label of the user's with one component."""
        label = str(role.at[-1])
        canonical = catalogue.canonical(role.kind, label)
        if canonical is not None:
            return self._arguments(canonical, data, role.at, role.name, role.kind)
        if is_none(data) and label != "none":
            return self.broken(role.at, _unknown(role.kind, label), of_key=True)
        if isinstance(data, dict) and _is_misspelled_name(label, data, role.kind):
            return self.broken(role.at, _unknown(role.kind, label), of_key=True)
        return self.component(data, role)

    def _listed_components(self, options: list[Any], at: Path, role: Role) -> Node:
        found: dict[str, Node] = {}
        for index, data in enumerate(options):
            label = _label(data, role.kind)
            below = (*at, index)
            if label == "none" and label in found:
                self.problems.add(below, "none stands twice. Remove one of the two.")
                continue
            if label in found:
                message = f"{label} stands twice. Give both a label: choice: {{first: {{{label}: "
                self.problems.add(below, f"{message}…}}, second: {{{label}: …}}}}.")
                continue
            found[label] = self.component(data, role.branch(below, f"{role.name}.{label}"))
        branches = tuple(Option(label, node) for label, node in found.items())
        return Choice(role.name, branches, at=role.at)


def is_broken(node: Node) -> bool:
    """Whether a mistake was found at `node` or below."""
    return isinstance(node, Broken) or any(map(is_broken, children(node)))


def _label(data: Any, kind: Kind) -> str:
    """What stands in the database for an option of a list of components."""
    if is_none(data):
        return "none"
    written = next(iter(data), "") if isinstance(data, dict) else str(data)
    return catalogue.canonical(kind, written) or written


def _unknown(kind: Kind, written: str) -> str:
    return _NOT_OFFERED.get(written.removesuffix("Pruner")) or catalogue.unknown_name(
        kind, written
    )


def _number_node(data: dict[str, Any], at: Path, name: str) -> Number | Gate:
    number = Number(name, read_number_range(data), at)
    if "or" not in data:
        return number
    if isinstance(data["or"], list | dict):
        got = inline(data["or"])
        raise RangeMistakeError(f"`or` takes a single value, as `or: 0`, but got {got}.")
    return Gate(f"{name}.or", number, data["or"], at)


def _too_many_names(data: dict[str, Any], kind: Kind) -> str:
    got = ", ".join(data)
    known = catalogue.names(kind)
    meant = [catalogue.canonical(kind, name) or closest(name, known) for name in data]
    if meant[0] is None:
        advice = f"Write {{Name: {{arguments}}}} with the name of one {kind}."
        return f"one {kind} is needed, but got {got}. {advice}"
    hint = "" if meant[0] in data else f" Did you mean `{meant[0]}`?"
    options = ", ".join(name for name in meant if name is not None)
    advice = f"To search over several, write choice: {{{options}}}, each with its arguments."
    return f"one {kind} is needed, but got {got}.{hint} {advice}"


def _is_misspelled_name(label: str, data: dict[str, Any], kind: Kind) -> bool:
    """Whether a label is meant as a name: what stands below it is not one component."""
    known = catalogue.names(kind)
    holds_component = len(data) == 1 and closest(next(iter(data)), known) is not None
    return not holds_component and closest(label, known) is not None
