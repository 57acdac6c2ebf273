"""A study file's text with other content, its comments and its order kept.

ruamel.yaml carries comments through. It joins flow mappings that go over several lines, and drops
comments inside them; where what it writes would not read as what is wanted, the file is written
anew, without comments.
"""

from __future__ import annotations

import copy
import io
import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark, YAMLError
from ruamel.yaml.tokens import CommentToken

from tunecli.errors import StudyFileError
from tunecli.study_file.text.document import Document, Path
from tunecli.study_file.text.dump import to_text

WIDTH = 99
_AFTER_VALUE = 2  # where ruamel keeps the comment behind a key's value


def rewritten(text: str, data: dict[str, Any]) -> str:
    """Text that reads as `data`, as like `text` as may be.

    Args:
        text: a study file.
        data: plain data, its keys in the order of `text` where they stand there.
    """
    yaml = _yaml()
    out = io.StringIO()
    try:
        tree = yaml.load(text)
        if isinstance(tree, CommentedMap):
            _update(tree, data)
            yaml.dump(tree, out)
            if _reads_as(out.getvalue(), data):
                return out.getvalue()
    except (YAMLError, ValueError, TypeError, LookupError, AttributeError, NotImplementedError):
        pass  # what ruamel cannot do, as with keys that are no words
    return to_text(data)


def annotated(text: str, notes: Mapping[Path, Sequence[str]]) -> str:
    """The same study file with comments, each above the line of what it is about."""
    document = Document.parse(text, "")
    lines = text.splitlines()
    above: dict[int, list[str]] = {}
    for path, sentences in notes.items():
        line = document.mark(path, of_key=True).line - 1
        indent = " " * (len(lines[line]) - len(lines[line].lstrip()))
        for sentence in sentences:
            above.setdefault(line, []).extend(
                textwrap.wrap(
                    " ".join(sentence.split()),
                    WIDTH,
                    initial_indent=f"{indent}# ",
                    subsequent_indent=f"{indent}#   ",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
            )
    with_notes = [x for index, line in enumerate(lines) for x in (*above.get(index, ()), line)]
    found = "\n".join(with_notes) + "\n"
    return found if _reads_as(found, document.data) else text


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10**6
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    return yaml


def _reads_as(text: str, data: Any) -> bool:
    try:
        read = Document.parse(text, "")
    except StudyFileError:
        return False
    return not read.flaws and json.dumps(read.data) == json.dumps(data)  # the order counts, too


def _update(old: CommentedMap, new: Mapping[str, Any]) -> None:
    """Make a mapping of the text hold `new`, touching only what differs.

    A comment below an entry that goes is on what follows: it moves to the entry before.
    """
    behind = _below(old, [*old][-1]) if old else ""
    removed = {}
    for index, key in reversed([*enumerate(old)]):
        if key not in new:
            below = _below(old, key)
            removed[key] = old.pop(key)
            if index > 0:
                _move_below(old, [*old][index - 1], below)
    for index, (key, value) in enumerate(new.items()):
        inside = removed.get("choice")
        if key not in old and isinstance(inside, CommentedMap) and key in inside:
            old.insert(index, key, inside[key])  # an option takes the place of its choice
        if key in old:
            _put(old, key, value)
        else:
            old.insert(index, key, _fresh(value))
    if old and not _below(old, [*old][-1]):
        _move_below(old, [*old][-1], behind)


def _put(place: CommentedMap | CommentedSeq, key: Any, value: Any) -> None:
    present = place[key]
    if isinstance(present, CommentedMap) and isinstance(value, dict) and value:
        _update(present, value)
    elif isinstance(present, CommentedSeq) and isinstance(value, list):
        for index in reversed(_dropped(present, value)):
            del present[index]
        if len(present) == len(value):
            for index, item in enumerate(value):
                _put(present, index, item)
        else:
            place[key] = _fresh(value)
    elif not _equal(present, value):
        place[key] = _fresh(value)


def _dropped(present: CommentedSeq, wanted: list[Any]) -> list[int]:
    """Which items are not wanted, where the others are, in their order; else none."""
    left = [*wanted]
    dropped = []
    for index, item in enumerate(present):
        if left and _equal(item, left[0]):
            left.pop(0)
        else:
            dropped.append(index)
    return [] if left else dropped


def _equal(present: Any, value: Any) -> bool:
    """Whether what the text has is this plain data; ruamel's values are children of Python's."""
    return json.dumps(present) == json.dumps(value)


def _fresh(value: Any) -> Any:
    """New data, short mappings and lists on one line."""
    if isinstance(value, dict):
        mapping = CommentedMap((key, _fresh(inside)) for key, inside in value.items())
        if len(str(value)) <= WIDTH:
            mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list):
        sequence = CommentedSeq(_fresh(item) for item in value)
        if len(str(value)) <= WIDTH:
            sequence.fa.set_flow_style()
        return sequence
    return copy.deepcopy(value)


def _below(place: CommentedMap, key: str) -> str:
    """Empty lines and comments between an entry and what follows it."""
    holder, last = _last(place, key)
    comment = holder.ca.items.get(last, [None] * 4)[_AFTER_VALUE]
    return comment.value.partition("\n")[2] if isinstance(comment, CommentToken) else ""


def _move_below(place: CommentedMap, key: str, text: str) -> None:
    if not text:
        return
    holder, last = _last(place, key)
    entry = holder.ca.items.setdefault(last, [None] * 4)
    comment = entry[_AFTER_VALUE]
    first = comment.value.partition("\n")[0] if isinstance(comment, CommentToken) else ""
    mark = comment.start_mark if isinstance(comment, CommentToken) else CommentMark(0)
    entry[_AFTER_VALUE] = CommentToken(f"{first}\n{text}", mark, None)


def _last(place: CommentedMap, key: str) -> tuple[CommentedMap, str]:
    """Where the text of an entry ends: the last entry of the innermost mapping inside."""
    while isinstance(place[key], CommentedMap) and place[key] and not place[key].fa.flow_style():
        place = place[key]
        key = [*place][-1]
    return place, key
