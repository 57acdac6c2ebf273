"""Print a study with all defaults, or one of its trials without defaults."""

from __future__ import annotations

from functools import partial
from typing import Any

from tunecli.study_file.catalogue.pretrained_folders import brings_tokenizer
from tunecli.study_file.read.read_sections import SECTIONS, Sections
from tunecli.study_file.settings.metric_names import with_average
from tunecli.study_file.settings.search_settings import SearchSettings
from tunecli.study_file.settings.setting_types import OnlyFor, mark
from tunecli.study_file.settings.settings import (
    WITHOUT,
    DataSettings,
    TrialConfig,
    ValidationSettings,
)
from tunecli.study_file.settings.source_kinds import NO_SOURCE, kind_of_data
from tunecli.study_file.space.tree import (
    LIST_SLOTS,
    SETTINGS,
    SLOTS,
    VALUE_SLOTS,
    Plain,
    Slots,
    Tree,
    component_data,
    constraint_data,
    node_data,
    objective_data,
)
from tunecli.study_file.text.dump import to_text

_OPEN_BY_DEFAULT = (*LIST_SLOTS, *VALUE_SLOTS, ("data", "tokenizer"))
_OFF_BY_DEFAULT = frozenset({*_OPEN_BY_DEFAULT, *(slot for slot in SLOTS if slot[0] in SETTINGS)})
_APART = {"scale", "tokenizer", "augment", "arguments"}
"""Settings of `data` that are components or their arguments."""


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
    file |= slots | goal_sections(sections)
    if sections.tolerance is not None:
        file["objective"]["tolerance"] = sections.tolerance
    file["search"] = _search_data(sections.search)
    if sections.written_start:
        file["search"]["start_with"] = sections.written_start
    if tree.branches:
        branches = {label: _nested(slots) for label, slots in tree.branches.items()}
        file["variant"] = {"choice": branches}
    return {name: file[name] for name in SECTIONS if name in file}


def _data_settings(data: DataSettings) -> dict[str, Any]:
    """Return settings that are on, or off against their default, and apply to the source."""
    kind = kind_of_data(data)
    settings = {
        name: value
        for name, value in data.model_dump(exclude=_APART).items()
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


def to_yaml(config: TrialConfig, name: str, header: str = "") -> str:
    """Return the study file of one trial.

    It contains everything that scores depend on, except defaults that are independent of the task.
    Its search is this one trial.

    Args:
        name: name of the new study.
        header: lines to put at the top as comments.
    """
    file: dict[str, Any] = {"study": name, "seed": config.seed, "data": _data(_used_data(config))}
    for section in ("validation", "training", "compression"):
        file[section] = getattr(config, section).model_dump(exclude_defaults=True)
    for section in ("model", "loss", "optimizer", "schedule", "train"):
        component = getattr(config, section)
        file[section] = None if component == WITHOUT else component_data(component)
    file["compression"] = file["compression"] or None
    file |= goal_sections(_with_averages(config))
    file["search"] = {"trials": 1}
    comment = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    return comment + to_text({key: file[key] for key in SECTIONS if file.get(key) is not None})


def _with_averages(config: TrialConfig) -> TrialConfig:
    """Return a configuration whose metrics say their average.

    One of an earlier version does not, and means `macro`, which is not every default today.
    """
    if config.train is not None:
        return config
    said = partial(with_average, of_two=False)
    objective, *further = (
        one.model_copy(update={"metric": said(one.metric)}) for one in config.objectives
    )
    return config.model_copy(
        update={
            "objective": objective,
            "further_objectives": tuple(further),
            "constraints": tuple(
                one.model_copy(update={"metric": said(one.metric)}) for one in config.constraints
            ),
            "metrics": tuple(map(said, config.metrics)),
        }
    )


def _used_data(config: TrialConfig) -> DataSettings:
    """Return the settings of the data without those that only other models of the study use."""
    unused = {"tokenizer": None, "max_length": None} if brings_tokenizer(config.model) else {}
    return config.data.model_copy(update=unused)


def _data(data: DataSettings) -> Any:
    changed = data.model_dump(exclude_defaults=True, exclude={"source", *_APART})
    if data.scale != DataSettings.model_fields["scale"].default:
        changed["scale"] = component_data(data.scale)
    if data.tokenizer is not None:
        changed["tokenizer"] = component_data(data.tokenizer)
    if data.augment:
        changed["augment"] = [component_data(component) for component in data.augment]
    source = {data.source: data.arguments} if data.arguments else data.source
    return {"source": source, **changed} if changed or data.arguments else source


def goal_sections(study: Sections | TrialConfig) -> dict[str, Any]:
    """Return the sections of what is measured, without empty ones."""
    sections = {
        "objective": objective_data(study.objectives),
        "constraints": constraint_data(study.constraints),
        "metrics": [component_data(metric) for metric in study.metrics],
    }
    return {name: data for name, data in sections.items() if data}
