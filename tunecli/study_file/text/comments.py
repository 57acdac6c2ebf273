"""Change the content of a study file's text, but keep its comments, notation and order.

Only what differs is replaced, at its position in the text. If the result does not read back as the
wanted data, the file is written anew, without comments.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import yaml

from tunecli.errors import StudyFileError
from tunecli.study_file.text.document import DEEPEST, Document, Path
from tunecli.study_file.text.dump import flow, to_text

WIDTH = 99

Span = tuple[int, int]
"""Start and end in a text."""


def rewritten(text: str, data: dict[str, Any]) -> str:
    """Return text that reads back as `data`, as similar to `text` as possible.

    Args:
        text: a study file.
        data: plain data, whose keys that are in `text` have the same order.
    """
    with suppress(StudyFileError, yaml.YAMLError, LookupError, ValueError, AttributeError):
        passes: list[str] = []
        # An option that replaces its choice changes in the next pass; an anchor that differs from
        # its alias would change for ever.
        while text not in passes and len(passes) < DEEPEST:
            if _reads_as(text, data):
                return text
            passes.append(text)
            text = _Editor(text).edited(data)
    return to_text(data)


def with_first(text: str, key: str) -> str:
    """Return the study file with one of its sections before all others, its comments with it."""
    document = Document.parse(text, "")
    data = document.data
    if key not in data or next(iter(data)) == key:
        return text
    first, at = (document.mark((k,), of_key=True).line - 1 for k in (next(iter(data)), key))
    lines, start = text.splitlines(), at
    while start - 1 > first and lines[start - 1].startswith("#"):
        start -= 1
    moved = [*lines[:first], *lines[start : at + 1], *lines[first:start], *lines[at + 1 :]]
    wanted = {key: data[key], **data}
    if _reads_as(together := "\n".join(moved) + "\n", wanted):
        return together
    rest = {name: value for name, value in data.items() if name != key}
    return rewritten(rewritten(text, rest), wanted)


def annotated(text: str, notes: Mapping[Path, Sequence[str]]) -> str:
    """Return the study file with comments, each once above the line that it describes."""
    document = Document.parse(text, "")
    lines = text.splitlines()
    above: dict[int, dict[str, None]] = {}
    for path, sentences in notes.items():
        line = document.mark(path, of_key=True).line - 1
        above.setdefault(line, {}).update(dict.fromkeys(sentences))
    with_notes: list[str] = []
    for index, below in enumerate(lines):
        indent = " " * (len(below) - len(below.lstrip()))
        for sentence in above.get(index, ()):
            with_notes += comment_lines(sentence, indent)
        with_notes.append(below)
    commented = "\n".join(with_notes) + "\n"
    return commented if _reads_as(commented, document.data) else text


def comment_lines(sentence: str, indent: str = "") -> list[str]:
    """Return a sentence as comment lines of a study file."""
    return textwrap.wrap(
        " ".join(sentence.split()),
        WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _reads_as(text: str, data: Any) -> bool:
    try:
        read = Document.parse(text, "")
    except StudyFileError:
        return False
    return not read.flaws and _equal(read.data, data)


def _equal(one: Any, other: Any) -> bool:
    """Return whether plain data is equal and has the same order; 1, 1.0 and true differ."""
    return json.dumps(one) == json.dumps(other)


class _Editor:
    """One pass over a text, which collects edits: a span of the text and what replaces it."""

    def __init__(self, text: str) -> None:
        self._text = text if text.endswith("\n") else f"{text}\n"
        self._edits: list[tuple[int, int, str]] = []

    def edited(self, data: dict[str, Any]) -> str:
        root = yaml.compose(self._text, Loader=yaml.SafeLoader)
        self._change(root, Document.parse(self._text, "").data, data)
        text = self._text
        for start, end, new in sorted(self._edits, key=lambda edit: edit[:2])[::-1]:
            text = text[:start] + new + text[end:]
        return text

    def _change(self, node: yaml.Node | None, old: Any, new: Any) -> bool:
        """Edit a value where it differs; return False if it must be replaced as a whole."""
        if isinstance(node, yaml.MappingNode) and isinstance(new, dict) and old and new:
            self._mapping(node, old, new)
            return True
        if isinstance(node, yaml.SequenceNode) and isinstance(new, list):
            return self._sequence(node, old, new)
        return _equal(old, new)

    def _mapping(self, node: yaml.MappingNode, old: dict[str, Any], new: dict[str, Any]) -> None:
        spans = {key.value: (key.start_mark.index, self._end(value)) for key, value in node.value}
        between = ", " if node.flow_style else f"\n{' ' * node.value[0][0].start_mark.column}"
        written = {key: _entry(key, value, between) for key, value in new.items()}
        known = [key for key in spans if key in new]
        if not known:
            text = self._option(node, new) or between.join(written.values())
            self._edits.append((min(spans.values())[0], max(spans.values())[1], text))
            return
        self._remove(spans, new, is_flow=node.flow_style)
        for key, value in node.value:
            if key.value in new and not self._change(value, old[key.value], new[key.value]):
                self._edits.append(self._replaced(key, value, written[key.value]))
        at, is_first = spans[known[0]][0], True
        for key, entry in written.items():
            if key in spans:
                end = spans[key][1]
                at, is_first = end if node.flow_style else self._text.index("\n", end), False
            else:  # after the entry before it, if there is one
                both = f"{entry}{between}" if is_first else f"{between}{entry}"
                self._edits.append((at, at, both))

    def _replaced(self, key: yaml.Node, value: yaml.Node, entry: str) -> tuple[int, int, str]:
        """Return the edit of a whole entry; in a block, the comment after its key stays."""
        start, end = key.start_mark.index, self._end(value)
        if value.start_mark.line == key.end_mark.line:
            return start, end, entry
        beside = self._text[key.end_mark.index : self._text.index("\n", start)]
        _, mark, comment = beside.partition(" #")
        first, *others = entry.split("\n")
        lines = [f"{first}{' ' * 3 if mark else ''}{mark.strip()}{comment}", *others]
        return start, self._text.index("\n", end), "\n".join(lines)

    def _sequence(self, node: yaml.SequenceNode, old: list[Any], new: list[Any]) -> bool:
        kept = _kept(old, new)
        spans = {i: (item.start_mark.index, self._end(item)) for i, item in enumerate(node.value)}
        if kept:
            self._remove(spans, kept, is_flow=node.flow_style)
        for index, value in zip(kept, new, strict=False):
            if not self._change(node.value[index], old[index], value):
                self._edits.append((*spans[index], flow(value)))
        return bool(kept) or old == new

    def _remove(self, spans: Mapping[Any, Span], kept: Collection[Any], *, is_flow: bool) -> None:
        """Remove all entries but some: in a block with their lines, else with their commas."""
        is_kept = [key in kept for key in spans]
        places = [*spans.values()]
        for index, (start, end) in enumerate(places):
            if is_kept[index]:
                continue
            if not is_flow:
                start, end = self._text.rfind("\n", 0, start) + 1, self._text.index("\n", end) + 1
            elif any(is_kept[index:]):
                end = places[index + 1][0]
            else:
                start = places[index - 1][1]
            self._edits.append((start, end, ""))

    def _option(self, node: yaml.MappingNode, new: dict[str, Any]) -> str:
        """Return the text of the option that replaces its choice; empty if there is none."""
        choice, options = node.value[0]
        if choice.value != "choice" or not isinstance(options, yaml.MappingNode):
            return ""
        for key, value in options.value:
            if [key.value] == [*new]:
                deeper = key.start_mark.column - choice.start_mark.column
                text = self._text[key.start_mark.index : self._end(value)]
                return text.replace(f"\n{' ' * deeper}", "\n")
        return ""

    def _end(self, node: yaml.Node) -> int:
        """Return where the text of a value ends, before comments that follow it."""
        while isinstance(node, yaml.CollectionNode) and not node.flow_style:
            last = node.value[-1]
            node = last[1] if isinstance(node, yaml.MappingNode) else last
        end = int(node.end_mark.index)
        is_block = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
        return len(self._text[:end].rstrip("\n")) if is_block else end  # else the line below


def _entry(key: str, value: Any, between: str) -> str:
    """Return an entry of a mapping: on one line if it is short, or is inside one."""
    if between == ", " or len(str(value)) <= WIDTH:
        return f"{flow(key)}: {flow(value)}"
    return to_text({key: value}).rstrip("\n").replace("\n", between)


def _kept(old: list[Any], new: list[Any]) -> list[int]:
    """Return indices of the items to keep and to change; none if the list is written anew."""
    kept: list[int] = []
    for index, item in enumerate(old):
        if len(kept) < len(new) and _equal(item, new[len(kept)]):
            kept.append(index)
    if len(kept) == len(new):
        return kept
    return [*range(len(old))] if len(old) == len(new) else []
