"""The values that an argument accepts, read from its annotation without importing the library.

`float | Tensor` accepts a number, `tuple[float, float]` two of them, `Callable[...]` nothing that
a study file can contain. An unknown annotation accepts anything: the constructor decides, in
`check` and before the first trial.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from tunecli.study_file.text.counts import count

CODE_OR_OBJECTS = frozenset({"Callable", "Tensor", "Optimizer", "Study", "FrozenTrial", "ndarray"})
"""Annotations of values that a study file cannot contain."""


@dataclass(frozen=True)
class ValueType:
    """The values that an argument accepts.

    Attributes:
        words: the words after "must be".
        accepts: returns whether a value of a study file (without ranges) is one of them.
        schema: the JSON Schema of the values.
        settable: False if no value in a study file can be one of them.
    """

    words: str
    accepts: Callable[[object], bool]
    schema: dict[str, Any] = field(default_factory=dict)
    settable: bool = True


@dataclass(frozen=True)
class Interval:
    """Finite numbers from `low` to `high`, written as in mathematics: `[0, 1)` has 0, but not 1.

    Attributes:
        has_low, has_high: whether the interval contains the end itself.
    """

    low: float = -math.inf
    high: float = math.inf
    has_low: bool = False
    has_high: bool = False

    @classmethod
    def of(cls, written: str) -> Interval:
        """Return the interval for a text such as `[0, 1)` or `(0, inf)`."""
        low, high = written[1:-1].split(",")
        return cls(float(low), float(high), written[0] == "[", written[-1] == "]")

    def __contains__(self, value: float) -> bool:
        if value in (self.low, self.high):
            return self.has_low if value == self.low else self.has_high
        return self.low < value < self.high

    def __str__(self) -> str:
        """Return words such as "at least 0 and below 1"."""
        low = f"{'at least' if self.has_low else 'above'} {self.low:g}"
        high = f"{'at most' if self.has_high else 'below'} {self.high:g}"
        ends = [(low, self.low), (high, self.high)]
        return " and ".join(words for words, end in ends if math.isfinite(end))

    @property
    def schema(self) -> dict[str, float]:
        """The keywords of a JSON Schema that say the same."""
        low = "minimum" if self.has_low else "exclusiveMinimum"
        high = "maximum" if self.has_high else "exclusiveMaximum"
        ends = {low: self.low, high: self.high}
        return {keyword: end for keyword, end in ends.items() if math.isfinite(end)}


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is a number, which a boolean is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


NUMBER = ValueType("a number", is_number, {"type": "number"})
WHOLE = ValueType("a whole number", _is_whole, {"type": "integer"})
TEXT = ValueType("a string", lambda value: isinstance(value, str), {"type": "string"})
TRUTH = ValueType("true or false", lambda value: isinstance(value, bool), {"type": "boolean"})
NONE = ValueType("none", lambda value: value is None, {"enum": [None, "none"]})
ANYTHING = ValueType("anything", lambda value: True)
UNSETTABLE = ValueType("set by tunecli", lambda value: False, {"not": {}}, settable=False)

_NAMES = {"float": NUMBER, "int": WHOLE, "str": TEXT, "bool": TRUTH, "None": NONE}
_SEQUENCES = {"list", "List", "tuple", "Tuple", "Sequence", "Iterable"}


def one_of(values: Sequence[object]) -> ValueType:
    """Return the type of exactly these values; `true` is not 1."""

    def accepts(value: object) -> bool:
        return any(type(value) is type(known) and value == known for known in values)

    words = [value if isinstance(value, str) else _plain(value) for value in values]
    text = f"one of {', '.join(words[:8])}, …" if len(words) > 10 else " or ".join(words)
    return ValueType(text, accepts, {"enum": list(values)})


def number_within(interval: Interval, *, whole: bool = False) -> ValueType:
    """Return the type of the numbers, or whole numbers, in an interval."""
    kind = WHOLE if whole else NUMBER

    def accepts(value: object) -> bool:
        return kind.accepts(value) and is_number(value) and value in interval

    return ValueType(f"{kind.words} {interval}", accepts, kind.schema | interval.schema)


def sequence_of(items: ValueType) -> ValueType:
    """Return the type of a list of any length."""

    def accepts(value: object) -> bool:
        return isinstance(value, list | tuple) and all(map(items.accepts, value))

    words = "a list" if items is ANYTHING else f"a list (each {items.words})"
    return ValueType(words, accepts, {"type": "array", "items": items.schema}, items.settable)


def fixed_sequence_of(items: Sequence[ValueType]) -> ValueType:
    """Return the type of a list with one value for each of `items`."""

    def accepts(value: object) -> bool:
        if not isinstance(value, list | tuple) or len(value) != len(items):
            return False
        return all(item.accepts(part) for item, part in zip(items, value, strict=True))

    kinds = {item.words for item in items}
    what = f"each {kinds.pop()}" if len(kinds) == 1 else "; ".join(item.words for item in items)
    schema = {
        "type": "array",
        "prefixItems": [item.schema for item in items],
        "minItems": len(items),
        "maxItems": len(items),
    }
    settable = all(item.settable for item in items)
    n_values = count(len(items), "value")
    return ValueType(f"a list of {n_values} ({what})", accepts, schema, settable)


def any_of(members: Sequence[ValueType]) -> ValueType:
    """Return the union of `members`, without those that a study file cannot contain.

    `Tensor | None` cannot be set: it can only be left out.
    """
    settable = [member for member in members if member.settable]
    only_none = len(settable) < len(members) and all(member is NONE for member in settable)
    if not settable or only_none:
        return UNSETTABLE
    if ANYTHING in settable:
        return ANYTHING
    if len(settable) == 1:
        return settable[0]
    words = " or ".join(member.words for member in settable)
    schema = {"anyOf": [member.schema for member in settable]}
    return ValueType(words, lambda value: any(m.accepts(value) for m in settable), schema)


def value_type(annotation: str, default: object = None) -> ValueType:
    """Return the type of an annotation or, without one, that of the default.

    Args:
        annotation: source text; empty without an annotation.
        default: default of the argument; None decides nothing.
    """
    if annotation:
        return _read(ast.parse(annotation, mode="eval").body)
    if isinstance(default, tuple):
        return fixed_sequence_of([NUMBER if is_number(item) else ANYTHING for item in default])
    return {bool: TRUTH, int: WHOLE, float: NUMBER, str: TEXT}.get(type(default), ANYTHING)


def value_in_words(value: object) -> str:
    """Return a value in the words of an error message: `the string 'abc'`, `the number 3`."""
    if value is None or isinstance(value, bool):
        return _plain(value)
    if isinstance(value, str):
        return f"the string {value!r}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, list | tuple):
        return f"the list [{', '.join(_plain(item) for item in value)}]"
    return "a mapping"


def _plain(value: object) -> str:
    """Return a value as YAML writes it."""
    return json.dumps(value, default=str, ensure_ascii=False) if value is not None else "none"


def _read(node: ast.expr) -> ValueType:
    """Return the type of one node of an annotation; strings are forward references."""
    if isinstance(node, ast.Constant):
        if node.value is None:
            return NONE
        return value_type(node.value) if isinstance(node.value, str) else ANYTHING
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return any_of([_read(member) for member in _members(node)])
    if isinstance(node, ast.Subscript):
        return _subscript(_last_name(node.value), _items(node.slice))
    return _named(_last_name(node))


def _subscript(name: str, items: list[ast.expr]) -> ValueType:
    """Return the type of `name[items]`."""
    if name == "Literal":
        return one_of([ast.literal_eval(item) for item in items])
    if name == "Optional":
        return any_of([_read(items[0]), NONE])
    if name == "Union":
        return any_of([_read(item) for item in items])
    if name == "Annotated":
        return _read(items[0])
    if name not in _SEQUENCES:
        return _named(name)
    fixed = name.lower() == "tuple" and ast.unparse(items[-1]) != "..."
    return fixed_sequence_of([_read(i) for i in items]) if fixed else sequence_of(_read(items[0]))


def _named(name: str) -> ValueType:
    if name in _NAMES:
        return _NAMES[name]
    if name in CODE_OR_OBJECTS or name.startswith("Base"):
        return UNSETTABLE
    return sequence_of(ANYTHING) if name in _SEQUENCES else ANYTHING


def _members(node: ast.expr) -> list[ast.expr]:
    """Return the members of `a | b | c` as a flat list."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_members(node.left), *_members(node.right)]
    return [node]


def _items(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _last_name(node: ast.expr) -> str:
    """Return `Tensor` for `torch.Tensor`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
