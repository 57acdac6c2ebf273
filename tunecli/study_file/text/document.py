"""Read YAML text as plain data with the line and column of every key and value.

This is stricter than PyYAML's `safe_load`: YAML 1.2 numbers and booleans, no duplicate keys, no
tags, no endless or exploding aliases, limits on size and depth. Keys are always strings, as
written. It uses PyYAML's events, so that depth is checked before any recursion.

Reading continues after a mistake if possible: the first of repeated keys is used, and a plausible
value replaces one that cannot be read.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import yaml

from tunecli.errors import Problem, StudyFileError
from tunecli.study_file.text.scalars import read_scalar

Path = tuple[str | int, ...]
"""A path in a document: keys and list indices from the root."""

LARGEST_TEXT = 1_000_000
"""Largest number of characters of a study file."""
LARGEST_FILE = 4 * LARGEST_TEXT
"""Largest size of a study file in bytes: a character takes at most four."""
DEEPEST = 40
MOST_NODES = 50_000


@dataclass(frozen=True)
class TextPosition:
    """A position in the text, counted from 1; zeros for data that is not in the text.

    Attributes:
        override: the `path=value` of the command line that replaces the text there.
    """

    line: int
    column: int
    override: str = ""


NOWHERE = TextPosition(0, 0)
START = TextPosition(1, 1)


@dataclass(frozen=True)
class Flaw:
    """A mistake of the text itself, independent of its meaning.

    Attributes:
        unreadable: whether a placeholder replaces the value at `path`, which is not checked then.
    """

    path: Path
    mark: TextPosition
    message: str
    unreadable: bool = False

    @property
    def problem(self) -> Problem:
        """This flaw as a problem of the study file."""
        mark = self.mark
        return Problem(mark.line, mark.column, dotted(self.path), self.message, mark.override)


@dataclass(frozen=True)
class Document:
    """Plain data (dict, list, str, int, float, bool, None) and the position of each part.

    Attributes:
        keys: position of the key of each mapping entry.
        values: position of the value of each entry; for a mapping or list below a key, the
            position of that key, where a reader looks first.
        flaws: mistakes of the text, in its order.
    """

    data: Any
    keys: dict[Path, TextPosition] = field(default_factory=dict)
    values: dict[Path, TextPosition] = field(default_factory=dict)
    flaws: tuple[Flaw, ...] = ()

    @classmethod
    def parse(cls, text: str, file: str) -> Document:
        """Read a study file's text; mistakes in parts of it are in `flaws`.

        A command reads the same text several times, and parses it once.

        Raises:
            StudyFileError: the text is not YAML, or too large.
        """
        document = _parsed(text, file)
        return replace(document, data=copy.deepcopy(document.data))

    def renamed(self, key: str, name: str) -> Document:
        """Return the document with the content of the outermost `key` under `name` as well.

        The positions of the key remain, for messages.
        """
        below = {at: (name, *at[1:]) for at in self.values if at[:1] == (key,)}
        return replace(
            self,
            data={name if k == key else k: value for k, value in self.data.items()},
            keys=self.keys | {below[at]: self.keys[at] for at in below if at in self.keys},
            values=self.values | {below[at]: self.values[at] for at in below},
        )

    def holds(self, path: Path) -> bool:
        """Return whether something was written at `path`."""
        return path in self.values

    def mark(self, path: Path, *, of_key: bool = False) -> TextPosition:
        """Return the position of `path`, or of the nearest part that contains it."""
        if of_key and path in self.keys:
            return self.keys[path]
        for length in range(len(path), 0, -1):
            if path[:length] in self.values:
                return self.values[path[:length]]
        return START


def dotted(path: Path) -> str:
    """Return a path as text, such as `optimizer.SGD.lr` or `model.MLP.width[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class _UnreadableError(Exception):
    """Reading cannot continue; the mark is that of the part reached, unless it is known better."""

    def __init__(self, message: str, mark: TextPosition | None = None) -> None:
        super().__init__(message)
        self.mark = mark


_STAND_IN = 1e300
"""Placeholder of an unreadable number: valid as the end of a range, equal to no other option."""

_OPEN = object()
"""Placeholder of an anchored value that is still being read: an alias to it would be endless."""


@dataclass(frozen=True)
class _Anchored:
    """The value of an alias, with its number of nodes and of levels below the first one."""

    data: Any
    n_nodes: int = 1
    height: int = 0


@lru_cache(maxsize=8)
def _parsed(text: str, file: str) -> Document:
    composer = _Composer(text)
    try:
        data = composer.read()
    except _UnreadableError as error:
        path, mark = composer.reached
        composer.flaw(error.mark or mark, path, str(error))
        raise StudyFileError(file, [flaw.problem for flaw in composer.flaws]) from None
    return Document(data, composer.keys, composer.values, tuple(composer.flaws))


class _Composer:
    """Builds a document from PyYAML's events."""

    def __init__(self, text: str) -> None:
        self.flaws: list[Flaw] = []
        self.keys: dict[Path, TextPosition] = {}
        self.values: dict[Path, TextPosition] = {}
        self.reached: tuple[Path, TextPosition] = ((), START)
        self._events = _events(text)
        self._anchors: dict[str | None, _Anchored] = {}
        self._n_nodes = 0
        self._depth = -1  # of the current node; keys count as well
        self._deepest = 0

    def read(self) -> Any:
        next(self._events)  # the start of the stream
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        data = self._node(next(self._events), ())
        next(self._events)  # the end of the document
        second = next(self._events)
        if not isinstance(second, yaml.StreamEndEvent):
            message = "a study file must be one YAML document. Remove `---` and what follows it."
            self.flaw(_mark(second), (), message)
        return data

    def _node(self, event: yaml.Event, path: Path) -> Any:
        mark = _mark(event)
        self.reached = (path, mark)
        self._depth += 1
        self._grow(n_nodes=1, height=0)
        self.values.setdefault(path, mark)
        if isinstance(event, yaml.AliasEvent):
            data = self._alias(event, path)
        else:
            data = self._anchored(event, path)
        self._depth -= 1
        return data

    def _anchored(self, event: yaml.Event, path: Path) -> Any:
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if event.tag is not None:
            message = f"YAML tags are not supported, but got {event.tag}. Remove it."
            is_scalar = isinstance(event, yaml.ScalarEvent)
            self.flaw(_mark(event), path, message, unreadable=is_scalar)
        before, deepest = self._n_nodes, self._deepest
        self._deepest = self._depth
        self._anchors[event.anchor] = _Anchored(_OPEN)
        if isinstance(event, yaml.ScalarEvent):
            data = self._scalar(event, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            data = self._sequence(path)
        else:
            data = self._mapping(path)
        n_nodes, height = self._n_nodes - before + 1, self._deepest - self._depth
        self._anchors[event.anchor] = _Anchored(data, n_nodes, height)
        self._deepest = max(deepest, self._deepest)
        return data

    def _grow(self, *, n_nodes: int, height: int) -> None:
        """Count nodes and levels, and refuse more than the limits."""
        self._n_nodes += n_nodes
        self._deepest = max(self._deepest, self._depth + height)
        if self._depth + height > DEEPEST:
            raise _UnreadableError(f"a study file can be nested at most {DEEPEST} levels deep.")
        if self._n_nodes > MOST_NODES:
            limit = f"at most {MOST_NODES:,} values, including aliases."
            raise _UnreadableError(f"a study file can have {limit}")

    def _alias(self, event: yaml.AliasEvent, path: Path) -> Any:
        anchored = self._anchors.get(event.anchor)
        if anchored is None or anchored.data is _OPEN:
            why = f"has no anchor `&{event.anchor}` before it"
            why = "is inside its own anchor, so it never ends" if anchored else why
            message = f"the alias `*{event.anchor}` {why}."
            self.flaw(_mark(event), path, message, unreadable=True)
            return None
        self._grow(n_nodes=anchored.n_nodes, height=anchored.height)
        return copy.deepcopy(anchored.data)

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> Any:
        if event.style is not None:  # quoted, or a block of text
            return event.value
        try:
            return read_scalar(event.value)
        except ValueError as error:
            self.flaw(_mark(event), path, f"{error}.", unreadable=True)
            return _STAND_IN

    def _sequence(self, path: Path) -> list[Any]:
        data: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            data.append(self._node(event, (*path, len(data))))
        return data

    def _mapping(self, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            if key is None:
                self._aside(path)
            elif key == "<<" and isinstance(event, yaml.ScalarEvent) and event.style is None:
                message = "`<<` merges mappings in YAML 1.1, not in YAML 1.2. Write the keys out."
                self.flaw(_mark(event), (*path, key), message)
                value = self._aside(path)
                merged |= value if isinstance(value, dict) else {}
            elif key in data:
                first = self.keys[(*path, key)].line
                message = f"this key is already on line {first}. Remove one of them."
                self.flaw(_mark(event), (*path, key), message)
                self._aside((*path, key))
            else:
                data[key] = self._entry(event, (*path, key))
        return merged | data

    def _entry(self, event: yaml.Event, path: Path) -> Any:
        self.keys[path] = _mark(event)
        value_event = next(self._events)
        if isinstance(value_event, yaml.CollectionStartEvent):
            self.values.setdefault(path, _mark(event))
        return self._node(value_event, path)

    def _aside(self, path: Path, event: yaml.Event | None = None) -> Any:
        """Read a value that is not part of the document, without keeping its positions.

        Args:
            event: its first event; by default the next one.
        """
        positions = self.keys, self.values
        self.keys, self.values = {}, {}
        value = self._node(event or next(self._events), path)
        self.keys, self.values = positions
        return value

    def _key(self, event: yaml.Event, path: Path) -> str | None:
        """Return a key as written; None for an invalid key, which is skipped."""
        self.reached = (path, _mark(event))
        if not isinstance(event, yaml.ScalarEvent):
            self.flaw(_mark(event), path, "a key must be a word, but got a list or mapping.")
            n_flaws = len(self.flaws)
            if not isinstance(event, yaml.AliasEvent):
                self._aside(path, event)
            del self.flaws[n_flaws:]  # flaws of what is skipped
            return None
        self._anchors[event.anchor] = _Anchored(event.value)
        if not event.value.strip():
            self.flaw(_mark(event), path, "a key must be a plain word.")
            return None
        if event.tag is not None or event.anchor is not None:
            self.flaw(_mark(event), (*path, event.value), "a key must be a plain word.")
        return event.value

    def flaw(
        self, mark: TextPosition, path: Path, message: str, *, unreadable: bool = False
    ) -> None:
        self.flaws.append(Flaw(path, mark, message, unreadable))


def _mark(event: yaml.Event) -> TextPosition:
    mark = event.start_mark
    return TextPosition(mark.line + 1, mark.column + 1) if mark else NOWHERE


def _events(text: str) -> Iterator[yaml.Event]:
    """Yield PyYAML's events, and reword its errors."""
    if len(text) > LARGEST_TEXT:
        size = f"{len(text):,} characters"
        raise _UnreadableError(f"a study file has at most 1,000,000 characters, but got {size}.")
    try:
        yield from yaml.parse(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        mark = TextPosition(before.count("\n") + 1, len(before) - before.rfind("\n"))
        message = f"the character U+{int(error.character):04X} is not allowed in a study file."
        raise _UnreadableError(message, mark) from None
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        position = TextPosition(at.line + 1, at.column + 1) if at else None
        raise _UnreadableError(_yaml_words(error), position) from None
    except (ValueError, OverflowError):
        # An escape such as "\UFFFFFFFF", or a %YAML directive with a huge number.
        message = "invalid YAML: an escape or directive contains a number that is out of range."
        raise _UnreadableError(message) from None


def _yaml_words(error: yaml.MarkedYAMLError) -> str:
    what = error.problem or error.context or "it cannot be read"
    if "'\\t'" in what:
        return "a line must not begin with a tab. Indent with spaces."
    if "mapping values are not allowed" in what:
        causes = "a line has a second `:`, or is indented further than the line above"
        return f"invalid YAML: {causes}. Quote the text, or align the line with the one above."
    advice = "Check the indentation, brackets, quotes, and the space after each colon."
    return f"invalid YAML: {what}. {advice}"
