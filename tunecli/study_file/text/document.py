"""YAML text as plain data that remembers the line and column of every key and value.

Stricter than PyYAML's `safe_load`: YAML 1.2 numbers and booleans, no duplicate keys, no tags, no
endless or exploding aliases, limits on size and depth. Keys are always text, as written. Built on
PyYAML's events, so that depth is bounded before anything recurses.

Reading goes on behind a mistake wherever it can: of a repeated key the first one counts, and
something likely stands in for a value that cannot be read.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from tunecli.errors import Problem, StudyFileError
from tunecli.study_file.text.scalars import read_scalar

Path = tuple[str | int, ...]
"""Where in a document: keys and list indices from the root."""

LARGEST_TEXT = 1_000_000
"""Characters of a study file."""
LARGEST_FILE = 4 * LARGEST_TEXT
"""Bytes of a study file: a character takes at most four."""
DEEPEST = 40
MOST_NODES = 50_000


@dataclass(frozen=True)
class TextPosition:
    """A place in the text, both counted from 1; zeros for what is not in the text.

    Attributes:
        override: the `path=value` of the command line that stands there in place of the text.
    """

    line: int
    column: int
    override: str = ""


NOWHERE = TextPosition(0, 0)
START = TextPosition(1, 1)


@dataclass(frozen=True)
class Flaw:
    """A mistake of the text, whatever it means.

    Attributes:
        unreadable: something stands in for the value at `path`, so nothing else can be said of it.
    """

    path: Path
    mark: TextPosition
    message: str
    unreadable: bool = False

    @property
    def problem(self) -> Problem:
        """The same as an error tells it."""
        mark = self.mark
        return Problem(mark.line, mark.column, dotted(self.path), self.message, mark.override)


@dataclass(frozen=True)
class Document:
    """Plain data (dict, list, str, int, float, bool, None) and where each part stands.

    Attributes:
        keys: of each mapping entry, the place of its key.
        values: of each entry, the place of its value; for a mapping or list below a key, the
            place of that key, which is where a reader looks.
        flaws: what is wrong with the text, in its order.
    """

    data: Any
    keys: dict[Path, TextPosition] = field(default_factory=dict)
    values: dict[Path, TextPosition] = field(default_factory=dict)
    flaws: tuple[Flaw, ...] = ()

    @classmethod
    def parse(cls, text: str, file: str) -> Document:
        """Read a study file's text; what is wrong with parts of it is in `flaws`.

        Raises:
            StudyFileError: it is not YAML, or too large.
        """
        composer = _Composer()
        try:
            return composer.document(text)
        except _UnreadableError as error:
            found = [flaw.problem for flaw in (*composer.flaws, error.flaw)]
            raise StudyFileError(file, found) from None

    def renamed(self, key: str, name: str) -> Document:
        """The same with what stands at the outermost `key` standing at `name`, too.

        The key stays where it is, for messages.
        """
        below = {at: (name, *at[1:]) for at in self.values if at[:1] == (key,)}
        return replace(
            self,
            data={name if k == key else k: value for k, value in self.data.items()},
            keys=self.keys | {below[at]: self.keys[at] for at in below if at in self.keys},
            values=self.values | {below[at]: self.values[at] for at in below},
        )

    def holds(self, path: Path) -> bool:
        """Whether something was written at `path`."""
        return path in self.values

    def mark(self, path: Path, *, of_key: bool = False) -> TextPosition:
        """The place of `path`, or else of the nearest part that contains it."""
        if of_key and path in self.keys:
            return self.keys[path]
        for length in range(len(path), 0, -1):
            if path[:length] in self.values:
                return self.values[path[:length]]
        return START


def dotted(path: Path) -> str:
    """`optimizer.SGD.lr`, `model.MLP.width[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class _UnreadableError(Exception):
    """Reading cannot go on behind this flaw."""

    def __init__(self, path: Path, mark: TextPosition, message: str) -> None:
        super().__init__(message)
        self.flaw = Flaw(path, mark, message)


class _SyntaxError(Exception):
    """PyYAML gives up at this place."""

    def __init__(self, mark: TextPosition | None, message: str) -> None:
        super().__init__(message)
        self.mark = mark
        self.message = message


_STAND_IN = 1e300
"""For a number that cannot be read: an end of a range, if it is one, and no other option."""

_OPEN = object()
"""Stands for an anchored value that is still being read: an alias to it would be endless."""


@dataclass(frozen=True)
class _Anchored:
    """What an alias stands for: how many nodes, and how many levels below the first one."""

    data: Any
    n_nodes: int = 1
    height: int = 0


class _Composer:
    """Builds a document from PyYAML's events."""

    def __init__(self) -> None:
        self.flaws: list[Flaw] = []
        self._keys: dict[Path, TextPosition] = {}
        self._values: dict[Path, TextPosition] = {}
        self._anchors: dict[str, _Anchored] = {}
        self._n_nodes = 0
        self._depth = -1  # of the node that is read now; keys count, too
        self._deepest = 0
        self._reached: tuple[Path, TextPosition] = ((), START)

    def document(self, text: str) -> Document:
        if len(text) > LARGEST_TEXT:
            size = f"{len(text):,} characters"
            message = f"a study file has at most 1,000,000 characters, but got {size}."
            raise _UnreadableError((), START, message)
        self._events = _events(text)
        try:
            data = self._root()
        except _SyntaxError as error:
            path, mark = self._reached
            raise _UnreadableError(path, error.mark or mark, error.message) from None
        return Document(data, self._keys, self._values, tuple(self.flaws))

    def _root(self) -> Any:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        data = self._node(next(self._events), ())
        next(self._events)  # the document's end
        second = next(self._events)
        if not isinstance(second, yaml.StreamEndEvent):
            message = "a study file holds one document. Remove `---` and what follows it."
            self._flaw(second, (), message)
        return data

    def _node(self, event: yaml.Event, path: Path) -> Any:
        self._reached = (path, _mark(event))
        self._depth += 1
        self._grow(event, path, n_nodes=1, height=0)
        self._values.setdefault(path, _mark(event))
        if isinstance(event, yaml.AliasEvent):
            data = self._alias(event, path)
        else:
            data = self._anchored(event, path)
        self._depth -= 1
        return data

    def _anchored(self, event: yaml.Event, path: Path) -> Any:
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # what is left
        if event.tag is not None:
            message = f"only plain data is read, but got the tag {event.tag}. Remove it."
            is_scalar = isinstance(event, yaml.ScalarEvent)
            self._flaw(event, path, message, unreadable=is_scalar)
        before, deepest = self._n_nodes, self._deepest
        self._deepest = self._depth
        self._remember(event.anchor, _Anchored(_OPEN))
        data = self._content(event, path)
        n_nodes, height = self._n_nodes - before + 1, self._deepest - self._depth
        self._remember(event.anchor, _Anchored(data, n_nodes, height))
        self._deepest = max(deepest, self._deepest)
        return data

    def _content(self, event: yaml.Event, path: Path) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _grow(self, event: yaml.Event, path: Path, *, n_nodes: int, height: int) -> None:
        """Count what stands here, within the limits."""
        self._n_nodes += n_nodes
        self._deepest = max(self._deepest, self._depth + height)
        if self._depth + height > DEEPEST:
            message = f"a study file is nested at most {DEEPEST} deep."
            raise _UnreadableError(path, _mark(event), message)
        if self._n_nodes > MOST_NODES:
            message = f"a study file holds at most {MOST_NODES:,} values, aliases counted."
            raise _UnreadableError(path, _mark(event), message)

    def _remember(self, anchor: str | None, anchored: _Anchored) -> None:
        if anchor is not None:
            self._anchors[anchor] = anchored

    def _alias(self, event: yaml.AliasEvent, path: Path) -> Any:
        anchor = str(event.anchor)
        anchored = self._anchors.get(anchor)
        if anchored is None:
            message = f"no `&{anchor}` stands before `*{anchor}`."
            self._flaw(event, path, message, unreadable=True)
            return None
        if anchored.data is _OPEN:
            message = f"`*{anchor}` stands inside what it stands for, which never ends."
            self._flaw(event, path, message, unreadable=True)
            return None
        self._grow(event, path, n_nodes=anchored.n_nodes, height=anchored.height)
        return copy.deepcopy(anchored.data)

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> Any:
        if event.style is not None:  # quoted, or a block of text
            return event.value
        try:
            return read_scalar(event.value)
        except ValueError as error:
            self._flaw(event, path, f"{error}.", unreadable=True)
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
                self._flaw(event, (*path, key), message)
                value = self._aside(path)
                merged |= value if isinstance(value, dict) else {}
            elif key in data:
                first = self._keys[(*path, key)].line
                message = f"this key stands on line {first} already. Remove one of the two."
                self._flaw(event, (*path, key), message)
                self._aside((*path, key))
            else:
                data[key] = self._entry(event, (*path, key))
        return merged | data

    def _entry(self, event: yaml.Event, path: Path) -> Any:
        self._keys[path] = _mark(event)
        value_event = next(self._events)
        if isinstance(value_event, yaml.CollectionStartEvent):
            self._values.setdefault(path, _mark(event))
        return self._node(value_event, path)

    def _aside(self, path: Path, event: yaml.Event | None = None) -> Any:
        """Read what has no place in the document, or whose place another has taken.

        Args:
            event: with which it begins; the next one if it is not given.
        """
        kept = self._keys, self._values
        self._keys, self._values = {}, {}
        value = self._node(event or next(self._events), path)
        self._keys, self._values = kept
        return value

    def _key(self, event: yaml.Event, path: Path) -> str | None:
        """A key as written; None for what cannot be one, which is read over."""
        self._reached = (path, _mark(event))
        if not isinstance(event, yaml.ScalarEvent):
            self._flaw(event, path, "a key must be a word, but got a list or mapping.")
            n_flaws = len(self.flaws)
            if not isinstance(event, yaml.AliasEvent):
                self._aside(path, event)
            del self.flaws[n_flaws:]  # of what is read over
            return None
        self._remember(event.anchor, _Anchored(str(event.value)))
        if not event.value.strip():
            self._flaw(event, path, "a key must be a plain word.")
            return None
        if event.tag is not None or event.anchor is not None:
            self._flaw(event, (*path, str(event.value)), "a key must be a plain word.")
        return str(event.value)

    def _flaw(
        self, event: yaml.Event, path: Path, message: str, *, unreadable: bool = False
    ) -> None:
        self.flaws.append(Flaw(path, _mark(event), message, unreadable))


def _mark(event: yaml.Event) -> TextPosition:
    place = event.start_mark
    return TextPosition(place.line + 1, place.column + 1) if place else NOWHERE


def _events(text: str) -> Iterator[yaml.Event]:
    """PyYAML's events, its errors in our words."""
    try:
        yield from yaml.parse(text, Loader=yaml.SafeLoader)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        mark = TextPosition(before.count("\n") + 1, len(before) - before.rfind("\n"))
        message = f"the character U+{int(error.character):04X} may not stand in a study file."
        raise _SyntaxError(mark, message) from None
    except yaml.MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        where = TextPosition(place.line + 1, place.column + 1) if place else None
        raise _SyntaxError(where, _yaml_words(error)) from None
    except (ValueError, OverflowError):
        # An escape such as "\UFFFFFFFF", or a %YAML directive with a huge number.
        message = "this is not YAML: an escape or a directive holds a number out of range."
        raise _SyntaxError(None, message) from None


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
