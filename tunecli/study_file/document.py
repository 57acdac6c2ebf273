"""YAML text as plain data that remembers the line and column of every key and value.

Stricter than PyYAML's `safe_load`: YAML 1.2 numbers and booleans, no duplicate keys, no tags, no
endless or exploding aliases, limits on size and depth. Keys are always text, as written. Built on
PyYAML's events, so that depth is bounded before anything recurses.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from tunecli.errors import Problem, StudyFileError
from tunecli.study_file.scalars import read_scalar

Path = tuple[str | int, ...]
"""Where in a document: keys and list indices from the root."""

LARGEST_TEXT = 1_000_000
DEEPEST = 40
MOST_NODES = 50_000


@dataclass(frozen=True)
class Mark:
    """A place in the text, both counted from 1; zeros for what is not in the text."""

    line: int
    column: int


NOWHERE = Mark(0, 0)


@dataclass(frozen=True)
class Document:
    """Plain data (dict, list, str, int, float, bool, None) and where each part stands.

    Attributes:
        keys: of each mapping entry, the place of its key.
        values: of each entry, the place of its value; for a mapping or list below a key, the
            place of that key, which is where a reader looks.
    """

    data: Any
    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, file: str) -> Document:
        """Read a study file's text.

        Raises:
            StudyFileError: it is not YAML, or not plain data.
        """
        composer = _Composer()
        try:
            document = composer.document(text)
        except _UnreadableError as error:
            raise StudyFileError(file, [*composer.problems, error.problem]) from None
        if composer.problems:
            raise StudyFileError(file, composer.problems)
        return document

    def mark(self, path: Path, *, of_key: bool = False) -> Mark:
        """The place of `path`, or else of the nearest part that contains it."""
        if of_key and path in self.keys:
            return self.keys[path]
        for length in range(len(path), 0, -1):
            if path[:length] in self.values:
                return self.values[path[:length]]
        return NOWHERE


def dotted(path: Path) -> str:
    """`optimizer.SGD.lr`, `model.MLP.width[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class _UnreadableError(Exception):
    """Reading cannot go on behind this problem."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(mark.line, mark.column, "", message)


_OPEN = object()
"""Stands for an anchored value that is still being read: an alias to it would be endless."""


class _Composer:
    """Builds a document from PyYAML's events."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._keys: dict[Path, Mark] = {}
        self._values: dict[Path, Mark] = {}
        self._anchors: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}
        self._n_nodes = 0

    def document(self, text: str) -> Document:
        if len(text) > LARGEST_TEXT:
            size = f"{len(text):,} characters"
            raise _UnreadableError(NOWHERE, f"a study file has at most 1,000,000, but got {size}.")
        self._events = _events(text)
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return Document(None)
        data = self._node(next(self._events), ())
        next(self._events)  # the document's end
        second = next(self._events)
        if not isinstance(second, yaml.StreamEndEvent):
            message = "a study file holds one document. Remove `---` and what follows it."
            raise _UnreadableError(_mark(second), message)
        return Document(data, self._keys, self._values)

    def _node(self, event: yaml.Event, path: Path) -> Any:
        self._n_nodes += 1
        self._check_limits(event, path)
        self._values.setdefault(path, _mark(event))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # what is left
        if event.tag is not None:
            message = f"only plain data is read, but got the tag {event.tag}. Remove it."
            self._problem(event, path, message)
        before = self._n_nodes
        self._remember(event.anchor, _OPEN, 0)
        data = self._content(event, path)
        self._remember(event.anchor, data, self._n_nodes - before + 1)
        return data

    def _content(self, event: yaml.Event, path: Path) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _check_limits(self, event: yaml.Event, path: Path) -> None:
        if len(path) > DEEPEST:
            message = f"a study file is nested at most {DEEPEST} deep."
            raise _UnreadableError(_mark(event), message)
        if self._n_nodes > MOST_NODES:
            message = f"a study file holds at most {MOST_NODES:,} values, aliases counted."
            raise _UnreadableError(_mark(event), message)

    def _remember(self, anchor: str | None, data: Any, size: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = data
            self._sizes[anchor] = size

    def _alias(self, event: yaml.AliasEvent) -> Any:
        anchor = str(event.anchor)
        data = self._anchors.get(anchor, self)
        if data is self:
            message = f"no `&{anchor}` stands before `*{anchor}`."
            raise _UnreadableError(_mark(event), message)
        if data is _OPEN:
            message = f"`*{anchor}` stands inside what it stands for, which never ends."
            raise _UnreadableError(_mark(event), message)
        self._n_nodes += self._sizes[anchor]
        self._check_limits(event, ())
        return copy.deepcopy(data)

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> Any:
        if event.style is not None:  # quoted, or a block of text
            return event.value
        try:
            return read_scalar(event.value)
        except ValueError as error:
            self._problem(event, path, f"{error}.")
            return 0

    def _sequence(self, path: Path) -> list[Any]:
        data: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            data.append(self._node(event, (*path, len(data))))
        return data

    def _mapping(self, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            below = (*path, key)
            repeated = key in data
            if repeated:
                first = self._keys[below].line
                message = f"this key stands on line {first} already. Remove one of the two."
                self._problem(event, below, message)
            else:
                self._keys[below] = _mark(event)
            value_event = next(self._events)
            if isinstance(value_event, yaml.CollectionStartEvent):
                self._values.setdefault(below, _mark(event))
            value = self._node(value_event, below)
            if not repeated:
                data[key] = value
        return data

    def _key(self, event: yaml.Event, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise _UnreadableError(
                _mark(event), "a key must be a word, but got a list or mapping."
            )
        if not event.value.strip() or event.tag is not None or event.anchor is not None:
            self._problem(event, path, "a key must be a plain word.")
        if event.value == "<<" and event.style is None:
            message = "`<<` merges mappings in YAML 1.1, not in YAML 1.2. Write the keys out."
            self._problem(event, path, message)
        return str(event.value)

    def _problem(self, event: yaml.Event, path: Path, message: str) -> None:
        mark = _mark(event)
        self.problems.append(Problem(mark.line, mark.column, dotted(path), message))


def _mark(event: yaml.Event) -> Mark:
    place = event.start_mark
    return Mark(place.line + 1, place.column + 1) if place else NOWHERE


def _events(text: str) -> Iterator[yaml.Event]:
    """PyYAML's events, its errors in our words."""
    try:
        yield from yaml.parse(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        mark = Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
        message = f"the character U+{int(error.character):04X} may not stand in a study file."
        raise _UnreadableError(mark, message) from None
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        raise _UnreadableError(
            Mark(place.line + 1, place.column + 1) if place else NOWHERE, _yaml_words(error)
        ) from None
    except (ValueError, OverflowError):
        # An escape such as "\UFFFFFFFF", or a %YAML directive with a huge number.
        message = "this is not YAML: an escape or a directive holds a number out of range."
        raise _UnreadableError(NOWHERE, message) from None


def _yaml_words(error: yaml.MarkedYAMLError) -> str:
    what = error.problem or error.context or "it cannot be read"
    if "'\\t'" in what:
        return "a line may not begin with a tab. Indent with spaces."
    if "mapping values are not allowed" in what:
        causes = "a second `:` on one line, or a line that is indented further than the one above"
        return (
            f"this is not YAML: {causes}. Quote the text, or begin the line where that one does."
        )
    advice = "Look at indentation, brackets, quotes, and the space behind each colon."
    return f"this is not YAML: {what}. {advice}"
