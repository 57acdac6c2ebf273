"""Return a study as plain data with all defaults, in the order of the sections."""

from __future__ import annotations

from typing import Any

from tunecli.study_file.read.read_sections import SECTIONS, Sections
from tunecli.study_file.settings.setting_types import OnlyFor, mark
from tunecli.study_file.settings.settings import DataSettings, SearchSettings, ValidationSettings
from tunecli.study_file.settings.source_kinds import NO_SOURCE, kind_of
from tunecli.study_file.space.node_data import (
    component_data,
    constraint_data,
    node_data,
    objective_data,
)
from tunecli.study_file.space.tree import LIST_SLOTS, SETTINGS, SLOTS, Plain, Slots, Tree

_OFF_BY_DEFAULT = frozenset({*LIST_SLOTS, *(slot for slot in SLOTS if slot[0] in SETTINGS)})


def study_data(sections: Sections, tree: Tree) -> dict[str, Any]:
    """Return the data of a study file in which only what depends on the data is left open."""
    slots = _nested(tree.base, drop_none=True)
    data = _data_settings(sections.shared_data)
    scale = slots.pop("data")
    file: dict[str, Any] = {
        "study": sections.name,
        "seed": sections.seed,
        "data": {**data, **scale} if data["source"] != NO_SOURCE else NO_SOURCE,
    }
    if sections.validation != ValidationSettings():
        file["validation"] = sections.validation.model_dump(exclude_none=True)
    file |= slots
    if sections.objectives:
        file["objective"] = objective_data(sections.objectives)
    if sections.constraints:
        file["constraints"] = constraint_data(sections.constraints)
    if sections.metrics:
        file["metrics"] = [component_data(metric) for metric in sections.metrics]
    file["search"] = _search_data(sections.search)
    if sections.written_start:
        file["search"]["start_with"] = sections.written_start
    if tree.branches:
        branches = {label: _nested(slots) for label, slots in tree.branches.items()}
        file["variant"] = {"choice": branches}
    return {name: file[name] for name in SECTIONS if name in file}


def _data_settings(data: DataSettings) -> dict[str, Any]:
    """Return settings that are on, or off against their default, and apply to the source."""
    kind = kind_of(data.source)
    settings = {
        name: value
        for name, value in data.model_dump(exclude={"scale", "augment", "arguments"}).items()
        for field in (DataSettings.model_fields[name],)
        if not (value is None or value is False or value == []) or value != field.default
        if (only := mark(field, OnlyFor)) is None or kind in only.kinds
    }
    if data.arguments:
        settings["source"] = {data.source: data.arguments}
    return settings


def _nested(slots: Slots, drop_none: bool = False) -> dict[str, Any]:
    """Return slots as sections; `drop_none` leaves out settings that are off by default."""
    sections: dict[str, Any] = {}
    for slot, node in slots.items():
        if drop_none and slot in _OFF_BY_DEFAULT and node == Plain(None):
            continue
        section = sections
        for step in slot[:-1]:
            section = section.setdefault(step, {})
        section[slot[-1]] = node_data(node)
    return sections


def _search_data(search: SearchSettings) -> dict[str, Any]:
    """Return plain data of the search, with `pruner: none`, which is not the default."""
    data = search.model_dump(exclude={"sampler", "pruner"}, exclude_none=True)
    data["sampler"] = component_data(search.sampler)
    data["pruner"] = component_data(search.pruner) or "none"
    return data
