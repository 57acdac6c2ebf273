"""Build the tree: the node of each slot, and the slots that each variant replaces."""

from __future__ import annotations

from typing import Any

from tunecli.study_file.read import defaults
from tunecli.study_file.read.pydantic_messages import unknown_key
from tunecli.study_file.read.read_components import (
    Grammar,
    Role,
    has_ranges,
    searches_source,
    without_none,
)
from tunecli.study_file.settings.setting_types import NoRange, mark
from tunecli.study_file.settings.settings import DataSettings
from tunecli.study_file.settings.switching_off import is_none, switched_off
from tunecli.study_file.space.tree import (
    COMPONENT_SLOTS,
    DATA_SLOTS,
    LIST_SLOTS,
    OPTIONAL_SLOTS,
    SETTINGS,
    SOURCE,
    VALUE_SLOTS,
    Broken,
    Node,
    Plain,
    Slot,
    Tree,
    is_everywhere,
    trains_itself,
)
from tunecli.study_file.text.document import Path
from tunecli.study_file.text.dump import inline
from tunecli.study_file.text.suggestions import closest, listed

REQUIRED = {
    "model": "model: MLP",
    "optimizer": "optimizer: {AdamW: {lr: 1e-3}}",
}
"""Slots without a default, with an example of each."""

_IN_VARIANTS = ("data", "model", "loss", "optimizer", "schedule", "train", *SETTINGS)
_OF_DATA = listed([f"data.{name}" for name in DATA_SLOTS])
_EPOCHS: Slot = ("training", "epochs")
_STEPS: Slot = ("training", "steps")


def read_tree(data: dict[str, Any], grammar: Grammar) -> Tree:
    """Return the tree of a study file; report mistakes, and leave `Broken` nodes there."""
    base = _read_slots(data, (), "", grammar)
    variants = data.get("variant")
    branches = {} if is_none(variants) else _read_variants(variants, grammar)
    is_own = trains_itself(Tree(base, branches))
    for name, example in REQUIRED.items():
        slot = (name,)
        if not is_own and not is_everywhere(slot, Tree(base, branches)):
            grammar.problems.add(slot, f"required, but missing. For example `{example}`.")
            base[slot] = Broken(slot)
    if _EPOCHS not in base and _STEPS not in base and not is_own:
        base[_EPOCHS] = Plain(defaults.EPOCHS, _EPOCHS)
    return Tree({**defaults.slots(), **base}, branches)


def _read_slots(data: dict[str, Any], at: Path, prefix: str, grammar: Grammar) -> dict[Slot, Node]:
    """Return the slots that a study file or a branch of its variants gives.

    Args:
        at: path of `data`.
        prefix: prefix of the names of parameters, "" or "variant.<label>.".
    """
    slots: dict[Slot, Node] = {}
    for slot, kind in (COMPONENT_SLOTS | LIST_SLOTS).items():
        section = data.get(slot[0]) if len(slot) == 2 else data
        if slot == SOURCE and (at or not searches_source(section)):
            continue  # shared by every trial
        if isinstance(section, dict) and slot[-1] in section:
            role = Role(kind, (*at, *slot), prefix + ".".join(slot), slot in OPTIONAL_SLOTS)
            read = grammar.components if slot in LIST_SLOTS else grammar.component
            slots[slot] = read(section[slot[-1]], role)
    for slot in VALUE_SLOTS:
        section = data.get(slot[0])
        if isinstance(section, dict) and slot[1] in section:
            given = {slot[1]: without_none(section[slot[1]])}
            value = switched_off(DataSettings, given)[slot[1]]
            slots[slot] = grammar.value(value, (*at, *slot), prefix + ".".join(slot))
    for section in SETTINGS:
        slots |= _read_settings(section, data.get(section), (*at, section), prefix, grammar)
    return slots


def _read_settings(
    section: str, data: Any, at: Path, prefix: str, grammar: Grammar
) -> dict[Slot, Node]:
    if is_none(data):
        return {}
    if not isinstance(data, dict):
        grammar.problems.add(at, f"must be a mapping of settings, but got {inline(data)}.")
        return {}
    known = SETTINGS[section].model_fields
    slots: dict[Slot, Node] = {}
    for key, value in data.items():
        below = (*at, key)
        if key not in known:
            grammar.problems.add(below, unknown_key(key, [*known]), of_key=True)
            meant = closest(key, known)
            if meant is None or meant in data:
                grammar.value(value, below, f"{prefix}{section}.{key}")
                continue
            key = meant
        if mark(known[key], NoRange) and has_ranges(value):
            grammar.problems.add(below, f"{section}.{key} cannot be a range. Write a value.")
            continue
        name = f"{prefix}{section}.{key}"
        given = switched_off(SETTINGS[section], {key: without_none(value)})[key]
        slots[section, key] = grammar.value(given, below, name)
    return slots


def _read_variants(data: Any, grammar: Grammar) -> dict[str, dict[Slot, Node]]:
    at: Path = ("variant",)
    options = data.get("choice") if isinstance(data, dict) else None
    is_written_so = isinstance(options, dict) and bool(options)
    if not is_written_so or len(data) > 1:
        written = "variant: {choice: {label: {parts of the file}, …}}"
        grammar.problems.add(at, f"variants must be written as {written}, but got {inline(data)}.")
    if not isinstance(options, dict):
        return {}
    return {
        label: _read_branch(label, parts, (*at, "choice", label), grammar)
        for label, parts in options.items()
    }


def _read_branch(label: str, data: Any, at: Path, grammar: Grammar) -> dict[Slot, Node]:
    if mistake := grammar.label_mistake(label):
        grammar.problems.add(at, mistake, of_key=True)
    if is_none(data):
        return {}
    if not isinstance(data, dict):
        grammar.problems.add(at, f"must contain sections of the file, but got {inline(data)}.")
        return {}
    for key in data:
        _check_replaceable(key, data[key], (*at, key), grammar)
    slots = _read_slots(data, at, f"variant.{label}.", grammar)
    # How long to train is one setting with two names.
    for given, other in ((_EPOCHS, _STEPS), (_STEPS, _EPOCHS)):
        if given in slots and other not in slots:
            slots[other] = Plain(None, slots[given].at)
    return slots


def _check_replaceable(key: str, data: Any, at: Path, grammar: Grammar) -> None:
    if key not in _IN_VARIANTS:
        parts = listed([*_IN_VARIANTS[1:], *(f"data.{name}" for name in DATA_SLOTS)])
        fixed = ("study", "seed", "validation", "objective", "metrics", "search", "variant")
        reason = f"all trials share {key}." if key in fixed else unknown_key(key, [*_IN_VARIANTS])
        grammar.problems.add(at, f"a variant can replace only {parts}: {reason}", of_key=True)
    elif key == "data":
        if not isinstance(data, dict):
            message = f"a variant can replace only {_OF_DATA}, but got {inline(data)}."
            grammar.problems.add(at, message)
            return
        for name in data:
            if name in DATA_SLOTS:
                continue
            reason = unknown_key(name, DATA_SLOTS)
            if name in DataSettings.model_fields:
                reason = f"all trials share {name}."
            message = f"a variant can replace only {_OF_DATA}: {reason}"
            grammar.problems.add((*at, name), message, of_key=True)
