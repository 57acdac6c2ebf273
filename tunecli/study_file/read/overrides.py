"""Apply `--set path=value`: settings from the command line that replace those of a document."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from tunecli.errors import Problem, StudyFileError
from tunecli.study_file.catalogue.names import Kind, canonical
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.document import NOWHERE, Document, Path, dotted
from tunecli.study_file.text.dump import flow, inline
from tunecli.study_file.text.suggestions import closest

_COMPONENTS: dict[str, Kind] = {
    "model": "model",
    "loss": "loss",
    "optimizer": "optimizer",
    "schedule": "schedule",
    "scale": "scale",
    "tokenizer": "tokenizer",
    "sampler": "sampler",
    "pruner": "pruner",
    "rest": "optimizer",
    "wrapped_pruner": "pruner",
}
"""Keys whose value is a component, with its kind."""

_STEP = re.compile(r"\.?([^.\[\]=]+)|\[([0-9]{1,6})\]")


class _OverrideError(Exception):
    """An override cannot be applied; the text is the reason."""


def with_overrides(document: Document, overrides: Sequence[str]) -> tuple[Document, list[Problem]]:
    """Return the document with each `path=value` applied; these values have no line in the text.

    Returns:
        The document, and a problem for each override that could not be applied.
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
    """Quote a single comma or apostrophe, which is not valid YAML: `data.decimal=,`."""
    return f'"{text.strip()}"' if text.strip() in (",", "'") else text


def set_path(data: dict[str, Any], path: str, value: Any) -> Path:
    """Put a value into plain data as `--set path=value` does, and return its path.

    Raises:
        ValueError: the path is invalid; the text is the reason.
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
    """Put `value` in, and return its path; `steps` can leave out choices."""
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
    """Return the node that has the first of `steps`, which can be inside a choice."""
    node, path = _through_choice(node, path, steps[0])
    _check_step(node, path, steps[0])
    return node, path


def _opened(node: Any, path: Path, following: str | int) -> Any:
    """Return the node at `path` as a container: `AdamW` becomes `{AdamW: {}}`."""
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
    """Return the option of a choice, if the step names one."""
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
            items = count(len(node), "item")
            raise _OverrideError(f"{where} is a list of {items} and has no item [{step}].")
    elif isinstance(step, int):
        raise _OverrideError(f"{where} is not a list and has no item [{step}].")


def _check_component(node: Any, path: Path, steps: Path, value: Any) -> None:
    """Refuse an argument directly below a component's key, and suggest the right path.

    Args:
        node: the node at `path`.
        steps: the rest of the path.
    """
    kind = _kind_of_component(path)
    options = _components(node)
    if kind is None or not options or steps[0] in (*options, "choice"):
        return
    slot = _without_choices(path)
    meant = closest(str(steps[0]), options) if len(steps) > 1 else None
    if meant is not None:
        advice = f"Did you mean {_written(slot, (meant, *steps[1:]), value)}?"
    elif canonical(kind, str(steps[0])) is None:
        advice = f"Write {_written(slot, (options[0], *steps), value)}."
    elif "choice" in node:
        advice = f"Write {slot}.choice.{steps[0]}={{…}} to add an option."
    else:
        advice = f"Write {slot}={flow(_nested(steps, value))}."
    what = "a choice" if "choice" in node else options[0]
    raise _OverrideError(f"{slot} is {what}, which has no {inline(steps[0])}. {advice}")


def _without_choices(path: Path) -> str:
    """Return a path as a user writes it, without `choice` and indices of options."""
    steps = [
        step
        for before, step in pairwise(("", *path))
        if step != "choice" and not (before == "choice" and isinstance(step, int))
    ]
    return dotted(tuple(steps))


def _kind_of_component(path: Path) -> Kind | None:
    """Return the kind of the component at `path`, in a slot or below a label of a choice."""
    if path[-2:-1] == ("choice",) and len(path) > 2:
        kind = _COMPONENTS.get(str(path[-3]))
        is_label = kind is not None and canonical(kind, str(path[-1])) is None
        return kind if is_label else None
    return _COMPONENTS.get(str(path[-1]))


def _components(node: Any) -> list[str]:
    """Return the name of a component, or the labels of a choice of components."""
    if isinstance(node, str):
        return [] if node == "none" else [node]
    if not isinstance(node, dict):
        return []
    options = node.get("choice", node)
    if isinstance(options, list):
        return [name for option in options for name in _components(option)]
    return list(options) if isinstance(options, dict) else []


def _written(slot: str, steps: Path, value: Any) -> str:
    return f"{dotted((slot, *steps))}={flow(value)}"


def _nested(steps: Path, value: Any) -> Any:
    """Return `{SGD: {lr: 0.1}}` for the steps SGD and lr."""
    for step in reversed(steps):
        value = {str(step): value}
    return value
