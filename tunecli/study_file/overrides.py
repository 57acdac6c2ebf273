"""`--set path=value`: settings from the command line, put into a document before it is read."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tunecli.errors import Problem, StudyFileError
from tunecli.study_file.document import NOWHERE, Document, Path
from tunecli.study_file.plain import inline

_STEP = re.compile(r"\.?([^.\[\]=]+)|\[([0-9]{1,6})\]")


class _OverrideError(Exception):
    """An override that cannot be put anywhere; the text says why."""


def with_overrides(document: Document, overrides: Sequence[str]) -> tuple[Document, list[Problem]]:
    """The document with each `path=value` put in; what is put in has no place in the text.

    Returns:
        The document, and what is wrong with those overrides that could not be put in.
    """
    problems: list[Problem] = []
    for override in overrides:
        path, equals, text = override.partition("=")
        try:
            if not equals:
                raise _OverrideError(f"--set takes path=value, but got {inline(override)}.")
            value = Document.parse(text, "--set").data
            document = _with_value(document, _steps(path), value)
        except _OverrideError as error:
            problems.append(Problem(0, 0, path.strip(), str(error)))
        except StudyFileError as error:
            message = f"--set {override}: {error.problems[0].message}"
            problems.append(Problem(0, 0, path.strip(), message))
    return document, problems


def _steps(path: str) -> Path:
    steps: list[str | int] = []
    position = 0
    while match := _STEP.match(path, position):
        word, index = match.groups()
        steps.append(word.strip() if word is not None else int(index))
        position = match.end()
    if position < len(path) or not steps or steps[0] == "" or isinstance(steps[0], int):
        raise _OverrideError(f"a path is written as training.epochs, but got {inline(path)}.")
    return tuple(steps)


def _with_value(document: Document, steps: Path, value: Any) -> Document:
    data = copy.deepcopy(document.data)
    path = _put(data, steps, value)

    def outside(at: Path) -> bool:
        return at[: len(path)] != path

    keys = {at: mark for at, mark in document.keys.items() if outside(at)}
    values = {at: mark for at, mark in document.values.items() if outside(at)}
    return Document(data, {**keys, path: NOWHERE}, {**values, path: NOWHERE})


def _put(data: dict[str, Any], steps: Path, value: Any) -> Path:
    """Put `value` in, and return where it went: choices need not be named in `steps`."""
    node: Any = data
    path: Path = ()
    for step, following in pairwise(steps):
        node, path = _through_choice(node, path, step)
        _check_step(node, path, step)
        path = (*path, step)
        present = node.get(step) if isinstance(node, dict) else node[step]
        node[step] = node = _opened(present, path, following)
    node, path = _through_choice(node, path, steps[-1])
    _check_step(node, path, steps[-1])
    node[steps[-1]] = value
    return (*path, steps[-1])


def _opened(node: Any, path: Path, following: str | int) -> Any:
    """What stands at `path` as something that can hold more: `AdamW` is `{AdamW: {}}`."""
    if isinstance(node, dict | list):
        return node
    if isinstance(node, str) and path == ("data",):
        return {"source": node}
    if node is None or node == "none":
        return {}
    if isinstance(node, str) and node == following:
        return {node: {}}
    where = ".".join(map(str, path))
    raise _OverrideError(f"{where} is {inline(node)}, which holds no settings.")


def _through_choice(node: Any, path: Path, step: str | int) -> tuple[Any, Path]:
    """Step into a choice if one of its options is meant."""
    options = node.get("choice") if isinstance(node, dict) and step not in node else None
    if isinstance(options, dict) and step in options:
        return options, (*path, "choice")
    if isinstance(options, list):
        for index, option in enumerate(options):
            if option == step:
                options[index] = option = {step: {}}
            if isinstance(option, dict) and step in option:
                return option, (*path, "choice", index)
    return node, path


def _check_step(node: Any, path: Path, step: str | int) -> None:
    where = ".".join(map(str, path)) or "a study file"
    if isinstance(node, list):
        if not isinstance(step, int) or step >= len(node):
            raise _OverrideError(f"{where} is a list of {len(node)} items, and has no [{step}].")
    elif isinstance(step, int):
        raise _OverrideError(f"{where} is no list, so [{step}] leads nowhere.")
