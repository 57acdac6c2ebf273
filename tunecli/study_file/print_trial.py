"""Print a trial's configuration as a study file that runs again, without defaults."""

from __future__ import annotations

from typing import Any

from tunecli.study_file.read.read_sections import SECTIONS
from tunecli.study_file.settings.settings import (
    WITHOUT,
    CompressionSettings,
    DataSettings,
    TrainingSettings,
    TrialConfig,
    ValidationSettings,
)
from tunecli.study_file.space.tree import component_data, constraint_data, objective_data
from tunecli.study_file.text.dump import to_text


def to_yaml(config: TrialConfig, name: str, header: str = "") -> str:
    """Return the study file of one trial.

    It contains everything that scores depend on, except defaults that are independent of the task.
    Its search is this one trial.

    Args:
        name: name of the new study.
        header: lines to put at the top as comments.
    """
    file: dict[str, Any] = {"study": name, "seed": config.seed}
    file["data"] = _data(config.data)
    file["validation"] = _changed(config.validation, ValidationSettings())
    for section in ("model", "loss", "optimizer"):
        component = getattr(config, section)
        file[section] = None if component == WITHOUT else component_data(component)
    if config.train is not None:
        file["train"] = component_data(config.train)
    if config.schedule is not None:
        file["schedule"] = component_data(config.schedule)
    file["training"] = _changed(config.training, TrainingSettings())
    file["compression"] = _changed(config.compression, CompressionSettings()) or None
    file["objective"] = objective_data(config.objectives)
    file["constraints"] = constraint_data(config.constraints) or None
    if config.metrics:
        file["metrics"] = [component_data(metric) for metric in config.metrics]
    file["search"] = {"trials": 1}
    comment = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    sections = {name: file[name] for name in SECTIONS if file.get(name) is not None}
    return comment + to_text(sections)


def _data(data: DataSettings) -> Any:
    changed = _changed(
        data, DataSettings(source=data.source), but=("scale", "augment", "arguments")
    )
    if data.scale != DataSettings(source=data.source).scale:
        changed["scale"] = component_data(data.scale)
    if data.augment:
        changed["augment"] = [component_data(component) for component in data.augment]
    source = {data.source: data.arguments} if data.arguments else data.source
    return {"source": source, **changed} if changed or data.arguments else source


def _changed(settings: Any, default: Any, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the settings that differ from their default, as plain data."""
    given = settings.model_dump(exclude=set(but))
    changed = {key: value for key, value in given.items() if value != getattr(default, key)}
    return {key: _without_defaults(key, settings, value) for key, value in changed.items()}


def _without_defaults(key: str, settings: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return getattr(settings, key).model_dump(exclude_defaults=True)
