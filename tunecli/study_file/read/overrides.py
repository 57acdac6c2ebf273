"""`--set path=value`: settings from the command line, put into a document before it is read."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from tunecli.errors import Problem, StudyFileError
from tunecli.study_file.catalogue.names import Kind, canonical
from tunecli.study_file.text.document import NOWHERE, Document, Path, dotted
from tunecli.study_file.text.dump import flow, inline
from tunecli.study_file.text.suggestions import closest

_COMPONENTS: dict[str, Kind] = {
    "model": "model",
    "loss": "loss",
    "optimizer": "optimizer",
    "schedule": "schedule",
    "scale": "scale",
    "sampler": "sampler",
    "pruner": "pruner",
    "rest": "optimizer",
    "wrapped_pruner": "pruner",
}
"""Keys below which a component stands."""

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
                raise _OverrideError("an override must be path=value, such as training.epochs=3.")
            read = Document.parse(_quoted(text), "--set")
            document = _with_value(document, _steps(path), read, override)
        except _OverrideError as error:
            problems.append(_problem(override, path, str(error)))
        except StudyFileError as error:
            problems.append(_problem(override, path, error.problems[0].message))
    return document, problems


def _quoted(text: str) -> str:
    """Return a comma or an apostrophe alone, which is no YAML, as a text: `data.decimal=,`."""
    return f'"{text.strip()}"' if text.strip() in (",", "'") else text


def set_path(data: dict[str, Any], path: str, value: Any) -> Path:
    """Put a value into plain data as `--set path=value` does, and return where it went.

    Raises:
        ValueError: there is no such place; the text says why.
    """
    try:
        return _put(data, _steps(path), value)
    except _OverrideError as error:
        raise ValueError(str(error)) from None


def _problem(override: str, path: str, message: str) -> Problem:
    return Problem(0, 0, path.strip(), message, override)


def _steps(path: str) -> Path:
    steps: list[str | int] = []
    position = 0
    while match := _STEP.match(path, position):
        word, index = match.groups()
        steps.append(word.strip() if word is not None else int(index))
        position = match.end()
    if position < len(path) or not steps or steps[0] == "" or isinstance(steps[0], int):
        raise _OverrideError(f"a path must look like training.epochs, but got {inline(path)}.")
    return tuple(steps)


def _with_value(document: Document, steps: Path, read: Document, override: str) -> Document:
    data = copy.deepcopy(document.data)
    path = _put(data, steps, read.data)

    def outside(at: Path) -> bool:
        return at[: len(path)] != path

    keys = {at: mark for at, mark in document.keys.items() if outside(at)}
    values = {at: mark for at, mark in document.values.items() if outside(at)}
    flaws = tuple(flaw for flaw in document.flaws if outside(flaw.path))
    mark = replace(NOWHERE, override=override)
    new = {path[:n]: mark for n in range(1, len(path)) if path[:n] not in values} | {path: mark}
    own = (replace(flaw, path=(*path, *flaw.path), mark=mark) for flaw in read.flaws)
    return Document(data, keys | new, values | new, (*flaws, *own))


def _put(data: dict[str, Any], steps: Path, value: Any) -> Path:
    """Put `value` in, and return where it went: choices need not be named in `steps`."""
    node: Any = data
    path: Path = ()
    for index, (step, following) in enumerate(pairwise(steps)):
        node, path = _enter(node, path, steps[index:], value)
        path = (*path, step)
        present = node.get(step) if isinstance(node, dict) else node[step]
        _check_component(present, path, steps[index + 1 :], value)
        node[step] = node = _opened(present, path, following)
    node, path = _enter(node, path, steps[-1:], value)
    node[steps[-1]] = value
    return (*path, steps[-1])


def _enter(node: Any, path: Path, steps: Path, value: Any) -> tuple[Any, Path]:
    """Where the first of `steps` can be taken, which may be inside a choice."""
    node, path = _through_choice(node, path, steps[0])
    _check_step(node, path, steps[0])
    return node, path


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
    raise _OverrideError(f"{where} is {inline(node)}, which has no settings.")


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
            raise _OverrideError(
                f"{where} is a list of {len(node)} items and has no item [{step}]."
            )
    elif isinstance(step, int):
        raise _OverrideError(f"{where} is not a list and has no item [{step}].")


def _check_component(node: Any, path: Path, steps: Path, value: Any) -> None:
    """Refuse an argument right below the place of a component, and say where it belongs.

    Args:
        node: what stands at `path`.
        steps: where to go from there.
    """
    kind = _kind_of_component(path)
    options = _components(node)
    if kind is None or not options or steps[0] in (*options, "choice"):
        return
    place = _without_choices(path)
    meant = closest(str(steps[0]), options) if len(steps) > 1 else None
    if meant is not None:
        advice = f"Did you mean {_written(place, (meant, *steps[1:]), value)}?"
    elif canonical(kind, str(steps[0])) is None:
        advice = f"Write {_written(place, (options[0], *steps), value)}."
    elif "choice" in node:
        advice = f"Write {place}.choice.{steps[0]}={{…}} to add an option."
    else:
        advice = f"Write {place}={flow(_nested(steps, value))}."
    what = "a choice" if "choice" in node else options[0]
    raise _OverrideError(f"{place} is {what}, which has no {inline(steps[0])}. {advice}")


def _without_choices(path: Path) -> str:
    """The same place as a user writes it: no `choice`, and no index into a list of options."""
    kept = [
        step
        for before, step in pairwise(("", *path))
        if step != "choice" and not (before == "choice" and isinstance(step, int))
    ]
    return dotted(tuple(kept))


def _kind_of_component(path: Path) -> Kind | None:
    """Of the component that stands at `path`, in a slot or behind a label in a choice."""
    if path[-2:-1] == ("choice",) and len(path) > 2:
        kind = _COMPONENTS.get(str(path[-3]))
        is_label = kind is not None and canonical(kind, str(path[-1])) is None
        return kind if is_label else None
    return _COMPONENTS.get(str(path[-1]))


def _components(node: Any) -> list[str]:
    """The name of the component at a place, or the labels of a choice of them."""
    if isinstance(node, str):
        return [] if node == "none" else [node]
    if not isinstance(node, dict):
        return []
    options = node.get("choice", node)
    if isinstance(options, list):
        return [name for option in options for name in _components(option)]
    return list(options) if isinstance(options, dict) else []


def _written(place: str, steps: Path, value: Any) -> str:
    return f"{dotted((place, *steps))}={flow(value)}"


def _nested(steps: Path, value: Any) -> Any:
    """`{SGD: {lr: 0.1}}` for the steps SGD and lr."""
    for step in reversed(steps):
        value = {str(step): value}
    return value
