"""Change the content of a study file's text, but keep its comments and order.

ruamel.yaml preserves comments, but it joins flow mappings of several lines and drops comments
inside them. If its output does not read back as the wanted data, the file is written anew, without
comments.
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
_AFTER_VALUE = 2  # index at which ruamel keeps the comment after a key's value


def rewritten(text: str, data: dict[str, Any]) -> str:
    """Return text that reads back as `data`, as similar to `text` as possible.

    Args:
        text: a study file.
        data: plain data, whose keys that are in `text` have the same order.
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
        pass  # ruamel cannot do this, for example with keys that are not words
    return to_text(data)


def annotated(text: str, notes: Mapping[Path, Sequence[str]]) -> str:
    """Return the study file with comments, each above the line that it describes."""
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
    commented = "\n".join(with_notes) + "\n"
    return commented if _reads_as(commented, document.data) else text


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
    return not read.flaws and json.dumps(read.data) == json.dumps(data)  # also compares the order


def _update(old: CommentedMap, new: Mapping[str, Any]) -> None:
    """Make a mapping of the text hold `new`, and change only what differs.

    A comment below a removed entry describes what follows, so it moves to the entry before.
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
            old.insert(index, key, inside[key])  # an option replaces its choice
        if key in old:
            _put(old, key, value)
        else:
            old.insert(index, key, _fresh(value))
    if old and not _below(old, [*old][-1]):
        _move_below(old, [*old][-1], behind)


def _put(parent: CommentedMap | CommentedSeq, key: Any, value: Any) -> None:
    present = parent[key]
    if isinstance(present, CommentedMap) and isinstance(value, dict) and value:
        _update(present, value)
    elif isinstance(present, CommentedSeq) and isinstance(value, list):
        for index in reversed(_dropped(present, value)):
            del present[index]
        if len(present) == len(value):
            for index, item in enumerate(value):
                _put(present, index, item)
        else:
            parent[key] = _fresh(value)
    elif not _equal(present, value):
        parent[key] = _fresh(value)


def _dropped(present: CommentedSeq, wanted: list[Any]) -> list[int]:
    """Return indices of items to drop, if the others are `wanted`, in order; otherwise none."""
    left = [*wanted]
    dropped = []
    for index, item in enumerate(present):
        if left and _equal(item, left[0]):
            left.pop(0)
        else:
            dropped.append(index)
    return [] if left else dropped


def _equal(present: Any, value: Any) -> bool:
    """Return whether a value equals plain data; ruamel's types are subclasses of Python's."""
    return json.dumps(present) == json.dumps(value)


def _fresh(value: Any) -> Any:
    """Return new data for ruamel, with short mappings and lists on one line."""
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


def _below(mapping: CommentedMap, key: str) -> str:
    """Return the empty lines and comments between an entry and what follows it."""
    holder, last = _last(mapping, key)
    comment = holder.ca.items.get(last, [None] * 4)[_AFTER_VALUE]
    return comment.value.partition("\n")[2] if isinstance(comment, CommentToken) else ""


def _move_below(mapping: CommentedMap, key: str, text: str) -> None:
    if not text:
        return
    holder, last = _last(mapping, key)
    entry = holder.ca.items.setdefault(last, [None] * 4)
    comment = entry[_AFTER_VALUE]
    first = comment.value.partition("\n")[0] if isinstance(comment, CommentToken) else ""
    mark = comment.start_mark if isinstance(comment, CommentToken) else CommentMark(0)
    entry[_AFTER_VALUE] = CommentToken(f"{first}\n{text}", mark, None)


def _last(mapping: CommentedMap, key: str) -> tuple[CommentedMap, str]:
    """Return where the text of an entry ends: the last entry of its innermost mapping."""
    while isinstance(inner := mapping[key], CommentedMap) and inner and not inner.fa.flow_style():
        mapping = inner
        key = [*mapping][-1]
    return mapping, key
